//! Temperature calibration of an int8 layer: one factor on all its scales, so that its probabilities match
//! how often it is right (Guo, Pleiss, Sun and Weinberger, 2017).
//!
//! The cross-entropy on the held-out samples is convex in the factor, so a search by shrinking steps finds
//! its minimum. The targets are smoothed as in Platt (1999): each of `n` samples has `1 / (n + 2)` of its
//! probability spread over all classes. So a few samples that are all right do not make the layer certain.
//! The steps are constants and the sums have a fixed order, so the factor is the same on every machine.

use super::math;
use super::train::{Layers, TrainingSet};

/// Steps of the search: 2 to the power of 1, 1/2, 1/4, ... 1/32.
const STEPS: [f32; 6] = [
    2.0,
    core::f32::consts::SQRT_2,
    1.189_207_1,
    1.090_507_7,
    1.044_273_8,
    1.021_897_1,
];

/// Largest factor, and the reciprocal of the smallest.
const LIMIT: f32 = 32.0;

/// Multiplies the layer's scales by the factor that makes the held-out samples likeliest, and returns it; 1
/// if no sample is held out. The order of the logits does not change. `logits` is scratch, one value per
/// class.
pub fn calibrate(samples: &impl TrainingSet, layer: &mut Layers<'_>, logits: &mut [f32]) -> f32 {
    let held_out = || (0..samples.len()).filter(|&i| samples.held_out(i));
    let smoothing = 1.0 / (held_out().count() as f32 + 2.0);
    let each = smoothing / logits.len() as f32;
    let mut loss = |factor: f32| {
        let mut sum = 0.0f32;
        for i in held_out() {
            layer.logits(samples.feature(i), logits);
            logits.iter_mut().for_each(|l| *l *= factor);
            math::softmax(logits);
            let surprise = |p: f32| -math::ln(p.max(1e-30));
            sum += (1.0 - smoothing) * surprise(logits[samples.label(i)]);
            sum += each * logits.iter().fold(0.0, |s, p| s + surprise(*p));
        }
        sum
    };
    let (mut best, mut factor) = (loss(1.0), 1.0f32);
    if best == 0.0 {
        return 1.0;
    }
    for step in STEPS {
        for step in [step, 1.0 / step] {
            loop {
                let next = factor * step;
                if !(1.0 / LIMIT..=LIMIT).contains(&next) {
                    break;
                }
                let found = loss(next);
                if found >= best {
                    break;
                }
                (best, factor) = (found, next);
            }
        }
    }
    layer.sharpen(factor);
    factor
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes told apart by one number; every fourth sample lies on the wrong side.
    struct Coin(usize);

    impl TrainingSet for Coin {
        fn len(&self) -> usize {
            self.0
        }
        fn label(&self, i: usize) -> usize {
            i % 2
        }
        fn held_out(&self, _: usize) -> bool {
            true
        }
        fn feature(&self, i: usize) -> &[i8] {
            let wrong = i % 8 >= 6;
            if i.is_multiple_of(2) != wrong {
                &[10]
            } else {
                &[-10]
            }
        }
    }

    fn calibrated(scale: f32, samples: usize) -> (f32, f32) {
        let (mut weights, mut bias, mut scale) = ([1, -1], [0, 0], [scale; 2]);
        let mut layer = Layers {
            hidden: None,
            weights: &mut weights,
            bias: &mut bias,
            scale: &mut scale,
        };
        let factor = calibrate(&Coin(samples), &mut layer, &mut [0.0; 2]);
        let mut logits = [0.0; 2];
        layer.logits(&[10], &mut logits);
        math::softmax(&mut logits);
        (factor, logits[0])
    }

    #[test]
    fn as_sure_as_it_is_right() {
        for scale in [0.01, 0.2, 1.0] {
            let (factor, sure) = calibrated(scale, 400);
            assert!((sure - 0.75).abs() < 0.01, "{scale}: {factor}, {sure}");
        }
        assert_eq!(calibrated(0.2, 0).0, 1.0);
        // Six samples that are all right: not certain, but surer than the one in four.
        let (_, sure) = calibrated(0.2, 6);
        assert!((0.8..0.95).contains(&sure), "{sure}");
    }
}
