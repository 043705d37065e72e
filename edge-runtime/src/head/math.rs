//! The real functions that training needs, made of IEEE additions, multiplications and divisions in a fixed
//! order, so that every machine gives the same bits. No fused multiply-add, no libm.

/// `exp(x)`, within 2 units in the last place for results in f32's normal range; 0 below -87, and
/// `exp(88)` above 88.
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = core::f32::consts::LOG2_E;
    // ln 2 in two parts, the first with few enough bits that `n * LN2_HIGH` is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    if x < -87.0 {
        return 0.0;
    }
    let x = if x > 88.0 { 88.0 } else { x };
    let scaled = x * LOG2_E;
    let n = (if scaled < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32;
    let r = (x - n as f32 * LN2_HIGH) - n as f32 * LN2_LOW;
    // Cephes' polynomial for exp on [-ln2/2, ln2/2].
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let y = p * (r * r) + r + 1.0;
    y * f32::from_bits(((n + 127) as u32) << 23)
}

/// Natural logarithm of a positive normal number, within 3 units in the last place or 1e-7.
pub fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 23) as i32 - 126;
    let mut m = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    if m < core::f32::consts::FRAC_1_SQRT_2 {
        m += m;
        exponent -= 1;
    }
    // ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.172
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 2.0 / 11.0;
    p = p * z + 2.0 / 9.0;
    p = p * z + 2.0 / 7.0;
    p = p * z + 2.0 / 5.0;
    p = p * z + 2.0 / 3.0;
    p = p * z + 2.0;
    let e = exponent as f32;
    e * 0.693_359_4 + (s * p + e * -2.121_944_4e-4)
}

/// Square root, correctly rounded by the hardware or libm.
pub fn sqrt(x: f32) -> f32 {
    libm::sqrtf(x)
}

/// Sum of products: in eight lanes, whose sums are added in order. The order is the same on every machine,
/// and suits vector units.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a8.remainder().iter().zip(b8.remainder());
    for (a, b) in a8.zip(b8) {
        for k in 0..8 {
            lanes[k] += a[k] * b[k];
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(rest) {
        *lane += a * b;
    }
    lanes.iter().fold(0.0, |s, lane| s + lane)
}

/// Replaces logits by probabilities and returns the index of the largest.
pub fn softmax(logits: &mut [f32]) -> usize {
    let best = argmax(logits);
    let max = logits.get(best).copied().unwrap_or(0.0);
    let mut sum = 0.0;
    for v in logits.iter_mut() {
        *v = exp(*v - max);
        sum += *v;
    }
    for v in logits.iter_mut() {
        *v /= sum;
    }
    best
}

/// `1 / (1 + exp(-x))`, from 0 to 1.
pub fn sigmoid(x: f32) -> f32 {
    // exp of a negative number: no overflow on either side.
    let e = exp(-x.abs());
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

/// Index of the largest value, the first of equal ones; 0 for an empty slice.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_bits() {
        // The same on every machine, or a head trained on a device differs from the simulation's.
        let bits = [-86.5, -3.25, -0.1, 0.0, 0.7, 12.0, 87.9].map(|x| exp(x).to_bits());
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-100.0), 0.0);
        let close = [-86.5f64, -3.25, -0.1, 0.0, 0.7, 12.0, 87.9].map(|x| (x as f32) as f64);
        for (b, x) in bits.iter().zip(close) {
            let (got, want) = (f32::from_bits(*b) as f64, x.exp());
            assert!((got / want - 1.0).abs() < 2.5e-7, "exp({x}) = {got}");
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn sigmoid_of_extremes() {
        assert_eq!(
            [-1e30, -100.0, 0.0, 100.0, 1e30].map(sigmoid),
            [0.0, 0.0, 0.5, 1.0, 1.0]
        );
    }

    #[test]
    fn softmax_of_extremes() {
        let mut v = [1e30, -1e30, 0.0];
        assert_eq!(softmax(&mut v), 0);
        assert_eq!(v, [1.0, 0.0, 0.0]);
        let mut even = [5.0; 4];
        softmax(&mut even);
        assert_eq!(even, [0.25; 4]);
    }

    proptest! {
        #[test]
        fn exp_is_close(x in -86.0f32..87.0) {
            let exact = (x as f64).exp();
            prop_assert!((exp(x) as f64 / exact - 1.0).abs() < 2.5e-7);
        }

        #[test]
        fn sigmoid_is_close(x in -80.0f32..80.0) {
            let exact = 1.0 / (1.0 + (-x as f64).exp());
            prop_assert!((sigmoid(x) as f64 / exact - 1.0).abs() < 5e-7);
        }

        #[test]
        fn ln_is_close(x in 1e-30f32..1e30) {
            let exact = (x as f64).ln();
            prop_assert!((ln(x) as f64 - exact).abs() < 1e-7 + exact.abs() * 3e-7);
        }

        #[test]
        fn dot_is_close(v in proptest::collection::vec((-1.0f32..1.0, -1.0f32..1.0), 0..40)) {
            let (a, b): (Vec<f32>, Vec<f32>) = v.iter().copied().unzip();
            let exact: f64 = v.iter().map(|(a, b)| *a as f64 * *b as f64).sum();
            prop_assert!((dot(&a, &b) as f64 - exact).abs() < 1e-5);
        }
    }
}
