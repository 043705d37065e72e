//! Sum of two tensors, and functions of single elements.

use super::requantize::saturate;

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
    #[inline(always)]
    fn apply(&self, a: i8, b: i8) -> i8 {
        let a = (a as i32 - self.zero_points[0] as i32) * self.multipliers[0];
        let b = (b as i32 - self.zero_points[1] as i32) * self.multipliers[1];
        let scaled = (a + b + (1 << (self.shift - 1))) >> self.shift;
        saturate(scaled + self.output_zero_point as i32, self.clamp)
    }
}

/// `output[i] = a[i] + b[i]`, rescaled.
pub fn add(p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    for ((q, a), b) in output.iter_mut().zip(a).zip(b) {
        *q = p.apply(*a, *b);
    }
}

/// As [`add`], the first input being overwritten.
pub fn add_in_place(p: &AddParams, a: &mut [i8], b: &[i8]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = p.apply(*a, *b);
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
