//! The table of an int8 local response normalization.

use super::multiplier::{common_shift, scaled};
use crate::graph::LocalResponseNorm;
use edge_runtime::model::norm_table::Octaves;

/// Steps of the output per step of the input, by the sum of squares of the input's steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// For which sums there are entries.
    pub octaves: Octaves,
    /// The factor of each entry, times `2^shift`.
    pub factors: Vec<i32>,
    /// Shift of every product with a factor.
    pub shift: u8,
}

/// Larger factors are cut to this one. An output has 256 steps, so that a factor of 256 saturates on the
/// smallest input already. It is twice that, because the straight line to the next entry has to saturate too,
/// and the next entry is more than half of this one.
const LARGEST: f64 = 512.0;

/// `LARGEST * 2^13` is 2^22.
const LEAST_SHIFT: u8 = 13;

/// Most error of the straight line between two entries, relative to the factor: an eighth of a step at the
/// ends of the output's range.
const TOLERANCE: f64 = 5e-4;

impl Table {
    /// The table for an input of `channels` channels. `step` is the real value of one step of the input;
    /// `step_ratio` is that value divided by the one of the output.
    ///
    /// The factor is a power of `bias + alpha / size * sum`, so a piece of an octave is nearly straight,
    /// however many octaves there are (see `bits`). One shift serves all of them. Entries are rounded and
    /// lines are cut to whole units of `2^-shift`. No factor is above `LARGEST`, so that such a unit is at
    /// most `2^-13`, and an output is off by at most `255 * 1.5 / 2^13 < 0.05` steps, however small its
    /// factor. Products of a 9-bit number and a factor of at most 2^22 stay below 2^30.
    pub fn new(norm: &LocalResponseNorm, channels: u32, step: f64, step_ratio: f64) -> Self {
        let octaves = Octaves::new(bits(norm.beta as f64));
        let per_unit = norm.alpha as f64 / norm.size as f64 * step * step;
        let factor = |sum: u32| {
            let base = norm.bias as f64 + per_unit * sum as f64;
            step_ratio * base.powf(-norm.beta as f64)
        };
        // An input that is not zero adds at least 1 to its sum. For an input of zero the factor does not
        // matter.
        let largest = factor(1).min(LARGEST);
        let shift = common_shift(largest, 2f64.powi(22)).unwrap_or(LEAST_SHIFT);
        let entries = octaves.entries(norm.size.min(channels)) as u32;
        let factors = (0..entries).map(|i| scaled(factor(octaves.sum_at(i)).min(largest), shift));
        Self {
            octaves,
            factors: factors.collect(),
            shift,
        }
    }
}

