//! Moving bytes with 16-byte loads and stores: what unfolding windows and padding rows is made of.

use core::arch::global_asm;

global_asm!(
    ".cpu cortex-m55",
    ".section .text.graft_mve_patch,\"ax\",%progbits",
    ".global graft_mve_patch",
    ".type graft_mve_patch,%function",
    ".thumb_func",
    // r0 to, r1 from, r2 bytes a row, r3 rows, stack: from_step, to_step
    "graft_mve_patch:",
    "push {{r4-r7, lr}}",
    "ldrd r4, r5, [sp, #20]",
    "1:",
    "mov r6, r0",
    "mov r7, r1",
    "dlstp.8 lr, r2",
    "2:",
    "vldrb.u8 q0, [r7], #16",
    "vstrb.8 q0, [r6], #16",
    "letp lr, 2b",
    "add r1, r4",
    "add r0, r5",
    "subs r3, #1",
    "bne 1b",
    "pop {{r4-r7, pc}}",
    ".size graft_mve_patch, . - graft_mve_patch",
    ".section .text.graft_mve_fill,\"ax\",%progbits",
    ".global graft_mve_fill",
    ".type graft_mve_fill,%function",
    ".thumb_func",
    // r0 to, r1 value, r2 bytes
    "graft_mve_fill:",
    "push {{r7, lr}}",
    "vdup.8 q0, r1",
    "dlstp.8 lr, r2",
    "1:",
    "vstrb.8 q0, [r0], #16",
    "letp lr, 1b",
    "pop {{r7, pc}}",
    ".size graft_mve_fill, . - graft_mve_fill",
);

unsafe extern "C" {
    fn graft_mve_patch(
        to: *mut i8,
        from: *const i8,
        row: usize,
        rows: usize,
        from_step: usize,
        to_step: usize,
    );
    fn graft_mve_fill(to: *mut i8, value: i32, len: usize);
}

/// Rows of equal length that lie `step` bytes apart, the first one at `at`.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// Offset of the first row.
    pub at: usize,
    /// From the start of one row to the start of the next.
    pub step: usize,
}

impl Rows {
    /// The end of the last of `rows` rows of `len` bytes.
    fn end(&self, rows: usize, len: usize) -> usize {
        self.at + (rows - 1) * self.step + len
    }
}

/// Copies `rows` rows of `len` bytes.
#[inline(always)]
pub(super) fn copy(to: &mut [i8], into: Rows, from: &[i8], out_of: Rows, rows: usize, len: usize) {
    if rows == 0 || len == 0 {
        return;
    }
    assert!(into.end(rows, len) <= to.len() && out_of.end(rows, len) <= from.len());
    // SAFETY: both ranges were just checked, the slices do not overlap, and `rows` and `len` are positive
    // as the loops demand.
    unsafe {
        graft_mve_patch(
            to.as_mut_ptr().add(into.at),
            from.as_ptr().add(out_of.at),
            len,
            rows,
            out_of.step,
            into.step,
        )
    }
}

/// Sets every element.
#[inline(always)]
pub(super) fn fill(to: &mut [i8], value: i8) {
    if !to.is_empty() {
        // SAFETY: writes `to.len()` bytes, which is positive.
        unsafe { graft_mve_fill(to.as_mut_ptr(), value as i32, to.len()) }
    }
}
