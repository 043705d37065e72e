//! Moving bytes with 16-byte loads and stores: what unfolding windows and padding rows is made of.

use core::arch::global_asm;

global_asm!(
    ".cpu cortex-m55",
    ".section .text.graft_mve_patches,\"ax\",%progbits",
    ".global graft_mve_patches",
    ".type graft_mve_patches,%function",
    ".thumb_func",
    "graft_mve_patches:", // r0 job
    "push {{r4-r11, lr}}",
    "mov r12, r0",
    "ldm r12, {{r0-r5, r8-r10}}",
    "1:", // one patch: r0 to, r1 from
    "mov r11, r3",
    "mov r6, r0",
    "mov r7, r1",
    "2:", // one row: r2 bytes
    "dlstp.8 lr, r2",
    "3:",
    "vldrb.u8 q0, [r7], #16",
    "vstrb.8 q0, [r6], #16",
    "letp lr, 3b",
    "add r7, r4",
    "add r6, r5",
    "subs r11, r11, #1",
    "bne 2b",
    "add r1, r9",
    "add r0, r10",
    "subs r8, r8, #1",
    "bne 1b",
    "pop {{r4-r11, pc}}",
    ".size graft_mve_patches, . - graft_mve_patches",
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

/// What `graft_mve_patches` reads, in this order.
#[repr(C)]
struct Job {
    to: *mut i8,
    from: *const i8,
    /// Bytes of a row, at least 1.
    row: usize,
    /// At least 1.
    rows: usize,
    /// From the end of a row, rounded up to 16, to the next row.
    from_row_step: isize,
    to_row_step: isize,
    /// At least 1.
    patches: usize,
    from_patch_step: usize,
    to_patch_step: usize,
}

unsafe extern "C" {
    fn graft_mve_patches(job: *const Job);
    fn graft_mve_fill(to: *mut i8, value: i32, len: usize);
}

/// Where the rows of patches start.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// Offset of the first row of the first patch.
    pub at: usize,
    /// From a row to the next.
    pub row_step: usize,
    /// From a patch to the next.
    pub patch_step: usize,
}

impl Grid {
    /// The end of the last row.
    fn end(&self, [patches, rows, row]: [usize; 3]) -> usize {
        self.at + (patches - 1) * self.patch_step + (rows - 1) * self.row_step + row
    }
}

/// Copies `count`: patches, rows of each, bytes of each row.
#[inline(always)]
pub(super) fn copy(to: &mut [i8], into: Grid, from: &[i8], out_of: Grid, count: [usize; 3]) {
    if count.contains(&0) {
        return;
    }
    assert!(into.end(count) <= to.len() && out_of.end(count) <= from.len());
    let [patches, rows, row] = count;
    let passed = row.next_multiple_of(16) as isize;
    let job = Job {
        to: to[into.at..].as_mut_ptr(),
        from: from[out_of.at..].as_ptr(),
        row,
        rows,
        from_row_step: out_of.row_step as isize - passed,
        to_row_step: into.row_step as isize - passed,
        patches,
        from_patch_step: out_of.patch_step,
        to_patch_step: into.patch_step,
    };
    // SAFETY: both grids were just checked, the slices do not overlap, and no count is 0.
    unsafe { graft_mve_patches(&job) }
}

/// Sets every element.
#[inline(always)]
pub(super) fn fill(to: &mut [i8], value: i8) {
    if !to.is_empty() {
        // SAFETY: writes `to.len()` bytes, which is positive.
        unsafe { graft_mve_fill(to.as_mut_ptr(), value as i32, to.len()) }
    }
}
