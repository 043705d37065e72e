//! Float layers as plain loops: the definition that tract is held against.

use crate::model::*;

/// Output of every layer.
pub fn run(model: &Model<'_>, input: &[f32]) -> Vec<Vec<f32>> {
    let mut tensors = vec![input.to_vec()];
    for layer in model.layers() {
        let inputs: Vec<(&[f32], Shape)> = layer
            .inputs
            .iter()
            .map(|i| (&tensors[i.tensor as usize][..], i.shape))
            .collect();
        let output = one(model, &layer.op, &inputs, layer.output.shape);
        tensors.push(output);
    }
    tensors.split_off(1)
}

fn one(model: &Model<'_>, op: &Op, inputs: &[(&[f32], Shape)], to: Shape) -> Vec<f32> {
    let (x, from) = inputs[0];
    match op {
        Op::Conv {
            window,
            groups,
            data,
        } => conv(model, data, window, [from, to], x, *groups, false),
        Op::DepthwiseConv { window, data } => conv(model, data, window, [from, to], x, to.c, true),
        Op::MaxPool { window } => each(to, |y, xx, c| {
            taps(window, from, y, xx)
                .map(|(_, p)| x[p * from.c as usize + c])
                .fold(f32::NEG_INFINITY, f32::max)
        }),
        Op::AvgPool {
            window,
            count_padding,
            ..
        } => each(to, |y, xx, c| {
            let under: Vec<f32> = taps(window, from, y, xx)
                .map(|(_, p)| x[p * from.c as usize + c])
                .collect();
            let area = (window.kernel[0] * window.kernel[1]) as usize;
            under.iter().sum::<f32>() / if *count_padding { area } else { under.len() } as f32
        }),
        Op::Add { activation, .. } => x
            .iter()
            .zip(inputs[1].0)
            .map(|(a, b)| activation.apply(a + b))
            .collect(),
        Op::Concat { .. } => each(to, |y, xx, mut c| {
            for (values, shape) in inputs {
                if c < shape.c as usize {
                    return values[(y * shape.w as usize + xx) * shape.c as usize + c];
                }
                c -= shape.c as usize;
            }
            unreachable!("channels add up")
        }),
        Op::Map {
            function: MapFunction::Activation(f),
        } => x.iter().map(|v| f.apply(*v)).collect(),
        Op::Map {
            function: MapFunction::Table(_),
        } => unreachable!("a float model"),
        Op::Slice { start, step } => each(to, |y, xx, c| {
            let (r, k) = (
                start[0] as usize + y * step[0] as usize,
                start[1] as usize + xx * step[1] as usize,
            );
            x[(r * from.w as usize + k) * from.c as usize + start[2] as usize + c]
        }),
        Op::Pad { before, .. } => each(to, |y, xx, c| {
            let at = |i: usize, axis: usize, n: u32| {
                i.checked_sub(before[axis] as usize)
                    .filter(|i| *i < n as usize)
            };
            match (at(y, 0, from.h), at(xx, 1, from.w), at(c, 2, from.c)) {
                (Some(y), Some(xx), Some(c)) => x[(y * from.w as usize + xx) * from.c as usize + c],
                _ => 0.0,
            }
        }),
        Op::Mul { .. } => {
            let by = inputs[1].0;
            x.iter()
                .enumerate()
                .map(|(i, v)| v * by[i % by.len()])
                .collect()
        }
        Op::PRelu { slopes, .. } => {
            let slopes = model.f32s(*slopes);
            let slope = |i: usize, v: f32| {
                if v > 0.0 {
                    1.0
                } else {
                    slopes[i % slopes.len()]
                }
            };
            x.iter()
                .enumerate()
                .map(|(i, v)| v * slope(i, *v))
                .collect()
        }
        Op::LocalResponseNorm {
            size,
            float: [alpha, beta, bias],
            ..
        } => each(to, |y, xx, c| {
            let pixel = &x[(y * from.w as usize + xx) * from.c as usize..][..from.c as usize];
            let size = *size as usize;
            let (first, last) = (c as isize - (size as isize - 1) / 2, c + size / 2);
            let near = |i: &usize| *i as isize >= first && *i <= last;
            let sum: f32 = (0..pixel.len())
                .filter(near)
                .map(|i| pixel[i] * pixel[i])
                .sum();
            pixel[c] / (bias + alpha * sum / size as f32).powf(*beta)
        }),
        Op::Shuffle { groups } => each(to, |y, xx, c| {
            let (groups, n) = (*groups as usize, from.c as usize);
            x[(y * from.w as usize + xx) * n + c % groups * (n / groups) + c / groups]
        }),
    }
}

fn conv(
    model: &Model<'_>,
    data: &ConvData,
    window: &Window,
    [from, to]: [Shape; 2],
    x: &[f32],
    groups: u32,
    channels_last: bool,
) -> Vec<f32> {
    let &ConvData::F32 {
        weights,
        bias,
        activation,
    } = data
    else {
        unreachable!("a float model")
    };
    let (weights, bias) = (model.f32s(weights), model.f32s(bias));
    let (ci, co) = ((from.c / groups) as usize, (to.c / groups) as usize);
    let area = (window.kernel[0] * window.kernel[1]) as usize;
    each(to, |y, xx, o| {
        let mut sum = bias[o] as f64;
        for (tap, pixel) in taps(window, from, y, xx) {
            for i in 0..ci {
                let w = if channels_last {
                    weights[tap * to.c as usize + o]
                } else {
                    weights[(o * area + tap) * ci + i]
                };
                sum += w as f64 * x[pixel * from.c as usize + o / co * ci + i] as f64;
            }
        }
        activation.apply(sum as f32)
    })
}

fn each(shape: Shape, mut f: impl FnMut(usize, usize, usize) -> f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(shape.len());
    for y in 0..shape.h as usize {
        for x in 0..shape.w as usize {
            out.extend((0..shape.c as usize).map(|c| f(y, x, c)));
        }
    }
    out
}

/// Number of each tap that is not in the padding, and the input's pixel under it.
fn taps(w: &Window, input: Shape, y: usize, x: usize) -> impl Iterator<Item = (usize, usize)> {
    let w = *w;
    (0..w.kernel[0] * w.kernel[1]).filter_map(move |tap| {
        let k = [tap / w.kernel[1], tap % w.kernel[1]];
        let at = |axis: usize, i: usize, len: u32| {
            let i = (i as u32 * w.stride[axis] + k[axis] * w.dilation[axis])
                .checked_sub(w.pad_before[axis])?;
            (i < len).then_some(i as usize)
        };
        Some((
            tap as usize,
            at(0, y, input.h)? * input.w as usize + at(1, x, input.w)?,
        ))
    })
}
