//! The bias of an int8 layer: what rounding the weights did to the output on average is taken back, and the
//! input's zero point is folded in.

use crate::graph::ConvWeights;
use edge_runtime::model::Quant;

/// What rounding the weights of output channel `c` adds to its output on average, to be subtracted from the
/// bias: the sum over the weights of the rounding error times the mean of the input's channel (bias
/// correction; Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019).
///
/// `rounded` are the channel's int8 weights, `step` is the real value of one step of them. The result is 0 if
/// `input_means` is not one number per input channel: nothing was observed, or the input is a flattened map.
pub fn correction(
    conv: &ConvWeights,
    c: usize,
    rounded: &[i8],
    step: f64,
    input_means: &[f32],
) -> f64 {
    if input_means.is_empty() || !input_means.len().is_multiple_of(conv.groups) {
        return 0.0;
    }
    let per_group = input_means.len() / conv.groups;
    let group = c / (conv.out_channels / conv.groups);
    let means = &input_means[group * per_group..][..per_group];
    let per_channel = conv.weights.len() / conv.out_channels;
    let real = &conv.weights[c * per_channel..][..per_channel];
    let errors = real
        .iter()
        .zip(rounded)
        .map(|(w, q)| *q as f64 * step - *w as f64);
    errors
        .zip(means.iter().cycle())
        .map(|(error, mean)| error * *mean as f64)
        .sum()
}

/// The bias in steps of the sum (`accumulator_scale`), less what the input's zero point adds to every sum.
/// `None` if a sum could overflow 32 bits on some input.
pub fn fold(bias: f64, accumulator_scale: f64, input: Quant, weights: &[i8]) -> Option<i32> {
    let sum: i64 = weights.iter().map(|w| *w as i64).sum();
    let magnitude: i64 = weights.iter().map(|w| w.unsigned_abs() as i64).sum();
    let steps = (bias / accumulator_scale).round() as i64;
    let folded = steps.saturating_sub(input.zero_point as i64 * sum);
    let largest = folded.saturating_abs().saturating_add(128 * magnitude);
    (largest <= i32::MAX as i64).then_some(folded as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Window};

    /// Two groups of two input channels and one output channel each, 1x1.
    fn grouped() -> ConvWeights {
        ConvWeights {
            window: Window::POINT,
            groups: 2,
            out_channels: 2,
            weights: vec![0.9, 2.2, 1.0, -3.4],
            bias: vec![0.0; 2],
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        }
    }

    #[test]
    fn the_mean_error_of_each_group() {
        let means = [10.0, 1.0, 5.0, 2.0];
        let first = correction(&grouped(), 0, &[1, 2], 1.0, &means);
        assert!((first - (0.1 * 10.0 - 0.2)).abs() < 1e-6, "{first}");
        let second = correction(&grouped(), 1, &[1, -3], 1.0, &means);
        assert!((second - 0.4 * 2.0).abs() < 1e-6, "{second}");
    }

    #[test]
    fn no_means_no_correction() {
        for means in [&[][..], &[1.0, 2.0, 3.0]] {
            assert_eq!(correction(&grouped(), 0, &[1, 2], 1.0, means), 0.0);
        }
    }

    #[test]
    fn the_zero_point_is_taken_out_of_every_sum() {
        let input = Quant {
            scale: 1.0,
            zero_point: -128,
        };
        assert_eq!(fold(2.5, 0.5, input, &[3, -1]), Some(5 + 128 * 2));
        assert_eq!(fold(1e9, 0.5, input, &[3, -1]), Some(2_000_000_000 + 256));
        assert_eq!(fold(1.1e9, 0.5, input, &[3, -1]), None);
        assert_eq!(fold(f64::MAX, 0.5, input, &[127]), None);
    }
}
