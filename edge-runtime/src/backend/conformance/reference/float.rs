//! Float layers in f64.

use super::{at, each, inside, neighbours, part, shuffled, sliced, taps};
use crate::model::{Activation, ConvData, Layer, MapFunction, Model, Op, Window};

/// What an element must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Its value.
    pub value: f64,
    /// The sum of the magnitudes of what was added to get it: rounding errors are a part of that.
    pub magnitude: f64,
}

impl Expected {
    fn exact(value: f64) -> Self {
        Self {
            value,
            magnitude: value.abs(),
        }
    }

    /// The sum of these terms.
    fn sum(terms: impl Iterator<Item = f64>) -> Self {
        let mut sum = Self::exact(0.0);
        for term in terms {
            sum.value += term;
            sum.magnitude += term.abs();
        }
        sum
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let value = f(self.value);
        Self {
            value,
            magnitude: self.magnitude.max(value.abs()),
        }
    }
}

/// The output of a layer for the values of its inputs.
///
/// # Panics
/// If the layer is int8.
pub fn layer(model: &Model<'_>, layer: &Layer<'_>, inputs: &[&[f32]]) -> Vec<Expected> {
    let (from, to) = (layer.inputs[0].shape, layer.output.shape);
    let value = |y, x, c| inputs[0][at(from, y, x, c)] as f64;
    let exact = |y, x, c| Expected::exact(value(y, x, c));
    match &layer.op {
        Op::Conv {
            window,
            groups,
            data,
        } => conv(model, layer, inputs[0], window, *groups, data, false),
        Op::DepthwiseConv { window, data } => {
            conv(model, layer, inputs[0], window, to.c, data, true)
        }
        Op::MaxPool { window } => each(to, |y, x, c| {
            let under = taps(window, from, y, x).into_iter().flatten();
            let largest = under.map(|(y, x)| value(y, x, c)).reduce(f64::max);
            Expected::exact(largest.expect("a window covers something"))
        }),
        Op::AvgPool {
            window,
            count_padding,
            ..
        } => each(to, |y, x, c| {
            let taps = taps(window, from, y, x);
            let under: Vec<f64> = taps
                .iter()
                .flatten()
                .map(|(y, x)| value(*y, *x, c))
                .collect();
            let divisor = if *count_padding {
                taps.len()
            } else {
                under.len()
            };
            Expected::sum(under.iter().map(|v| v / divisor as f64))
        }),
        Op::Add { activation, .. } => each(to, |y, x, c| {
            let terms = inputs.iter().map(|i| i[at(to, y, x, c)] as f64);
            Expected::sum(terms).map(|v| apply(*activation, v))
        }),
        Op::Concat { .. } => each(to, |y, x, c| {
            let (input, c) = part(layer.inputs.iter().map(|i| i.shape.c), c);
            Expected::exact(inputs[input][at(layer.inputs[input].shape, y, x, c)] as f64)
        }),
        Op::Map {
            function: MapFunction::Activation(f),
        } => each(to, |y, x, c| exact(y, x, c).map(|v| apply(*f, v))),
        Op::Map {
            function: MapFunction::Table(_),
        } => panic!("a table in a float model"),
        Op::Slice { start, step } => each(to, |y, x, c| {
            let [y, x, c] = sliced(start, step, y, x, c);
            exact(y, x, c)
        }),
        Op::Pad { before, .. } => each(to, |y, x, c| match inside(before, from, [y, x, c]) {
            Some([y, x, c]) => exact(y, x, c),
            None => Expected::exact(0.0),
        }),
        Op::Mul { .. } => {
            let other = layer.inputs[1].shape;
            each(to, |y, x, c| {
                let place = if other == to { at(to, y, x, c) } else { c };
                exact(y, x, c).map(|v| v * inputs[1][place] as f64)
            })
        }
        Op::PRelu { slopes, .. } => {
            let slopes = model.f32s(*slopes);
            each(to, |y, x, c| {
                let slope = if value(y, x, c) > 0.0 {
                    1.0
                } else {
                    slopes[c] as f64
                };
                exact(y, x, c).map(|v| v * slope)
            })
        }
        Op::LocalResponseNorm {
            size,
            float: [alpha, beta, bias],
            ..
        } => each(to, |y, x, c| {
            let squares = neighbours(*size, from.c, c).map(|i| value(y, x, i).powi(2));
            let mean = *alpha as f64 / *size as f64 * squares.sum::<f64>();
            exact(y, x, c).map(|v| v / (*bias as f64 + mean).powf(*beta as f64))
        }),
        Op::Shuffle { groups } => each(to, |y, x, c| exact(y, x, shuffled(*groups, from.c, c))),
    }
}

fn conv(
    model: &Model<'_>,
    layer: &Layer<'_>,
    input: &[f32],
    window: &Window,
    groups: u32,
    data: &ConvData,
    depthwise: bool,
) -> Vec<Expected> {
    let &ConvData::F32 {
        weights,
        bias,
        activation,
    } = data
    else {
        panic!("int8 weights in a float model")
    };
    let (from, to) = (layer.inputs[0].shape, layer.output.shape);
    let (weights, bias) = (model.f32s(weights), model.f32s(bias));
    let inputs_each = (from.c / groups) as usize;
    let outputs_each = (to.c / groups) as usize;
    each(to, |y, x, o| {
        let taps = taps(window, from, y, x);
        let mut terms = vec![bias[o] as f64];
        for (tap, pixel) in taps.iter().enumerate() {
            let Some((row, column)) = *pixel else {
                continue;
            };
            for i in 0..inputs_each {
                let v = input[at(from, row, column, o / outputs_each * inputs_each + i)];
                let w = if depthwise {
                    weights[tap * to.c as usize + o]
                } else {
                    weights[(o * taps.len() + tap) * inputs_each + i]
                };
                terms.push(w as f64 * v as f64);
            }
        }
        Expected::sum(terms.into_iter()).map(|v| apply(activation, v))
    })
}

/// The definitions in the documentation of [`Activation`].
fn apply(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let hard_sigmoid = |x: f64| (x + 3.0).clamp(0.0, 6.0) / 6.0;
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu(slope) => {
            if x > 0.0 {
                x
            } else {
                slope as f64 * x
            }
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid => hard_sigmoid(x),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSwish => x * hard_sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::Clip(low, high) => x.max(low as f64).min(high as f64),
    }
}
