//! int8 layers, by the rules of `docs/reference/arithmetic.md`.

use super::{at, each, inside, neighbours, part, shuffled, sliced, taps};
use crate::model::{ConvData, Layer, MapFunction, Model, Op, Rescale, Shape, Window};

/// The decisions that the arithmetic consists of besides sums and products. The default methods are the normative
/// ones; a test overrides one to see that the suite notices.
///
/// Each takes the operator that it decides for.
pub trait Rules: Send + Sync {
    /// `value / 2^shift`, rounded once, half up.
    fn round(&self, _: &Op, value: i128, shift: u8) -> i128 {
        (value + (1 << (shift - 1))) >> shift
    }

    /// What a convolution and `pad` read outside of the input, whose zero point this is.
    fn padding(&self, _: &Op, zero_point: i8) -> i8 {
        zero_point
    }

    /// What takes part in a pooling where its window leaves the input. `None`: nothing does.
    fn pool_padding(&self, _: &Op, _zero_point: i8) -> Option<i8> {
        None
    }

    /// The output's bounds.
    fn clamp(&self, _: &Op, value: i128, low: i8, high: i8) -> i8 {
        value.clamp(low as i128, high as i128) as i8
    }

    /// What an operator that moves elements, or looks them up, does to one.
    fn copy(&self, _: &Op, value: i8) -> i8 {
        value
    }
}

/// The rules as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Normative;

impl Rules for Normative {}

/// The output of a layer for the values of its inputs.
///
/// # Panics
/// If a sum leaves 32 bits, which no layer's may; if the layer is float or packed for a microcontroller.
pub fn layer(model: &Model<'_>, layer: &Layer<'_>, inputs: &[&[i8]], rules: &dyn Rules) -> Vec<i8> {
    let context = Context {
        model,
        layer,
        inputs,
        rules,
    };
    context.run()
}

struct Context<'c> {
    model: &'c Model<'c>,
    layer: &'c Layer<'c>,
    inputs: &'c [&'c [i8]],
    rules: &'c dyn Rules,
}

