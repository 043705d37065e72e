//! Sum of two tensors, four elements at a time.

use crate::kernels::AddParams;
use core::arch::global_asm;

global_asm!(include_str!("add.s"), options(raw));

/// `((a * multipliers[0] + b * multipliers[1] + rounding) >> -shift) + zero_point`, clamped.
#[repr(C)]
struct Numbers {
    multipliers: [i32; 2],
    /// Half a step, and what the zero points of the inputs take off.
    rounding: i32,
    shift: i32,
    zero_point: i32,
    clamp: [i32; 2],
}

unsafe extern "C" {
    fn graft_mve_add(numbers: *const Numbers, a: *const i8, b: *const i8, out: *mut i8, len: usize);
}

impl Numbers {
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

/// As [`crate::kernels::add`].
pub fn add(p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    let len = output.len();
    assert!(a.len() == len && b.len() == len && len > 0);
    // SAFETY: three lengths are equal and positive.
    unsafe {
        graft_mve_add(
            &Numbers::new(p),
            a.as_ptr(),
            b.as_ptr(),
            output.as_mut_ptr(),
            len,
        )
    }
}

/// As [`crate::kernels::add_in_place`].
pub fn add_in_place(p: &AddParams, a: &mut [i8], b: &[i8]) {
    assert!(b.len() == a.len() && !b.is_empty());
    let out = a.as_mut_ptr();
    // SAFETY: both lengths are equal and positive; an element of `a` is read before it is written.
    unsafe { graft_mve_add(&Numbers::new(p), out, b.as_ptr(), out, b.len()) }
}
