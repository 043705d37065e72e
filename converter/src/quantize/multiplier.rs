//! Real factors as a multiplier and a shift, as the format has them.

use edge_runtime::model::Rescale;

/// Significant bits of a multiplier, as many as f32 has.
const BITS: u32 = 24;

/// Multiplier `m` from 2^30 to 2^31 and shift `n` from 1 to 62, so that `m / 2^n` is close to `factor`; `None` if the
/// factor is negative, too large or not finite.
///
/// `m` has 24 significant bits, and the last of them is set: of such numbers it is the nearest, and above `factor` if
/// two are. Then no scaled sum that int8 can hold is halfway between two integers, and kernels may multiply floats
/// instead; see `docs/reference/arithmetic.md`.
///
/// Factors below 2^-32 become the smallest one, which makes the sum of any real layer zero.
pub fn requantize_factor(factor: f64) -> Option<(i32, u8)> {
    if !factor.is_finite() || factor < 0.0 {
        return None;
    }
    let smallest = (1 << 30, 62);
    if factor < 2f64.powi(-32) {
        return Some(smallest);
    }
    // factor = fraction * 2^exponent, fraction in [1/2, 1)
    let (fraction, exponent) = libm::frexp(factor);
    let odd = (fraction * 2f64.powi(BITS as i32)) as i32 | 1;
    let n = 31 - exponent;
    (1..=62)
        .contains(&n)
        .then_some((odd << (31 - BITS), n as u8))
}

/// The largest shift of at most 30 for which `largest * 2^shift` stays within `limit`, or `None`.
pub fn common_shift(largest: f64, limit: f64) -> Option<u8> {
    (1..=30u8)
        .rev()
        .find(|n| largest * 2f64.powi(*n as i32) <= limit)
}

/// `factor * 2^shift`, rounded to nearest: the multiplier for a shift.
pub fn scaled(factor: f64, shift: u8) -> i32 {
    (factor * 2f64.powi(shift as i32)).round() as i32
}

/// Multiplier and shift for values of 9 bits; `None` if the factor is too large.
pub fn rescale(factor: f64) -> Option<Rescale> {
    let shift = common_shift(factor, 2f64.powi(22))?;
    Some(Rescale {
        multiplier: scaled(factor, shift),
        shift,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges() {
        assert_eq!(requantize_factor(0.5), Some(((1 << 30) + 128, 31)));
        assert_eq!(requantize_factor(1.0 - 1e-12), Some((i32::MAX - 127, 31)));
        assert_eq!(requantize_factor(0.0), Some((1 << 30, 62)));
        assert_eq!(requantize_factor(f64::NAN), None);
        assert_eq!(requantize_factor(2f64.powi(30)), None);
        assert_eq!(
            rescale(1.0),
            Some(Rescale {
                multiplier: 1 << 22,
                shift: 22
            })
        );
        assert_eq!(rescale(1e9), None);
    }

    proptest! {
        #[test]
        fn factors_are_close(log in -20.0f64..8.0) {
            let factor = log.exp();
            let (m, n) = requantize_factor(factor).unwrap();
            prop_assert!(m >= 1 << 30);
            prop_assert_eq!(m & 0xFF, 0x80, "24 bits, the last one set");
            prop_assert!((m as f64 / 2f64.powi(n as i32) / factor - 1.0).abs() <= 2f64.powi(-23));
            let r = rescale(factor).unwrap();
            prop_assert!(r.multiplier <= 1 << 22);
            prop_assert!((r.multiplier as f64 / 2f64.powi(r.shift as i32) - factor).abs() <= 1e-6 * factor.max(1e-3));
        }
    }
}
