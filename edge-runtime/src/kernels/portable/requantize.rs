//! From accumulators and 9-bit differences back to int8: one rounding, half up.

use crate::kernels::{RequantizeParams, Sums};
use crate::model::Rescale;

/// `clamp(zero_point + ((acc * multiplier + 2^(shift-1)) >> shift))`, the product in 64 bits.
///
/// `multiplier` is in [2^30, 2^31) and `shift` in [1, 62], so nothing overflows. Normative:
/// `docs/reference/arithmetic.md`; the same as CMSIS-NN's single rounding.
#[inline(always)]
pub fn requantize(acc: i32, multiplier: i32, shift: u8, zero_point: i8, clamp: [i8; 2]) -> i8 {
    // The wrapping forms never wrap here; they spare builds with overflow checks the checks.
    let half = 1i64 << shift.wrapping_sub(1);
    let scaled = (acc as i64 * multiplier as i64).wrapping_add(half) >> shift;
    scaled
        .wrapping_add(zero_point as i64)
        .clamp(clamp[0] as i64, clamp[1] as i64) as i8
}

impl RequantizeParams<'_> {
    /// Output of `channel` for its sum, the bias included.
    #[inline(always)]
    pub(super) fn finish(&self, channel: usize, acc: i32) -> i8 {
        let (m, n) = (self.multiplier[channel], self.shift[channel]);
        requantize(acc, m, n, self.zero_point, self.clamp)
    }
}

/// Adds the bias to the sums of all pixels and requantizes them.
#[inline(always)]
pub fn requantize_sums(p: &RequantizeParams<'_>, sums: Sums<'_>, output: &mut [i8]) {
    match sums {
        Sums::I32(sums) => each_sum(p, sums, |sum| sum, output),
        Sums::F32(sums) => each_sum(p, sums, |sum| sum as i32, output),
    }
}

#[inline(always)]
fn each_sum<T: Copy>(
    p: &RequantizeParams<'_>,
    sums: &[T],
    to_i32: impl Fn(T) -> i32,
    output: &mut [i8],
) {
    let channels = p.bias.len().max(1);
    let pixels = output
        .chunks_exact_mut(channels)
        .zip(sums.chunks_exact(channels));
    for (out, sums) in pixels {
        let per_channel = p.bias.iter().zip(p.multiplier).zip(p.shift);
        for ((q, sum), ((bias, m), n)) in out.iter_mut().zip(sums).zip(per_channel) {
            let acc = to_i32(*sum).wrapping_add(*bias);
            *q = requantize(acc, *m, *n, p.zero_point, p.clamp);
        }
    }
}

/// `zero_point_out + (((q - zero_point_in) * multiplier + 2^(shift-1)) >> shift)`, saturated, in 32 bits.
#[inline(always)]
pub fn rescale(q: i8, zero_point_in: i8, by: Rescale, zero_point_out: i8) -> i8 {
    let scaled =
        ((q as i32 - zero_point_in as i32) * by.multiplier + (1 << (by.shift - 1))) >> by.shift;
    saturate(scaled + zero_point_out as i32, [i8::MIN, i8::MAX])
}

/// Clamps to the output's bounds.
#[inline(always)]
pub fn saturate(value: i32, clamp: [i8; 2]) -> i8 {
    value.clamp(clamp[0] as i32, clamp[1] as i32) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: [i8; 2] = [i8::MIN, i8::MAX];

    #[test]
    fn rounds_half_up_once() {
        // m / 2^n = 1/2: halves go towards plus infinity.
        let half = |acc| requantize(acc, 1 << 30, 31, 0, FULL);
        assert_eq!(
            [half(1), half(-1), half(3), half(-3), half(2)],
            [1, 0, 2, -1, 1]
        );
    }

    #[test]
    fn extremes_do_not_overflow() {
        for acc in [i32::MIN, i32::MAX] {
            for m in [1 << 30, i32::MAX] {
                for n in [1, 31, 62] {
                    let q = requantize(acc, m, n, 127, [-5, 6]);
                    assert!((-5..=6).contains(&q));
                }
            }
        }
        assert_eq!(requantize(i32::MAX, i32::MAX, 62, 0, FULL), 1);
    }

    proptest! {
        #[test]
        fn equals_exact_arithmetic(acc: i32, m in 1i32 << 30..=i32::MAX, n in 1u8..=62, zp: i8) {
            let exact = (acc as i128 * m as i128 + (1i128 << (n - 1))).div_euclid(1i128 << n) + zp as i128;
            prop_assert_eq!(requantize(acc, m, n, zp, FULL) as i128, exact.clamp(-128, 127));
        }

        #[test]
        fn rescale_by_one_moves_the_zero_point(q: i8, a: i8, b: i8) {
            let expected = (q as i32 - a as i32 + b as i32).clamp(-128, 127);
            prop_assert_eq!(rescale(q, a, Rescale::ONE, b) as i32, expected);
        }
    }
}
