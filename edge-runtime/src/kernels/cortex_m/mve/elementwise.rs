//! Sums and products of two tensors, four elements at a time, and tables, 16 at a time.

use crate::kernels::{AddParams, MapParams, MulParams, portable};
use core::arch::global_asm;

global_asm!(include_str!("elementwise.s"), options(raw));

/// `((a * multipliers[0] + b * multipliers[1] + rounding) >> -shift) + zero_point`, clamped.
#[repr(C)]
struct AddNumbers {
    multipliers: [i32; 2],
    /// Half a step, and what the zero points of the inputs take off.
    rounding: i32,
    shift: i32,
    zero_point: i32,
    clamp: [i32; 2],
}

unsafe extern "C" {
    fn graft_mve_add(
        numbers: *const AddNumbers,
        a: *const i8,
        b: *const i8,
        out: *mut i8,
        len: usize,
    );
    fn graft_mve_mul(
        numbers: *const MulNumbers,
        a: *const i8,
        b: *const i8,
        out: *mut i8,
        len: usize,
        times: usize,
    );
    fn graft_mve_map(table: *const i8, from: *const i8, to: *mut i8, len: usize);
}

impl AddNumbers {
    /// Nothing overflows: the multipliers are at most 2^21 and the shift is at most 30.
    fn new(p: &AddParams) -> Self {
        let offset = |k: usize| p.zero_points[k] as i32 * p.multipliers[k];
        Self {
            multipliers: p.multipliers,
            rounding: (1 << (p.shift - 1)) - offset(0) - offset(1),
            shift: -(p.shift as i32),
            zero_point: p.output_zero_point as i32,
            clamp: p.clamp.map(|c| c as i32),
        }
    }
}

/// As the portable one.
pub fn add(p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    let len = output.len();
    assert!(a.len() == len && b.len() == len);
    if len == 0 {
        return;
    }
    // SAFETY: three lengths are equal and positive.
    unsafe {
        graft_mve_add(
            &AddNumbers::new(p),
            a.as_ptr(),
            b.as_ptr(),
            output.as_mut_ptr(),
            len,
        )
    }
}

/// As the portable one.
pub fn add_in_place(p: &AddParams, a: &mut [i8], b: &[i8]) {
    assert!(b.len() == a.len());
    if b.is_empty() {
        return;
    }
    let out = a.as_mut_ptr();
    // SAFETY: both lengths are equal and positive; an element of `a` is read before it is written.
    unsafe { graft_mve_add(&AddNumbers::new(p), out, b.as_ptr(), out, b.len()) }
}

/// `high32(((a + offsets[0]) * (b + offsets[1]) << left) * multiplier) >> -right`, rounded, plus the zero point.
#[repr(C)]
struct MulNumbers {
    /// What takes the zero points off.
    offsets: [i32; 2],
    left: i32,
    right: i32,
    zero_point: i32,
    multiplier: i32,
}

/// Least shift that the vector rule can do.
const LEAST_MUL_SHIFT: u8 = 20;

impl MulNumbers {
    /// `None` for a shift so small that 32 bits do not hold the product, moved to where its high word rounds.
    fn new(p: &MulParams) -> Option<Self> {
        // A product of two differences has 16 bits and a sign: 13 more fit.
        let left = 33u8.saturating_sub(p.shift) as i32;
        (p.shift >= LEAST_MUL_SHIFT).then(|| Self {
            offsets: p.zero_points.map(|z| -(z as i32)),
            left,
            right: 32 - (p.shift as i32 + left),
            zero_point: p.output_zero_point as i32,
            multiplier: p.multiplier,
        })
    }
}

/// As the portable one, which does it for a shift below 20.
pub fn mul(p: &MulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    assert!(!b.is_empty() && a.len() == output.len() && a.len().is_multiple_of(b.len()));
    let Some(numbers) = MulNumbers::new(p) else {
        return portable::mul(p, a, b, output);
    };
    let times = a.len() / b.len();
    if times > 0 {
        let out = output.as_mut_ptr();
        // SAFETY: `a` and `output` have `times` times the length of `b`; neither count is 0.
        unsafe { graft_mve_mul(&numbers, a.as_ptr(), b.as_ptr(), out, b.len(), times) }
    }
}

/// As the portable one, which does it for a shift below 20.
pub fn mul_in_place(p: &MulParams, a: &mut [i8], b: &[i8]) {
    assert!(!b.is_empty() && a.len().is_multiple_of(b.len()));
    let Some(numbers) = MulNumbers::new(p) else {
        return portable::mul_in_place(p, a, b);
    };
    let times = a.len() / b.len();
    if times > 0 {
        let out = a.as_mut_ptr();
        // SAFETY: as in `mul`; an element of `a` is read before it is written.
        unsafe { graft_mve_mul(&numbers, out, b.as_ptr(), out, b.len(), times) }
    }
}

/// As the portable one.
pub fn map(p: &MapParams<'_>, input: &[i8], output: &mut [i8]) {
    assert!(p.table.len() == 256 && input.len() == output.len());
    if input.is_empty() {
        return;
    }
    let (from, to) = (input.as_ptr(), output.as_mut_ptr());
    // SAFETY: the table has an entry for every byte, and the lengths are equal and positive.
    unsafe { graft_mve_map(p.table.as_ptr(), from, to, input.len()) }
}

/// As the portable one.
pub fn map_in_place(p: &MapParams<'_>, values: &mut [i8]) {
    assert!(p.table.len() == 256);
    if values.is_empty() {
        return;
    }
    let to = values.as_mut_ptr();
    // SAFETY: as in `map`; an element is read before it is written.
    unsafe { graft_mve_map(p.table.as_ptr(), to, to, values.len()) }
}
