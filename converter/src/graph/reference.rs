//! Evaluates a graph as its definition says: slowly, and with no code in common with the kernels of the
//! backends. Tests use it, and the converter to see what the numbers of a quantized source say.

use super::{Graph, Node, Op, Shape, Window};
use std::collections::HashMap;

/// The output of the network for `input`; both are HWC.
///
/// # Panics
/// If the length of `input` is not that of the graph's input.
pub fn evaluate(graph: &Graph, input: &[f32]) -> Vec<f32> {
    run(graph, input, &|_, _| {})
}

/// The output of a quantized network: the result of every node that has a quantization is rounded to its
/// codes, and saturates at their ends.
///
/// # Panics
/// As [`evaluate`].
pub fn evaluate_quantized(graph: &Graph, input: &[f32]) -> Vec<f32> {
    run(graph, input, &|node, value| {
        if let Some(quant) = node.quant {
            let zero = f32::from(quant.zero_point);
            for v in value {
                let code = (*v / quant.scale).round_ties_even() + zero;
                *v = quant.scale * (code.clamp(-128.0, 127.0) - zero);
            }
        }
    })
}

/// Evaluates node by node; `settle` may change the result of each node before others read it.
fn run(graph: &Graph, input: &[f32], settle: &dyn Fn(&Node, &mut [f32])) -> Vec<f32> {
    assert_eq!(input.len(), graph.input_shape().len());
    let mut uses = graph.uses();
    let mut first = input.to_vec();
    settle(&graph.nodes[0], &mut first);
    let mut values: HashMap<usize, Vec<f32>> = HashMap::from([(0, first)]);
    for (id, node) in graph.nodes.iter().enumerate().skip(1) {
        let inputs: Vec<(&[f32], Shape)> = node
            .inputs
            .iter()
            .map(|i| (&values[i][..], graph.nodes[*i].shape))
            .collect();
        let mut value = compute(node, &inputs);
        assert_eq!(value.len(), node.shape.len(), "{}", node.name);
        settle(node, &mut value);
        values.insert(id, value);
        for i in &node.inputs {
            uses[*i] -= 1;
            if uses[*i] == 0 {
                values.remove(i);
            }
        }
    }
    values
        .remove(&graph.output)
        .expect("the output is a node of the graph")
}

