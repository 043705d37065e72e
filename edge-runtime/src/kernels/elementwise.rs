//! Sum and product of two tensors, and functions of single elements.

use super::requantize::{requantize, saturate};

/// The numbers of an int8 addition; see [`crate::model::Op::Add`].
#[derive(Clone, Copy, Debug)]
pub struct AddParams {
    /// Zero points of the two inputs.
    pub zero_points: [i8; 2],
    /// Multipliers of the two inputs, at most 2^21 in magnitude.
    pub multipliers: [i32; 2],
    /// Common shift, 1 to 30.
    pub shift: u8,
    /// Added after scaling.
    pub output_zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
}

impl AddParams {
    /// The sum of two elements.
    #[inline(always)]
    pub fn apply(&self, a: i8, b: i8) -> i8 {
        let a = (a as i32 - self.zero_points[0] as i32) * self.multipliers[0];
        let b = (b as i32 - self.zero_points[1] as i32) * self.multipliers[1];
        let scaled = (a + b + (1 << (self.shift - 1))) >> self.shift;
        saturate(scaled + self.output_zero_point as i32, self.clamp)
    }
}

/// `output[i] = a[i] + b[i]`, rescaled. All three have one length.
pub fn add(p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    #[cfg(all(feature = "arm-mve", target_arch = "arm"))]
    return super::arm::mve::add(p, a, b, output);
    #[cfg(not(all(feature = "arm-mve", target_arch = "arm")))]
    for ((q, a), b) in output.iter_mut().zip(a).zip(b) {
        *q = p.apply(*a, *b);
    }
}

/// As [`add`], the first input being overwritten.
pub fn add_in_place(p: &AddParams, a: &mut [i8], b: &[i8]) {
    #[cfg(all(feature = "arm-mve", target_arch = "arm"))]
    return super::arm::mve::add_in_place(p, a, b);
    #[cfg(not(all(feature = "arm-mve", target_arch = "arm")))]
    for (a, b) in a.iter_mut().zip(b) {
        *a = p.apply(*a, *b);
    }
}

/// The numbers of an int8 product; see [`crate::model::Op::Mul`].
#[derive(Clone, Copy, Debug)]
pub struct MulParams {
    /// Zero points of the two inputs.
    pub zero_points: [i8; 2],
    /// In [2^30, 2^31).
    pub multiplier: i32,
    /// In [1, 62].
    pub shift: u8,
    /// Added after scaling.
    pub output_zero_point: i8,
}

impl MulParams {
    #[inline(always)]
    fn apply(&self, a: i8, b: i8) -> i8 {
        let a = a as i32 - self.zero_points[0] as i32;
        let b = b as i32 - self.zero_points[1] as i32;
        let full = [i8::MIN, i8::MAX];
        requantize(
            a * b,
            self.multiplier,
            self.shift,
            self.output_zero_point,
            full,
        )
    }
}

/// `output[i] = a[i] * b[i % b.len()]`, rescaled: `b` is as long as `a`, or has one value per channel.
pub fn mul(p: &MulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    for (out, a) in output.chunks_mut(b.len()).zip(a.chunks(b.len())) {
        for ((q, a), b) in out.iter_mut().zip(a).zip(b) {
            *q = p.apply(*a, *b);
        }
    }
}

/// As [`mul`], the first input being overwritten.
pub fn mul_in_place(p: &MulParams, a: &mut [i8], b: &[i8]) {
    for a in a.chunks_mut(b.len()) {
        for (a, b) in a.iter_mut().zip(b) {
            *a = p.apply(*a, *b);
        }
    }
}

/// The numbers of an int8 PReLU; see [`crate::model::Op::PRelu`].
#[derive(Clone, Copy, Debug)]
pub struct PReluParams<'p> {
    /// Multiplier of each channel's negative values, at most 2^22 in magnitude.
    pub slopes: &'p [i32],
    /// Multiplier of positive values, at most 2^22.
    pub positive: i32,
    /// Common shift, 1 to 30.
    pub shift: u8,
    /// Of the input.
    pub input_zero_point: i8,
    /// Added after scaling.
    pub output_zero_point: i8,
}

impl PReluParams<'_> {
    #[inline(always)]
    fn apply(&self, slope: i32, q: i8) -> i8 {
        let value = q as i32 - self.input_zero_point as i32;
        let by = if value > 0 { self.positive } else { slope };
        let scaled = (value * by + (1 << (self.shift - 1))) >> self.shift;
        saturate(scaled + self.output_zero_point as i32, [i8::MIN, i8::MAX])
    }
}

/// Every channel's negative values by its slope, rescaled.
pub fn prelu(p: &PReluParams<'_>, input: &[i8], output: &mut [i8]) {
    let channels = p.slopes.len();
    for (out, pixel) in output.chunks_mut(channels).zip(input.chunks(channels)) {
        for ((q, i), slope) in out.iter_mut().zip(pixel).zip(p.slopes) {
            *q = p.apply(*slope, *i);
        }
    }
}

/// As [`prelu`], the input being overwritten.
pub fn prelu_in_place(p: &PReluParams<'_>, values: &mut [i8]) {
    for pixel in values.chunks_mut(p.slopes.len()) {
        for (q, slope) in pixel.iter_mut().zip(p.slopes) {
            *q = p.apply(*slope, *q);
        }
    }
}

/// `output[i] = table[input[i] + 128]`; `table` has 256 bytes.
pub fn map(table: &[i8], input: &[i8], output: &mut [i8]) {
    for (q, i) in output.iter_mut().zip(input) {
        *q = table[(*i as i32 + 128) as usize];
    }
}

/// As [`map`], the input being overwritten.
pub fn map_in_place(table: &[i8], values: &mut [i8]) {
    for q in values {
        *q = table[(*q as i32 + 128) as usize];
    }
}
