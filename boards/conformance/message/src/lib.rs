//! What host and image send each other. The host's side is `tests/conformance_qemu.rs`, the image's
//! `boards/conformance`.
//!
//! The host sends commands: kind and length, 32 bits each, little-endian, and so many bytes. The image answers by
//! messages: kind, layer and length, 32 bits each, and so many bytes.

#![no_std]
#![warn(missing_docs)]

/// Bytes before the content of an image's message.
pub const HEADER_LEN: usize = 12;

/// What the host wants.
pub mod command {
    /// Load the model that follows.
    pub const LOAD: u32 = 1;
    /// Run the loaded model on the input that follows.
    pub const RUN: u32 = 2;
}

/// What the image says.
pub mod kind {
    /// The model is loaded.
    pub const READY: u32 = 1;
    /// It cannot be; why follows.
    pub const REFUSED: u32 = 2;
    /// The output of a layer.
    pub const LAYER: u32 = 3;
    /// All layers have run; what the engine returns follows.
    pub const DONE: u32 = 4;
    /// A layer wrote to memory that is not its own.
    pub const OUTSIDE: u32 = 5;
    /// The program has stopped; why follows.
    pub const FAILED: u32 = 6;
}
