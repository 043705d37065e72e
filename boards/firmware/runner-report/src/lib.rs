//! What the image that measures a model (`boards/firmware/runner`) tells the host (`xtask/src/runner`): messages of
//! fixed length, one after another, as they lie in memory (little-endian).
//!
//! There is no serializer, so that the image holds little besides what it measures.

#![no_std]
#![warn(missing_docs)]

use bytemuck::{Pod, Zeroable};

/// Instructions of the loop that [`kind::CLOCK`] times.
pub const CALIBRATION: u64 = 2_000_000;

/// Bytes before the inputs: their number as a little-endian `u32`, then zeros. They start at the next multiple of 16
/// after the model.
pub const JOB_LEN: usize = 16;

/// SHA-256 of values as they lie in memory (int8, or little-endian f32).
pub type Digest = [u8; 32];

/// What a message is about.
pub mod kind {
    /// The first message: `ticks` is the time of a loop of [`super::CALIBRATION`] instructions.
    pub const CLOCK: u32 = 1;
    /// An inference of the first input, head included, without interruption: `ticks` is its time, `value` the most
    /// bytes of stack that were in use since the start.
    pub const INFERENCE: u32 = 2;
    /// A layer: `input` and `value` are the indices of input and layer, `ticks` is its time, the first digest that
    /// of its output.
    pub const LAYER: u32 = 3;
    /// The head, after the last layer of `input`: `ticks` is its time, the digests are those of feature vector and
    /// logits.
    pub const HEAD: u32 = 4;
    /// The last message: all inputs were run.
    pub const DONE: u32 = 5;
    /// The last message: the image failed; `value` says why (see [`super::failure`]).
    pub const FAILED: u32 = 6;
}

/// Why the image failed.
pub mod failure {
    /// There is no model, or it is damaged.
    pub const MODEL: u32 = 1;
    /// The image cannot run the model: it is float, or packed for another processor.
    pub const ENGINE: u32 = 2;
    /// There are fewer bytes than inputs.
    pub const INPUTS: u32 = 3;
    /// The arena and the head's vectors need more RAM than the region has.
    pub const MEMORY: u32 = 4;
    /// The program panicked.
    pub const PANIC: u32 = 5;
    /// The processor raised a hard fault.
    pub const FAULT: u32 = 6;
}

/// A message. Fields that its kind does not use are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Report {
    /// What it is about: see [`kind`].
    pub kind: u32,
    /// Index of the input.
    pub input: u32,
    /// Ticks of SysTick at the processor's clock.
    pub ticks: u64,
    /// Index of the layer, bytes of stack, or why the image failed.
    pub value: u32,
    /// Zero.
    pub reserved: u32,
    /// SHA-256 of results.
    pub digests: [Digest; 2],
}
