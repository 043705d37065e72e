//! What a device answers.

use super::load::LoadInfo;
use crate::device::error::DeviceError;
use crate::device::events::Event;
use crate::device::samples::Added;
use crate::flash::Geometry;
use crate::head::PoolKind;
use crate::head::store::Active;
use crate::model::{DType, InputSpec, Quant, Shape};
use crate::power::Reading;
use serde::{Deserialize, Serialize};

/// Most classes in the reply to an inference.
pub const MAX_TOP: usize = 5;
/// Most bytes of a class's name in a reply to `Label`.
pub const LABEL_IN_REPLY: usize = 128;
/// Most logits in a reply.
pub const LOGITS_IN_REPLY: usize = 32;
/// Most classes of the sample store in a reply.
pub const CLASSES_IN_REPLY: usize = 4;
/// Most events in a reply.
pub const EVENTS_IN_REPLY: usize = 4;
/// Most runs of a benchmark.
pub const MAX_BENCH: usize = 64;

/// What a device sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message<'a> {
    /// The reply, which ends a request. Stays the first variant in every version.
    #[serde(borrow)]
    Reply(Result<Reply<'a>, DeviceError>),
    /// How far the request is; a reply follows.
    Progress(Progress),
}

/// How far a long request is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Progress {
    /// An epoch of training is over.
    Epoch {
        /// Its number.
        number: u32,
        /// Most epochs that there will be.
        of: u32,
        /// Mean cross-entropy on the judging samples, in nats.
        loss: f32,
        /// Fraction of the judging samples that are right.
        top1: f32,
    },
    /// An inference of a benchmark is over.
    Run {
        /// Its number, from 1.
        number: u16,
        /// How many there will be.
        of: u16,
    },
}

/// What a device answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// To `Hello`.
    Hello {
        /// SHA-256 of the trunk.
        trunk: [u8; 32],
        /// Longest payload.
        max_payload: u16,
        /// Most bytes in a chunk.
        max_chunk: u16,
    },
    /// To `Model`.
    #[serde(borrow)]
    Model(ModelInfo<'a>),
    /// To `State`.
    State(StateInfo),
    /// To `BeginInput`, `InputChunk`, `BeginImport`, `ImportChunk`, `BeginLoad` and `LoadChunk`.
    Received {
        /// The next offset.
        next: u32,
    },
    /// To `Infer`.
    Inferred {
        /// Duration of trunk and head.
        micros: u64,
        /// The likeliest classes.
        top: heapless::Vec<Top<'a>, MAX_TOP>,
    },
    /// To `Logits`.
    Logits {
        /// Number of classes.
        classes: u32,
        /// From the class that was asked for.
        values: heapless::Vec<f32, LOGITS_IN_REPLY>,
    },
    /// To `AddSample`.
    Added(Added),
    /// To `Samples`.
    Samples {
        /// Number of classes.
        classes: u32,
        /// How the samples were pooled, if there are any.
        pool: Option<PoolKind>,
        /// From the class that was asked for, sorted by name.
        list: heapless::Vec<ClassCount<'a>, CLASSES_IN_REPLY>,
    },
    /// To `ClearSamples`.
    Cleared {
        /// Samples that were deleted.
        samples: u32,
    },
    /// To `RetrainHead`.
    Retrained(Retrained, Counts<'a>),
    /// To `Commit`.
    Committed {
        /// Sequence number of the head that is active now.
        sequence: u32,
    },
    /// To `Rollback`.
    RolledBack(Active),
    /// To `ExportHead`.
    Head {
        /// Sequence number of the head.
        sequence: u32,
        /// Length of the file.
        len: u32,
        /// From the offset that was asked for.
        data: &'a [u8],
    },
    /// To `Bench`.
    Bench(Bench),
    /// To `Power`.
    Power(Reading),
    /// To `Log`.
    Log {
        /// Events that were overwritten.
        lost: u32,
        /// The oldest ones.
        events: heapless::Vec<Event, EVENTS_IN_REPLY>,
    },
    /// To `Reset`.
    Resetting,
    /// To `LoadInfo`.
    LoadInfo(LoadInfo),
    /// To `FinishLoad`: the model is stored, and the device restarts.
    Loaded {
        /// SHA-256 of its trunk.
        trunk: [u8; 32],
    },
    /// To `Label`.
    Label {
        /// Length of the whole name in bytes; 0 if the class has none.
        len: u32,
        /// From the offset that was asked for.
        data: &'a [u8],
    },
}

/// The model on the device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo<'a> {
    /// Name of the network.
    pub name: &'a str,
    /// Element type.
    pub dtype: DType,
    /// Shape of the input.
    pub input: Shape,
    /// Quantization of the input.
    pub quant: Quant,
    /// How pictures become inputs.
    pub spec: InputSpec,
    /// Length of the features.
    pub features: u32,
    /// The factory head's pooling.
    pub pool: PoolKind,
    /// True if the weights are random: the model has no accuracy.
    pub random_weights: bool,
}