fn compute(node: &Node, inputs: &[(&[f32], Shape)]) -> Vec<f32> {
    let (x, from) = inputs[0];
    let to = node.shape;
    let channels = from.c as usize;
    match &node.op {
        Op::Input => unreachable!(),
        Op::Conv(c) => {
            let (og, ig) = (c.out_channels / c.groups, channels / c.groups);
            let area = (c.window.kernel[0] * c.window.kernel[1]) as usize;
            // [group][tap][input][output]: the inner loop runs over outputs.
            let mut turned = vec![0.0; c.weights.len()];
            for (i, w) in c.weights.iter().enumerate() {
                let (o, tap, input) = (i / (area * ig), i / ig % area, i % ig);
                turned[((o / og * area + tap) * ig + input) * og + o % og] = *w;
            }
            let mut out = vec![];
            for_windows(&c.window, from, to, |taps| {
                let mut sums = c.bias.clone();
                for &(tap, at) in taps {
                    for (i, &v) in x[at..at + channels].iter().enumerate() {
                        let group = i / ig;
                        let row = &turned[((group * area + tap) * ig + i % ig) * og..][..og];
                        for (s, w) in sums[group * og..][..og].iter_mut().zip(row) {
                            *s += v * w;
                        }
                    }
                }
                out.extend(sums.into_iter().map(|v| c.activation.apply(v)));
            });
            out
        }
        Op::BatchNorm(b) => {
            let apply = |(i, v): (usize, &f32)| {
                let c = i % channels;
                b.gamma[c] * (v - b.mean[c]) / (b.variance[c] + b.epsilon).sqrt() + b.beta[c]
            };
            x.iter().enumerate().map(apply).collect()
        }
        Op::Activation(a) => x.iter().map(|&v| a.apply(v)).collect(),
        Op::MaxPool(window) => {
            let mut out = vec![];
            for_windows(window, from, to, |taps| {
                out.extend((0..channels).map(|c| {
                    taps.iter()
                        .map(|t| x[t.1 + c])
                        .fold(f32::NEG_INFINITY, f32::max)
                }));
            });
            out
        }
        Op::AvgPool {
            window,
            count_padding,
        } => {
            let mut out = vec![];
            for_windows(window, from, to, |taps| {
                let n = if *count_padding {
                    (window.kernel[0] * window.kernel[1]) as usize
                } else {
                    taps.len()
                };
                out.extend(
                    (0..channels).map(|c| taps.iter().map(|t| x[t.1 + c]).sum::<f32>() / n as f32),
                );
            });
            out
        }
        Op::Add(f) => x
            .iter()
            .zip(inputs[1].0)
            .map(|(a, b)| f.apply(a + b))
            .collect(),
        Op::Concat => {
            let mut out = vec![];
            for place in 0..(to.h * to.w) as usize {
                for (v, s) in inputs {
                    out.extend_from_slice(&v[place * s.c as usize..][..s.c as usize]);
                }
            }
            out
        }
        Op::Slice { start, step, .. } => each(to, |h, w, c| {
            at(
                x,
                from,
                start[0] + h * step[0],
                start[1] + w * step[1],
                start[2] + c,
            )
        }),
        Op::Pad { before, .. } => each(to, |h, w, c| {
            let inside = h >= before[0] && w >= before[1] && c >= before[2];
            if inside {
                at(x, from, h - before[0], w - before[1], c - before[2])
            } else {
                0.0
            }
        }),
        Op::Mul => {
            let by = inputs[1].0;
            let product = |(i, v): (usize, &f32)| v * by[i % by.len()];
            x.iter().enumerate().map(product).collect()
        }
        Op::PRelu(slopes) => {
            let slope = |(i, v): (usize, &f32)| v.max(0.0) + slopes[i % channels] * v.min(0.0);
            x.iter().enumerate().map(slope).collect()
        }
        Op::LocalResponseNorm(n) => each(to, |h, w, c| {
            let first = (c + 1).saturating_sub(n.size.div_ceil(2));
            let around = first..(c + n.size / 2 + 1).min(from.c);
            let sum: f32 = around.map(|i| at(x, from, h, w, i).powi(2)).sum();
            at(x, from, h, w, c) / (n.bias + n.alpha / n.size as f32 * sum).powf(n.beta)
        }),
        Op::Shuffle { groups } => each(to, |h, w, c| {
            let from_channel = c % groups * (from.c / groups) + c / groups;
            at(x, from, h, w, from_channel)
        }),
    }
}

/// An element; zero outside of the tensor.
fn at(x: &[f32], s: Shape, h: u32, w: u32, c: u32) -> f32 {
    if h < s.h && w < s.w && c < s.c {
        x[((h * s.w + w) * s.c + c) as usize]
    } else {
        0.0
    }
}

fn each(s: Shape, f: impl Fn(u32, u32, u32) -> f32) -> Vec<f32> {
    (0..s.len() as u32)
        .map(|i| f(i / s.c / s.w, i / s.c % s.w, i % s.c))
        .collect()
}

/// For each pixel of the output: the taps of the window that are inside of the input, as (number of the tap,
/// first element of its pixel).
fn for_windows(window: &Window, from: Shape, to: Shape, mut f: impl FnMut(&[(usize, usize)])) {
    let mut taps = vec![];
    for place in 0..to.h * to.w {
        taps.clear();
        for tap in 0..window.kernel[0] * window.kernel[1] {
            let position = |axis: usize, out: u32, k: u32| {
                (out * window.stride[axis] + k * window.dilation[axis])
                    .checked_sub(window.pad_before[axis])
            };
            let y = position(0, place / to.w, tap / window.kernel[1]).filter(|&y| y < from.h);
            let x = position(1, place % to.w, tap % window.kernel[1]).filter(|&x| x < from.w);
            if let (Some(y), Some(x)) = (y, x) {
                taps.push((tap as usize, ((y * from.w + x) * from.c) as usize));
            }
        }
        f(&taps);
    }
}
