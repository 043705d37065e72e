//! Moving bytes with 16-byte loads and stores: what unfolding windows and padding rows is made of.

use core::arch::global_asm;

global_asm!(include_str!("copy.s"), options(raw));

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