/// How many pieces an octave needs, as a power of two, for the error of a power `-beta` to stay within
/// [`TOLERANCE`].
///
/// In a piece from `x` to `x + h` the line lies above the curve by at most `h^2 / 8` times the second
/// derivative, `beta * (beta + 1) * x^(-beta-2)`. A position in the piece is cut to 256ths, which adds at
/// most `h / 256` times the first derivative, `beta * x^(-beta-1)`. `h / x` is at most `2^-bits`. A bias only
/// makes the curve flatter. With the largest number of pieces, the error of powers up to 5 is within the
/// tolerance, and that of powers up to 80 within half of the factor.
fn bits(beta: f64) -> u8 {
    let error = |bits: u8| {
        let h = 0.5f64.powi(bits as i32);
        beta * (beta + 1.0) * h * h / 8.0 + beta * h / 256.0
    };
    (0..7).find(|b| error(*b) <= TOLERANCE).unwrap_or(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::kernels::{NormParams, portable};
    use edge_runtime::model::norm_table::NormTable;
    use proptest::prelude::*;

    /// What a step of the output may be off: half a step of rounding, and what [`Table::new`] states.
    fn allowed(exact: f64, beta: f64) -> f64 {
        0.55 + if beta <= 5.0 { 1.1 * TOLERANCE } else { 0.01 } * exact.abs()
    }

    /// Every output of a pixel as far from the formula in f64 as is allowed, at most.
    fn check(norm: &LocalResponseNorm, pixel: &[i8], zero_points: [i8; 2], step: f64, ratio: f64) {
        let channels = pixel.len();
        let table = Table::new(norm, channels as u32, step, ratio);
        assert!(table.factors.iter().all(|f| (0..=1 << 22).contains(f)));
        let spacing = NormTable::new(table.octaves.index_shift());
        assert_eq!(
            spacing.entries(norm.size, channels as u32),
            Some(table.factors.len())
        );
        let params = NormParams {
            channels,
            size: norm.size as usize,
            table: &table.factors,
            spacing,
            shift: table.shift,
            input_zero_point: zero_points[0],
            output_zero_point: zero_points[1],
        };
        let mut out = vec![0; channels];
        portable::norm(&params, pixel, &mut out);
        let steps = |c: usize| pixel[c] as f64 - zero_points[0] as f64;
        for (c, q) in out.iter().enumerate() {
            let first = (c + 1).saturating_sub(norm.size.div_ceil(2) as usize);
            let last = (c + norm.size as usize / 2).min(channels - 1);
            let squares: f64 = (first..=last).map(|i| (steps(i) * step).powi(2)).sum();
            let base = norm.bias as f64 + norm.alpha as f64 / norm.size as f64 * squares;
            let exact = if steps(c) == 0.0 {
                0.0
            } else {
                steps(c) * ratio * base.powf(-norm.beta as f64)
            };
            let exact = (exact + zero_points[1] as f64).clamp(-128.0, 127.0);
            let off = (*q as f64 - exact).abs();
            let most = allowed(exact - zero_points[1] as f64, norm.beta as f64);
            assert!(
                off <= most,
                "{q} for {exact} at {c} of {pixel:?}, {norm:?}, step {step}, ratio {ratio}"
            );
        }
    }

    #[test]
    fn large_activations_of_caffes_networks() {
        // Raw pixels: up to 40000 before the norm of AlexNet, and at most 139 behind it.
        let norm = LocalResponseNorm {
            size: 5,
            alpha: 1e-4,
            beta: 0.75,
            bias: 1.0,
        };
        let step = 40000.0 / 255.0;
        for top in -128..=127 {
            let pixel: Vec<i8> = (0..96)
                .map(|c: i32| (top - c * c % 97).max(-128) as i8)
                .collect();
            check(&norm, &pixel, [-128, -128], step, step / (139.0 / 255.0));
        }
    }

    #[test]
    fn a_factor_without_end_saturates() {
        // A bias of next to nothing under a large power, and an output of one step.
        for (bias, beta, ratio) in [
            (1e-30, 5.0, 1.0),
            (f32::MIN_POSITIVE, 40.0, 1e30),
            (1.0, 0.75, 1e9),
        ] {
            let norm = LocalResponseNorm {
                size: 3,
                alpha: 0.0,
                beta,
                bias,
            };
            check(&norm, &[-3, -2, -1, 0, 1, 127, -128], [-1, 0], 1.0, ratio);
        }
    }

    #[test]
    fn as_few_pieces_as_the_power_allows() {
        let expected = [
            (0.0, 0),
            (0.5, 4),
            (0.75, 5),
            (1.0, 5),
            (2.0, 6),
            (5.0, 7),
            (1e30, 7),
        ];
        for (beta, least) in expected {
            assert_eq!(bits(beta), least, "{beta}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn factors_follow_the_formula(
            pixel in proptest::collection::vec(any::<i8>(), 1..40), size in 1u32..80, zero_points: [i8; 2],
            alpha in -7f64..2.0, beta in prop_oneof![Just(0.5f32), Just(0.75), Just(1.0), 0f32..5.0, 5f32..20.0],
            bias in prop_oneof![Just(1f32), Just(2.0), Just(1e-3), Just(1e-20), 0.01f32..10.0],
            step in -5f64..3.0, largest in -3f64..3.0, typical in 0u32..1 << 20,
        ) {
            let norm = LocalResponseNorm { size, alpha: 10f64.powf(alpha) as f32, beta, bias };
            // The output's scale such that a typical sum's factor is anything from useless to too large.
            let step = 10f64.powf(step);
            let base = bias as f64 + norm.alpha as f64 / size as f64 * step * step * typical as f64;
            check(&norm, &pixel, zero_points, step, 10f64.powf(largest) * base.powf(beta as f64));
        }
    }
}
