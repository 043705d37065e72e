//! The inner kernel of dense convolutions: four output channels for pairs of pixels.
//!
//! A tile of 4 channels by 2 pixels has one `vmladava` accumulator in each even register, so that one
//! 16-byte load of weights serves two multiplications of 16 bytes and one of activations four. The sums are
//! then requantized four channels at a time in vector lanes.

use crate::model::ChannelRecord;
use core::arch::global_asm;

/// What `graft_mve_conv_tile` reads. All steps in bytes.
#[repr(C)]
pub(super) struct Job {
    /// Pixel 0; `blocks * 16` bytes are read of each pixel.
    pub a: *const i8,
    /// From a pair's first pixel to its second.
    pub pixel_step: usize,
    /// From the end of a pixel to the first pixel of the next pair: `2 * pixel step - blocks * 16`.
    pub pair_step: isize,
    /// Pairs of pixels, at least 1.
    pub pairs: usize,
    /// `quads * blocks * 64` bytes: for each four channels, for each 16 taps, 16 weights of each channel.
    pub weights: *const i8,
    /// Blocks of 16 taps, at least 1.
    pub blocks: usize,
    /// `quads * 4` records.
    pub records: *const ChannelRecord,
    /// Fours of output channels, at least 1.
    pub quads: usize,
    /// Channel 0 of the first pixel's output.
    pub out: *mut i8,
    /// From a pixel's output to the next one's.
    pub out_step: usize,
    /// Smallest and largest output.
    pub clamp: [i32; 2],
}

global_asm!(include_str!("conv_tile.s"), options(raw));

unsafe extern "C" {
    /// Computes `quads * 4` channels of `pairs * 2` pixels.
    ///
    /// # Safety
    /// Everything that the fields of [`Job`] say must lie in memory that may be read or written.
    pub(super) fn graft_mve_conv_tile(job: *const Job);
    /// The same with the sums multiplied by 256 before the bias is added.
    ///
    /// # Safety
    /// As [`graft_mve_conv_tile`].
    pub(super) fn graft_mve_conv_tile_wide(job: *const Job);
}