/// Stores, head and memory of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateInfo {
    /// The flash.
    pub flash: Geometry,
    /// The active head.
    pub active: Active,
    /// What `Rollback` would go back to.
    pub previous: Option<Active>,
    /// Classes of the active head; 0 if there is none.
    pub head_classes: u32,
    /// True if a head waits for `Commit`.
    pub candidate: bool,
    /// True if imported heads need a signature.
    pub signed: bool,
    /// Longest head file that can be imported.
    pub max_head: u32,
    /// Samples in the store.
    pub samples: u32,
    /// Most samples.
    pub max_samples: u32,
    /// Classes in the store.
    pub classes: u32,
    /// Most classes that can be trained.
    pub max_classes: u32,
    /// Bytes of RAM of the whole application.
    pub ram: u32,
    /// Bytes of that for activations.
    pub arena: u32,
    /// Bytes that training the store's classes takes; shares the arena's place.
    pub training: u32,
    /// Bytes of that place: the most that a training can take.
    pub max_training: u32,
    /// The program's stack; `None` if it is not measured.
    pub stack: Option<StackUse>,
    /// True if the active head was trained, here or elsewhere; false if it came with its network.
    pub head_trained: bool,
}

/// The stack of a device's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackUse {
    /// Most bytes that were in use since the start.
    pub used: u32,
    /// Bytes that there are.
    pub size: u32,
}

/// One of the likeliest classes of an inference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Top<'a> {
    /// Its number.
    pub class: u32,
    /// Its logit.
    pub logit: f32,
    /// Its probability; NaN if the outputs of the head are not logits of classes.
    pub probability: f32,
    /// The start of its name, at most 32 bytes, or empty.
    pub label: &'a str,
    /// Length of the whole name in bytes; `Label` asks for the rest.
    pub label_len: u32,
}

/// A class of the sample store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its samples, those held out included.
    pub samples: u32,
    /// Those held out.
    pub held_out: u32,
}

/// Result of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retrained {
    /// Classes of the new head.
    pub classes: u32,
    /// Samples that were trained on and are not held out.
    pub samples: u32,
    /// Samples held out. If they are fewer than [`MIN_JUDGES`](crate::head::train::MIN_JUDGES), a last
    /// training uses them, too.
    pub held_out: u32,
    /// Fraction of the held-out samples that the int8 head gets right which was trained without them; `None`
    /// if none is held out.
    pub held_out_top1: Option<f32>,
    /// The same fraction of the head that was active, among the same classes; `None` if it does not know them
    /// all. If that head may have been trained on these samples and states a lower fraction, the one that it
    /// states.
    pub present_top1: Option<f32>,
    /// The best epoch.
    pub epoch: u32,
    /// Sequence number of the new head if it was committed; otherwise it waits for `Commit`.
    pub committed: Option<u32>,
    /// SHA-256 in the new head's file.
    pub sha256: [u8; 32],
    /// Bytes of RAM that the training took.
    pub training_bytes: u32,
}

/// One number for each class of a new head: how many held-out samples of the class the head gets right which
/// was trained without them; how many of all samples, if none is held out.
///
/// The numbers are postcard's varints, one after another, so that a reply stays short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts<'a>(&'a [u8]);

impl<'a> Counts<'a> {
    /// Packs little-endian u32 numbers in place. Numbers above 2^28 - 1 become 2^28 - 1.
    pub(in crate::device) fn pack(memory: &'a mut [u8]) -> Self {
        let mut len = 0;
        for at in (0..memory.len()).step_by(4) {
            let mut word = [0; 4];
            word.copy_from_slice(&memory[at..at + 4]);
            let count = u32::from_le_bytes(word).min((1 << 28) - 1);
            // At most four bytes, so never beyond the number that is read next.
            let packed = postcard::to_slice(&count, &mut memory[len..at + 4]);
            len += packed.map_or(0, |p| p.len());
        }
        Self(&memory[..len])
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (count, tail) = postcard::take_from_bytes(rest).ok()?;
            rest = tail;
            Some(count)
        })
    }
}

/// Times of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bench {
    /// Inferences.
    pub runs: u16,
    /// Shortest, in microseconds.
    pub min: u64,
    /// Median, the lower of two.
    pub median: u64,
    /// Longest.
    pub max: u64,
    /// Fewest cycles of the processor in a run, modulo 2^32, if it counts them.
    pub cycles: Option<u32>,
    /// Mean of one power reading after each run, if the device has a sensor.
    pub microwatts: Option<i32>,
}
