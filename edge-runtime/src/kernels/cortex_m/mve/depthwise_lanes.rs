//! The inner kernel of depthwise convolutions: a run of outputs, 16 lanes at a time.
//!
//! Products of two taps are added in 16 bits (2 * 128 * 127 fits), then widened and added to four vectors
//! of 32-bit sums. Widening takes even and odd lanes apart, narrowing puts them together again, so the order of
//! lanes in between costs nothing: the packed numbers have the same order.

use core::arch::global_asm;

/// What the kernels read. All lengths in bytes.
#[repr(C)]
pub(super) struct Run {
    /// Where each tap of lane 0 reads: `taps` pointers.
    pub reads: *const *const i8,
    /// Even; what [`graft_mve_depthwise_9`] does not look at.
    pub taps: usize,
    /// Blocks of [`crate::model::packed::mve::MveDepthwise`].
    pub blocks: *const i8,
    /// Number of them.
    pub period: usize,
    /// Lane 0 of the output.
    pub out: *mut i8,
    /// Lanes in all, at least 1. Loads go on to the next multiple of 16, stores do not.
    pub lanes: usize,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest and largest output.
    pub clamp: [i32; 2],
}

global_asm!(include_str!("depthwise_lanes.s"), options(raw));

unsafe extern "C" {
    /// For nine taps (3x3), packed as ten.
    ///
    /// # Safety
    /// Each read must have `lanes` rounded up to 16 bytes, `out` `lanes` bytes, `blocks` what their layout says.
    pub(super) fn graft_mve_depthwise_9(run: *const Run);
    /// For any number of taps.
    ///
    /// # Safety
    /// As [`graft_mve_depthwise_9`].
    pub(super) fn graft_mve_depthwise(run: *const Run);
    /// For nine taps, the sums with the bias multiplied by 256.
    ///
    /// # Safety
    /// As [`graft_mve_depthwise_9`].
    pub(super) fn graft_mve_depthwise_9_wide(run: *const Run);
    /// For any number of taps, the sums with the bias multiplied by 256.
    ///
    /// # Safety
    /// As [`graft_mve_depthwise_9`].
    pub(super) fn graft_mve_depthwise_wide(run: *const Run);
}
