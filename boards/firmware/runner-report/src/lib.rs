//! What a runner tells the host: messages of fixed length, one after another, as they lie in memory
//! (little-endian). The host's side includes this file, so nothing but types is here. No serializer: an image
//! that is measured should hold as little as it can besides what is measured.

use bytemuck::{Pod, Zeroable};

/// Instructions of the loop that [`kind::CLOCK`] times.
pub const CALIBRATION: u64 = 2_000_000;

/// Bytes before the inputs, which start on the next multiple of 16 behind the model: how many inputs there
/// are, 32 bits, little-endian, and zeros.
pub const JOB_LEN: usize = 16;

/// SHA-256 of values as they lie in memory (int8, or little-endian f32).
pub type Digest = [u8; 32];

/// What a message is about.
pub mod kind {
    /// First: `ticks` of a loop of [`super::CALIBRATION`] instructions.
    pub const CLOCK: u32 = 1;
    /// `ticks` of one inference of the first input, head included, with nothing in between; `value` is the most
    /// bytes of stack that were in use since the start.
    pub const INFERENCE: u32 = 2;
    /// Layer `value` of input `input`: its `ticks`, and the digest of its output.
    pub const LAYER: u32 = 3;
    /// The head, after the last layer of input `input`: its `ticks`, and the digests of feature vector and
    /// logits.
    pub const HEAD: u32 = 4;
    /// Last: everything was run.
    pub const DONE: u32 = 5;
    /// Last: it could not be; `value` says why (see [`super::failure`]).
    pub const FAILED: u32 = 6;
}

/// Why a runner stops.
pub mod failure {
    /// The bytes of the model are none, or damaged.
    pub const MODEL: u32 = 1;
    /// This image cannot run the model: float, or packed for another processor.
    pub const ENGINE: u32 = 2;
    /// The inputs are cut off.
    pub const INPUTS: u32 = 3;
    /// The arena and the head's vectors need more RAM than the region has.
    pub const MEMORY: u32 = 4;
    /// A check failed.
    pub const PANIC: u32 = 5;
    /// The processor stopped.
    pub const FAULT: u32 = 6;
}

/// A message. What its kind does not use is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Report {
    /// See [`kind`].
    pub kind: u32,
    /// Index of the input.
    pub input: u32,
    /// Ticks of SysTick at the processor's clock.
    pub ticks: u64,
    /// Index of the layer, bytes of stack, or why the runner failed.
    pub value: u32,
    /// Zero.
    pub reserved: u32,
    /// Checksums.
    pub digests: [Digest; 2],
}
