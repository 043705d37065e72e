//! A hidden layer in training: a fully connected layer and ReLU.

use super::dense::{Dense, Inputs};
use super::layers::NewHidden;
use crate::head::size::HeadSize;
use crate::model::Quant;

pub(super) struct Hidden<'t> {
    pub dense: Dense<'t>,
    /// Output of the layer.
    pub units: &'t mut [f32],
    /// Gradient of the loss by the units; also scratch.
    errors: &'t mut [f32],
}

impl<'t> Hidden<'t> {
    /// A layer in the memory that `take` gives, or `None` if the head has none.
    pub fn new(size: &HeadSize, take: &mut impl FnMut(usize) -> &'t mut [f32]) -> Option<Self> {
        (size.hidden > 0).then(|| Self {
            dense: Dense::new(size.features, size.hidden, &mut *take),
            units: take(size.hidden),
            errors: take(size.hidden),
        })
    }

    pub fn forward(&mut self, x: &[f32]) {
        self.dense.forward(x, self.units);
        self.units.iter_mut().for_each(|u| *u = u.max(0.0));
    }

    /// Adds `rate` times the gradient for the input `x`, for which the units were computed; `errors` is the
    /// gradient of the loss by the outputs of the next layer.
    pub fn backward(&mut self, x: &[f32], after: &Dense<'_>, errors: &[f32], rate: f32) {
        after.input_errors(errors, self.errors);
        for (error, unit) in self.errors.iter_mut().zip(&*self.units) {
            if *unit <= 0.0 {
                *error = 0.0;
            }
        }
        self.dense.backward(x, self.errors, rate);
    }

    /// The layer in int8. `largest` is the largest value of a unit.
    pub fn quantize(&mut self, inputs: &Inputs<'_>, largest: f32, out: &mut NewHidden<'_>) {
        let steps = &mut *self.errors;
        self.dense.quantize(inputs, out.weights, out.bias, steps);
        out.quant = Quant {
            scale: match largest > 0.0 {
                true => (largest / 255.0).clamp(1e-30, 1e30),
                false => 1.0,
            },
            zero_point: i8::MIN,
        };
        for (j, step) in steps.iter().enumerate() {
            (out.multiplier[j], out.shift[j]) = factor(step / out.quant.scale);
        }
    }
}

/// Multiplier and shift with `f = multiplier / 2^shift`, exactly, or as near as they can represent it.
fn factor(f: f32) -> (i32, u8) {
    const LEAST: f32 = 1.0 / (1u64 << 31) as f32;
    const MOST: f32 = (1 << 29) as f32;
    // What is no number is the least, too.
    let f = if f > LEAST { f.min(MOST) } else { LEAST };
    let bits = f.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let multiplier = 1 << 30 | (bits & 0x007f_ffff) << 7;
    (multiplier as i32, (30 - exponent) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn factors_are_exact(f in 1e-9f32..5e8) {
            let (m, n) = factor(f);
            prop_assert!((1 << 30..=i32::MAX).contains(&m) && (1..=62).contains(&n));
            prop_assert_eq!(m as f64 / (1u64 << n) as f64, f as f64);
        }
    }

    #[test]
    fn factors_out_of_range_are_the_nearest() {
        assert_eq!(factor(0.0), (1 << 30, 61));
        assert_eq!(factor(f32::INFINITY), (1 << 30, 1));
        assert_eq!(factor(f32::NAN), (1 << 30, 61));
    }
}
