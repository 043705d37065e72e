//! Real factors as a multiplier and a shift, as the format has them.

use edge_runtime::model::Rescale;

/// Multiplier `m` from 2^30 to 2^31 and shift `n` from 1 to 62, so that `m / 2^n` is nearest to `factor`;
/// `None` if the factor is negative, too large or not finite.
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
    let mut m = (fraction * 2f64.powi(31)).round() as i64;
    let mut n = 31 - exponent;
    if m == 1 << 31 {
        m >>= 1;
        n -= 1;
    }
    (1..=62).contains(&n).then_some((m as i32, n as u8))
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
        assert_eq!(requantize_factor(0.5), Some((1 << 30, 31)));
        assert_eq!(requantize_factor(1.0 - 1e-12), Some((1 << 30, 30)));
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
            prop_assert!((m as f64 / 2f64.powi(n as i32) / factor - 1.0).abs() < 1e-9);
            let r = rescale(factor).unwrap();
            prop_assert!(r.multiplier <= 1 << 22);
            prop_assert!((r.multiplier as f64 / 2f64.powi(r.shift as i32) - factor).abs() <= 1e-6 * factor.max(1e-3));
        }
    }
}
