//! Sum and product of two tensors, and functions of single elements.
//!
//! Where kernels are compiled once more for extensions of a processor, they are inlined there. A microcontroller has
//! one copy.

use super::requantize::{requantize, saturate};
use crate::kernels::{AddParams, MapParams, MulParams, PReluParams};

impl AddParams {
    /// What is left of the rule without the two inputs: rounding, and all three zero points. `None` if the
    /// sum could then leave 32 bits.
    fn constant(&self) -> Option<i32> {
        let [za, zb] = self.zero_points.map(i64::from);
        let [ma, mb] = self.multipliers.map(i64::from);
        let zero = (self.output_zero_point as i64) << self.shift;
        let constant = (1 << (self.shift - 1)) + zero - za * ma - zb * mb;
        let reach = 128 * (ma.abs() + mb.abs());
        let fits = constant.abs() + reach <= i32::MAX as i64;
        fits.then_some(constant as i32)
    }

    /// The sum of two elements.
    #[inline(always)]
    pub fn apply(&self, a: i8, b: i8) -> i8 {
        let a = (a as i32 - self.zero_points[0] as i32) * self.multipliers[0];
        let b = (b as i32 - self.zero_points[1] as i32) * self.multipliers[1];
        let scaled = (a + b + (1 << (self.shift - 1))) >> self.shift;
        saturate(scaled + self.output_zero_point as i32, self.clamp)
    }
}

/// One form of the addition.
trait Sum: Copy {
    fn of(self, a: i8, b: i8) -> i8;
}

/// As the definition has it.
impl Sum for &AddParams {
    #[inline(always)]
    fn of(self, a: i8, b: i8) -> i8 {
        self.apply(a, b)
    }
}

/// With all constants in one; `FULL` if the bounds are int8's, which some processors have an instruction for.
#[derive(Clone, Copy)]
struct Folded<const FULL: bool> {
    multipliers: [i32; 2],
    constant: i32,
    shift: u8,
    clamp: [i8; 2],
}

impl<const FULL: bool> Sum for Folded<FULL> {
    #[inline(always)]
    fn of(self, a: i8, b: i8) -> i8 {
        let [ma, mb] = self.multipliers;
        let scaled = (a as i32 * ma + b as i32 * mb + self.constant) >> self.shift;
        let clamp = if FULL { [i8::MIN, i8::MAX] } else { self.clamp };
        saturate(scaled, clamp)
    }
}

impl AddParams {
    /// The folded form, if it is exact and `FULL` is what the bounds are.
    fn folded<const FULL: bool>(&self) -> Option<Folded<FULL>> {
        let full = self.clamp == [i8::MIN, i8::MAX];
        let constant = self.constant().filter(|_| full == FULL)?;
        Some(Folded {
            multipliers: self.multipliers,
            constant,
            shift: self.shift,
            clamp: self.clamp,
        })
    }
}

/// `output[i] = a[i] + b[i]`, rescaled.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn add(p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn run(sum: impl Sum, a: &[i8], b: &[i8], output: &mut [i8]) {
        // By fours: compilers that optimize for size do not unroll.
        let (a4, a) = a.as_chunks::<4>();
        let (b4, b) = b.as_chunks::<4>();
        let (fours, rest) = output.as_chunks_mut::<4>();
        for ((q, a), b) in fours.iter_mut().zip(a4).zip(b4) {
            q[0] = sum.of(a[0], b[0]);
            q[1] = sum.of(a[1], b[1]);
            q[2] = sum.of(a[2], b[2]);
            q[3] = sum.of(a[3], b[3]);
        }
        for ((q, a), b) in rest.iter_mut().zip(a).zip(b) {
            *q = sum.of(*a, *b);
        }
    }
    if let Some(sum) = p.folded::<true>() {
        run(sum, a, b, output);
    } else if let Some(sum) = p.folded::<false>() {
        run(sum, a, b, output);
    } else {
        run(p, a, b, output);
    }
}

/// As [`add`], the first input being overwritten.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn add_in_place(p: &AddParams, a: &mut [i8], b: &[i8]) {
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn run(sum: impl Sum, a: &mut [i8], b: &[i8]) {
        let (b4, b) = b.as_chunks::<4>();
        let (fours, rest) = a.as_chunks_mut::<4>();
        for (a, b) in fours.iter_mut().zip(b4) {
            a[0] = sum.of(a[0], b[0]);
            a[1] = sum.of(a[1], b[1]);
            a[2] = sum.of(a[2], b[2]);
            a[3] = sum.of(a[3], b[3]);
        }
        for (a, b) in rest.iter_mut().zip(b) {
            *a = sum.of(*a, *b);
        }
    }
    if let Some(sum) = p.folded::<true>() {
        run(sum, a, b);
    } else if let Some(sum) = p.folded::<false>() {
        run(sum, a, b);
    } else {
        run(p, a, b);
    }
}

impl MulParams {
    /// The product of two elements.
    #[inline(always)]
    pub fn apply(&self, a: i8, b: i8) -> i8 {
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
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn mul(p: &MulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    for (out, a) in output.chunks_mut(b.len()).zip(a.chunks(b.len())) {
        for ((q, a), b) in out.iter_mut().zip(a).zip(b) {
            *q = p.apply(*a, *b);
        }
    }
}

/// As [`mul`], the first input being overwritten.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn mul_in_place(p: &MulParams, a: &mut [i8], b: &[i8]) {
    for a in a.chunks_mut(b.len()) {
        for (a, b) in a.iter_mut().zip(b) {
            *a = p.apply(*a, *b);
        }
    }
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
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn prelu(p: &PReluParams<'_>, input: &[i8], output: &mut [i8]) {
    let channels = p.slopes.len();
    for (out, pixel) in output.chunks_mut(channels).zip(input.chunks(channels)) {
        for ((q, i), slope) in out.iter_mut().zip(pixel).zip(p.slopes) {
            *q = p.apply(*slope, *i);
        }
    }
}

/// As [`prelu`], the input being overwritten.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn prelu_in_place(p: &PReluParams<'_>, values: &mut [i8]) {
    for pixel in values.chunks_mut(p.slopes.len()) {
        for (q, slope) in pixel.iter_mut().zip(p.slopes) {
            *q = p.apply(*slope, *q);
        }
    }
}

/// `output[i] = table[input[i] + 128]`.
pub fn map(p: &MapParams<'_>, input: &[i8], output: &mut [i8]) {
    for (q, i) in output.iter_mut().zip(input) {
        *q = p.table[(*i as i32 + 128) as usize];
    }
}

/// As [`map`], the input being overwritten.
pub fn map_in_place(p: &MapParams<'_>, values: &mut [i8]) {
    for q in values {
        *q = p.table[(*q as i32 + 128) as usize];
    }
}
