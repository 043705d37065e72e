//! int8 weights of convolutions and fully connected layers, with a step of its own for every output channel.

use super::bias;
use super::error::Problem;
use crate::graph::ConvWeights;
use edge_runtime::head::file::MAX_CLASS_SCALE;
use edge_runtime::model::Quant;

/// The weights of one layer, and what its sums stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// OHWI, as [`ConvWeights::weights`]; from -127 to 127.
    pub weights: Vec<i8>,
    /// One per output channel, in steps of its sum. The input's zero point is folded in.
    pub bias: Vec<i32>,
    /// Real value of one step of the sum, per output channel.
    pub accumulator_scale: Vec<f32>,
}

/// Quantizes the weights of one layer: symmetric, with a step per output channel. Weights that were int8 in
/// the source keep their steps and codes.
///
/// `input` is the quantization of the layer's input, `input_means` the mean of each of the input's channels
/// on the calibration pictures (empty if unknown). With them, the bias takes back what rounding the weights
/// adds to the output on average, see [`bias::correction`].
///
/// # Errors
/// If a weight is not finite, or if a sum could leave 32 bits: `|bias| + 128 * sum|w|` stays below `2^31`.
pub fn quantize_weights(
    conv: &ConvWeights,
    input: Quant,
    input_means: &[f32],
) -> Result<QuantizedWeights, Problem> {
    let mut out = QuantizedWeights {
        weights: Vec::with_capacity(conv.weights.len()),
        bias: vec![],
        accumulator_scale: vec![],
    };
    let per_channel = conv.weights.len() / conv.out_channels;
    for (c, filter) in conv.weights.chunks_exact(per_channel).enumerate() {
        let bias = conv.bias[c] as f64;
        if !bias.is_finite() || filter.iter().any(|w| !w.is_finite()) {
            let why = "a weight is not a finite number; the network is broken";
            return Err(Problem::of_channel(c, why));
        }
        let given = given_step(conv, c, filter);
        let step = given
            .unwrap_or(largest(filter) / 127.0)
            .max(least_step(bias, input))
            .max(1e-30);
        let weights = round(filter, step);
        // Codes of the source have no rounding error.
        let correction = match given {
            None => bias::correction(conv, c, &weights, step, input_means),
            Some(_) => 0.0,
        };
        let accumulator_scale = step * input.scale as f64;
        let folded = bias::fold(bias - correction, accumulator_scale, input, &weights);
        let folded = folded.ok_or_else(|| {
            let why = "its sum can overflow 32 bits; the layer is too wide for int8";
            Problem::of_channel(c, why)
        })?;
        if accumulator_scale > f64::from(MAX_CLASS_SCALE) {
            let why = "its weights are too large for any picture's sum";
            return Err(Problem::of_channel(c, why));
        }
        out.weights.extend(weights);
        out.bias.push(folded);
        out.accumulator_scale.push(accumulator_scale as f32);
    }
    Ok(out)
}

/// Largest magnitude of a channel's weights.
fn largest(filter: &[f32]) -> f64 {
    filter.iter().fold(0f32, |m, w| m.max(w.abs())) as f64
}

/// The step that the source gives the weights of output channel `c`. Zeros are whole multiples of any step,
/// and a coarse one would only round the bias, so that a channel of zeros has none.
fn given_step(conv: &ConvWeights, c: usize, filter: &[f32]) -> Option<f64> {
    let step = conv.weight_scales.as_ref()?[c] as f64;
    (largest(filter) > 0.0).then_some(step)
}

/// The smallest step with which the sum still has room for the bias. It counts where a channel's weights are
/// (nearly) zero, and where a given step is, because a batch norm that was folded in has switched the channel
/// off.
fn least_step(bias: f64, input: Quant) -> f64 {
    bias.abs() / (input.scale as f64 * (1 << 28) as f64)
}

/// The nearest multiple of `step` for every weight.
fn round(filter: &[f32], step: f64) -> Vec<i8> {
    filter
        .iter()
        .map(|w| (*w as f64 / step).round().clamp(-127.0, 127.0) as i8)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Window};

    const INPUT: Quant = Quant {
        scale: 0.5,
        zero_point: -3,
    };

    fn conv(weights: &[f32], bias: &[f32], weight_scales: Option<&[f32]>) -> ConvWeights {
        ConvWeights {
            window: Window::POINT,
            groups: 1,
            out_channels: bias.len(),
            weights: weights.into(),
            bias: bias.into(),
            activation: Activation::None,
            statistics: None,
            weight_scales: weight_scales.map(Into::into),
        }
    }

    #[test]
    fn every_channel_has_a_step_of_its_own() {
        let conv = conv(&[1.27, -0.5, 0.0, -254.0], &[1.0, -8.0], None);
        let q = quantize_weights(&conv, INPUT, &[]).unwrap();
        assert_eq!(q.weights, [127, -50, 0, -127]);
        // 1.0 / (0.01 * 0.5) + 3 * (127 - 50), and -8.0 / (2.0 * 0.5) - 3 * 127.
        assert_eq!(q.bias, [431, -389]);
        assert!((q.accumulator_scale[0] - 0.005).abs() < 1e-9);
        assert_eq!(q.accumulator_scale[1], 1.0);
    }

    #[test]
    fn weights_of_an_int8_source_keep_their_codes() {
        // 0.8 is no multiple of 0.25; nothing is corrected all the same.
        let given = conv(&[0.8, -0.5, 0.25], &[0.0], Some(&[0.25]));
        let q = quantize_weights(&given, INPUT, &[10.0, 2.0, 3.0]).unwrap();
        assert_eq!((q.weights, q.bias), (vec![3, -2, 1], vec![6]));
        assert_eq!(q.accumulator_scale, [0.125]);
    }

    #[test]
    fn the_bias_takes_back_what_rounding_adds() {
        let weights = conv(&[12.7, 0.24], &[0.0], None);
        let plain = quantize_weights(&weights, INPUT, &[]).unwrap();
        let corrected = quantize_weights(&weights, INPUT, &[0.0, 25.0]).unwrap();
        assert_eq!(plain.weights, [127, 2]);
        // 0.24 became 0.2: 0.04 * 25 is missing, which is 20 steps of 0.05.
        assert_eq!(corrected.bias[0] - plain.bias[0], 20);
    }

    #[test]
    fn a_channel_of_zeros_still_has_its_bias() {
        for scales in [None, Some(&[1e6f32][..]), Some(&[0.0])] {
            let q = quantize_weights(&conv(&[0.0; 4], &[100.0], scales), INPUT, &[]).unwrap();
            let real = q.bias[0] as f64 * q.accumulator_scale[0] as f64;
            assert!((real - 100.0).abs() < 1e-4, "{scales:?}: {real}");
        }
    }

    #[test]
    fn what_no_int8_layer_can_compute_is_refused() {
        let problem = |conv: &ConvWeights, input| quantize_weights(conv, input, &[]).unwrap_err();
        let broken = problem(&conv(&[1.0, f32::NAN], &[0.0, 0.0], None), INPUT);
        assert_eq!(broken.channel, Some(1));
        assert!(
            problem(&conv(&[1.0], &[f32::INFINITY], None), INPUT)
                .what
                .contains("finite")
        );
        let wide = conv(&vec![1.0; 140_000], &[0.0], None);
        assert!(problem(&wide, INPUT).what.contains("32 bits"));
        let coarse = Quant {
            scale: 1e30,
            ..INPUT
        };
        let large = problem(&conv(&[1e30], &[0.0], None), coarse);
        assert!(large.what.contains("too large"), "{}", large.what);
    }
}
