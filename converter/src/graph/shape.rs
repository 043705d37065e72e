//! Shape inference: the shape of a node's result, and what its inputs must be like.

use super::{ConvWeights, Op, Shape, Window};

/// Most elements of a tensor, so that 32-bit offsets of the format reach all of them.
const MAX_ELEMENTS: u64 = 1 << 28;

/// Most channels in the sum of a local response normalization.
const MAX_NORM_SIZE: u32 = edge_runtime::model::MAX_NORM_SIZE;

/// Largest kernel, stride, dilation and padding of the format.
const MAX_WINDOW: u32 = 1 << 12;

/// Shape of the result of `op` for inputs of these shapes; else what is wrong with them.
pub fn infer(op: &Op, inputs: &[Shape]) -> Result<Shape, String> {
    let arity = match op {
        Op::Input => 0..=0,
        Op::Add(_) | Op::Mul => 2..=2,
        Op::Concat => 1..=usize::MAX,
        _ => 1..=1,
    };
    if !arity.contains(&inputs.len()) {
        return Err(format!("{} inputs", inputs.len()));
    }
    let shape = match op {
        Op::Input => return Err("a graph has one input".into()),
        Op::Conv(conv) => conv_shape(conv, inputs[0])?,
        Op::BatchNorm(b) => {
            let c = inputs[0].c as usize;
            if [&b.gamma, &b.beta, &b.mean, &b.variance]
                .iter()
                .any(|v| v.len() != c)
            {
                return Err(format!(
                    "{} parameters for input {}",
                    b.gamma.len(),
                    inputs[0]
                ));
            }
            inputs[0]
        }
        Op::Activation(_) => inputs[0],
        Op::MaxPool(window) | Op::AvgPool { window, .. } => {
            if window.dilation != [1, 1] {
                return Err(format!("dilation {:?} in a pooling", window.dilation));
            }
            let s = windowed(window, inputs[0])?;
            if (0..2).any(|a| window.pad_before[a].max(window.pad_after[a]) >= window.kernel[a]) {
                return Err(format!(
                    "padding as large as the kernel {:?}",
                    window.kernel
                ));
            }
            Shape {
                c: inputs[0].c,
                ..s
            }
        }
        Op::Add(_) => {
            if inputs[0] != inputs[1] {
                return Err(format!("inputs {} and {} differ", inputs[0], inputs[1]));
            }
            inputs[0]
        }
        Op::Concat => {
            let mut c = 0u32;
            for s in inputs {
                if (s.h, s.w) != (inputs[0].h, inputs[0].w) {
                    return Err(format!("inputs {} and {} differ in size", inputs[0], s));
                }
                c = c.checked_add(s.c).ok_or("too many channels")?;
            }
            Shape { c, ..inputs[0] }
        }
        Op::Slice { start, step, shape } => {
            let last = |start: u32, step: u32, n: u32| {
                start as u64 + step as u64 * (n as u64).saturating_sub(1)
            };
            let inside = last(start[0], step[0], shape.h) < inputs[0].h as u64
                && last(start[1], step[1], shape.w) < inputs[0].w as u64
                && last(start[2], 1, shape.c) < inputs[0].c as u64;
            if !inside || step.contains(&0) {
                return Err(format!(
                    "slice {shape} from {start:?} by {step:?} leaves the input {}",
                    inputs[0]
                ));
            }
            *shape
        }
        Op::Pad { before, after } => {
            let sum = |n: u32, i: usize| n.checked_add(before[i])?.checked_add(after[i]);
            match (
                sum(inputs[0].h, 0),
                sum(inputs[0].w, 1),
                sum(inputs[0].c, 2),
            ) {
                (Some(h), Some(w), Some(c)) => Shape { h, w, c },
                _ => return Err("padding too large".into()),
            }
        }
        Op::Mul => {
            let gate = Shape::new(1, 1, inputs[0].c);
            if inputs[1] != inputs[0] && inputs[1] != gate {
                return Err(format!(
                    "the second input {} is neither of the first's shape {} nor one number per channel",
                    inputs[1], inputs[0]
                ));
            }
            inputs[0]
        }
        Op::PRelu(slopes) => {
            if slopes.len() != inputs[0].c as usize {
                return Err(format!("{} slopes for input {}", slopes.len(), inputs[0]));
            }
            inputs[0]
        }
        Op::LocalResponseNorm(n) => {
            let numbers = [n.alpha, n.beta, n.bias].map(|v| v.is_finite() && v >= 0.0);
            if numbers != [true; 3] || n.bias == 0.0 || !(1..=MAX_NORM_SIZE).contains(&n.size) {
                return Err(format!("parameters out of range: {n:?}"));
            }
            inputs[0]
        }
        Op::Shuffle { groups } => {
            if *groups == 0 || !inputs[0].c.is_multiple_of(*groups) {
                return Err(format!("{groups} groups of input {}", inputs[0]));
            }
            inputs[0]
        }
    };
    let elements = shape.h as u64 * shape.w as u64;
    if shape.is_empty() || elements.saturating_mul(shape.c as u64) > MAX_ELEMENTS {
        return Err(format!("result {shape} is empty or too large"));
    }
    Ok(shape)
}

fn windowed(window: &Window, input: Shape) -> Result<Shape, String> {
    if [window.kernel, window.stride, window.dilation]
        .iter()
        .flatten()
        .any(|&v| v == 0 || v > MAX_WINDOW)
        || window
            .pad_before
            .iter()
            .chain(&window.pad_after)
            .any(|&v| v > MAX_WINDOW)
    {
        return Err(format!("window {window:?} out of range"));
    }
    match (window.output_len(0, input.h), window.output_len(1, input.w)) {
        (Some(h), Some(w)) => Ok(Shape::new(h, w, input.c)),
        _ => Err(format!(
            "kernel {:?} does not fit input {input}",
            window.kernel
        )),
    }
}

fn conv_shape(conv: &ConvWeights, input: Shape) -> Result<Shape, String> {
    let (o, g, c) = (conv.out_channels, conv.groups, input.c as usize);
    if g == 0 || o == 0 || c % g != 0 || o % g != 0 {
        return Err(format!("{g} groups for {c} input and {o} output channels"));
    }
    let shape = windowed(&conv.window, input)?;
    let area = conv.window.kernel[0] as usize * conv.window.kernel[1] as usize;
    let expected = o * area * (c / g);
    if conv.weight_scales.as_ref().is_some_and(|s| s.len() != o) {
        return Err(format!("weight scales for other than {o} channels"));
    }
    if conv.weights.len() != expected || conv.bias.len() != o {
        return Err(format!(
            "{} weights and {} biases, but input {input} with kernel {:?} needs {expected} and {o}",
            conv.weights.len(),
            conv.bias.len(),
            conv.window.kernel
        ));
    }
    Ok(Shape {
        c: o as u32,
        ..shape
    })
}
