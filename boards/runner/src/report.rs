//! What a runner tells the host, one message after another: a byte with the length, then the message in
//! postcard. The host's side includes this file, so nothing but types is here.

use serde::{Deserialize, Serialize};

/// Most bytes of a message.
pub const MAX_REPORT: usize = 120;

/// Instructions of the loop that [`Report::Clock`] times.
pub const CALIBRATION: u64 = 2_000_000;

/// Bytes before the inputs, which start on the next multiple of 16 behind the model: how many inputs there
/// are, 32 bits, little-endian, and zeros.
pub const JOB_LEN: usize = 16;

/// SHA-256 of values as they lie in memory (int8, or little-endian f32).
pub type Digest = [u8; 32];

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// First: how long a loop of [`CALIBRATION`] instructions takes.
    Clock {
        /// Of SysTick at the processor's clock.
        ticks: u64,
    },
    /// One inference of the first input, head included, with nothing in between.
    Inference {
        /// What it takes.
        ticks: u64,
        /// Most bytes of stack that were in use since the start.
        stack: u32,
    },
    /// A layer of the inference of an input.
    Layer {
        /// Index of the input.
        input: u32,
        /// Index of the layer.
        layer: u32,
        /// What it takes.
        ticks: u64,
        /// Of its output.
        output: Digest,
    },
    /// The head, after the last layer of an input.
    Head {
        /// Index of the input.
        input: u32,
        /// What it takes.
        ticks: u64,
        /// Of the feature vector.
        feature: Digest,
        /// Of the logits.
        logits: Digest,
    },
    /// Last: everything was run.
    Done,
    /// Last: it could not be.
    Failed(Failure),
}

/// Why a runner stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The bytes of the model are none, or damaged.
    Model,
    /// This image cannot run the model: float, or packed for another processor.
    Engine,
    /// The inputs are cut off.
    Inputs,
    /// The arena and the head's vectors need more RAM than the region has.
    Memory {
        /// Bytes there are.
        have: u32,
        /// Bytes it takes.
        need: u32,
    },
    /// A check failed in this line of a source file.
    Panic {
        /// The line.
        line: u32,
    },
    /// The processor stopped at this address.
    Fault {
        /// The address.
        at: u32,
    },
}