impl Context<'_> {
    fn run(&self) -> Vec<i8> {
        let (from, to) = (self.layer.inputs[0].shape, self.layer.output.shape);
        let x = self.inputs[0];
        let value = |y, xx, c| x[at(from, y, xx, c)];
        // The first input less its zero point.
        let real = |y, xx, c| self.centred(0, at(from, y, xx, c));
        match &self.layer.op {
            Op::Conv {
                window,
                groups,
                data,
            } => self.conv(window, *groups, data, false),
            Op::DepthwiseConv { window, data } => self.conv(window, to.c, data, true),
            Op::MaxPool { window } => each(to, |y, xx, c| {
                let under = self.under(window, from, [y, xx], c);
                under.into_iter().max().expect("a window covers something")
            }),
            Op::AvgPool {
                window,
                multipliers,
                shift,
                ..
            } => {
                let multipliers = self.model.i32s(*multipliers);
                let zero = self.layer.inputs[0].quant.zero_point as i128;
                each(to, |y, xx, c| {
                    let under = self.under(window, from, [y, xx], c);
                    let sum: i128 = under.iter().map(|q| *q as i128 - zero).sum();
                    // One multiplier where the divisor is always the same.
                    let divisor = if multipliers.len() == 1 {
                        1
                    } else {
                        under.len()
                    };
                    self.scaled(sum, multipliers[divisor - 1], *shift)
                })
            }
            Op::Add {
                multipliers,
                shift,
                clamp,
                ..
            } => each(to, |y, xx, c| {
                let [a, b] =
                    [0, 1].map(|i| self.centred(i, at(from, y, xx, c)) * multipliers[i] as i128);
                self.finish(small(a + b), *shift, clamp[0], clamp[1])
            }),
            Op::Concat { rescale } => each(to, |y, xx, c| {
                let channels = self.layer.inputs.iter().map(|i| i.shape.c);
                let (input, channel) = part(channels, c);
                let Rescale { multiplier, shift } = rescale[input];
                let place = at(self.layer.inputs[input].shape, y, xx, channel);
                self.scaled(self.centred(input, place), multiplier, shift)
            }),
            Op::Map {
                function: MapFunction::Table(table),
            } => {
                let table = self.model.i8s(*table);
                each(to, |y, xx, c| {
                    self.copy(table[(value(y, xx, c) as i32 + 128) as usize])
                })
            }
            Op::Map {
                function: MapFunction::Activation(_),
            } => panic!("a float function in an int8 model"),
            Op::Slice { start, step } => each(to, |y, xx, c| {
                let [y, xx, c] = sliced(start, step, y, xx, c);
                self.copy(value(y, xx, c))
            }),
            Op::Pad { before, .. } => each(to, |y, xx, c| match inside(before, from, [y, xx, c]) {
                Some([y, xx, c]) => value(y, xx, c),
                None => self.padding(),
            }),
            Op::Mul { multiplier, shift } => {
                let other = self.layer.inputs[1].shape;
                each(to, |y, xx, c| {
                    // All elements, or one per channel.
                    let place = if other == to { at(to, y, xx, c) } else { c };
                    let acc = real(y, xx, c) * self.centred(1, place);
                    self.finish(acc * *multiplier as i128, *shift, -128, 127)
                })
            }
            Op::PRelu {
                slopes,
                positive,
                shift,
            } => {
                let slopes = self.model.i32s(*slopes);
                each(to, |y, xx, c| {
                    let value = real(y, xx, c);
                    let m = if value > 0 { *positive } else { slopes[c] };
                    self.scaled(value, m, *shift)
                })
            }
            Op::LocalResponseNorm {
                size,
                table,
                index_shift,
                shift,
                ..
            } => {
                let table = self.model.i32s(*table);
                each(to, |y, xx, c| {
                    let square = |i| real(y, xx, i) * real(y, xx, i);
                    let sum: i128 = neighbours(*size, from.c, c).map(square).sum();
                    self.scaled(real(y, xx, c), factor(table, *index_shift, sum), *shift)
                })
            }
            Op::Shuffle { groups } => each(to, |y, xx, c| {
                self.copy(value(y, xx, shuffled(*groups, from.c, c)))
            }),
        }
    }

    fn conv(&self, window: &Window, groups: u32, data: &ConvData, depthwise: bool) -> Vec<i8> {
        let &ConvData::I8 {
            weights,
            bias,
            multiplier,
            shift,
            clamp: [low, high],
        } = data
        else {
            panic!("float weights, or packed ones")
        };
        let (from, to) = (self.layer.inputs[0].shape, self.layer.output.shape);
        let (weights, bias) = (self.model.i8s(weights), self.model.i32s(bias));
        let (multiplier, shift) = (self.model.i32s(multiplier), self.model.u8s(shift));
        let inputs_each = (from.c / groups) as usize;
        let outputs_each = (to.c / groups) as usize;
        each(to, |y, x, o| {
            let taps = taps(window, from, y, x);
            let mut acc = bias[o] as i64;
            for (tap, pixel) in taps.iter().enumerate() {
                for i in 0..inputs_each {
                    let q = match *pixel {
                        Some((row, column)) => {
                            let channel = o / outputs_each * inputs_each + i;
                            self.inputs[0][at(from, row, column, channel)]
                        }
                        None => self.padding(),
                    };
                    let w = if depthwise {
                        weights[tap * to.c as usize + o]
                    } else {
                        weights[(o * taps.len() + tap) * inputs_each + i]
                    };
                    acc += w as i64 * q as i64;
                }
            }
            let product = small(acc as i128) * multiplier[o] as i128;
            self.finish(product, shift[o], low, high)
        })
    }

    /// The elements under a pooling's window.
    fn under(&self, window: &Window, from: Shape, [y, x]: [usize; 2], c: usize) -> Vec<i8> {
        let zero = self.layer.inputs[0].quant.zero_point;
        let outside = self.rules.pool_padding(&self.layer.op, zero);
        let value = |pixel: Option<(usize, usize)>| match pixel {
            Some((row, column)) => Some(self.inputs[0][at(from, row, column, c)]),
            None => outside,
        };
        taps(window, from, y, x)
            .into_iter()
            .filter_map(value)
            .collect()
    }

    /// An element of input `input` less the input's zero point.
    fn centred(&self, input: usize, place: usize) -> i128 {
        self.inputs[input][place] as i128 - self.layer.inputs[input].quant.zero_point as i128
    }

    fn padding(&self) -> i8 {
        let zero = self.layer.inputs[0].quant.zero_point;
        self.rules.padding(&self.layer.op, zero)
    }

    fn copy(&self, value: i8) -> i8 {
        self.rules.copy(&self.layer.op, value)
    }

    /// `value * multiplier / 2^shift`, all in 32 bits, as an output.
    fn scaled(&self, value: i128, multiplier: i32, shift: u8) -> i8 {
        self.finish(small(value * multiplier as i128), shift, -128, 127)
    }

    fn finish(&self, product: i128, shift: u8, low: i8, high: i8) -> i8 {
        let op = &self.layer.op;
        let zero = self.layer.output.quant.zero_point as i128;
        let rounded = self.rules.round(op, product, shift);
        self.rules.clamp(op, zero + rounded, low, high)
    }
}

/// A number for which 32 bits are enough.
fn small(value: i128) -> i128 {
    assert!(i32::try_from(value).is_ok(), "{value} does not fit 32 bits");
    value
}

/// The factor at a sum of squares in a norm's table: on the line between the two entries around it.
pub(super) fn factor(table: &[i32], index_shift: u8, sum: i128) -> i32 {
    let entry = |i: usize| match index_shift {
        0..=7 => octave_entry(index_shift, i),
        _ => (i as i128) << index_shift,
    };
    let mut i = 0;
    while entry(i + 1) <= sum {
        i += 1;
    }
    let (low, high) = (entry(i), entry(i + 1));
    let f = (sum - low) * 256 / (high - low);
    let [before, after] = [table[i], table[i + 1]].map(i128::from);
    small(before + (small((after - before) * f) >> 8)) as i32
}

/// The sum at entry `i` of a table with `2^pieces` pieces between powers of two: an entry at every whole number
/// below `2^(pieces + 1)`, and then so many to each power of two.
fn octave_entry(pieces: u8, i: usize) -> i128 {
    let per_octave = 1 << pieces;
    if i < 2 * per_octave {
        return i as i128;
    }
    let (octave, piece) = (i / per_octave - 1, i % per_octave);
    let start = (per_octave as i128) << octave;
    start + ((piece as i128) << octave)
}
