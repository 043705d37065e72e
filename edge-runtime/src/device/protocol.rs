//! What hosts ask and devices answer; `docs/reference/protocol.md` is the specification.
//!
//! A payload is a [`Header`] of 9 bytes, the same in every version, then a [`Request`] or a [`Message`] in
//! postcard. Knows no bytes on a line (that is [`super::frame`]) and nothing of how requests are served.

use super::error::DeviceError;
use super::events::Event;
use super::load::Demand;
use super::samples::Added;
use crate::flash::Geometry;
use crate::head::PoolKind;
use crate::head::store::Active;
use crate::head::train::TrainOptions;
use crate::model::{DType, Family, InputSpec, Model, Quant, Shape};
use crate::power::Reading;
use serde::{Deserialize, Serialize};

/// The protocol of this program. Any change of a type below is another version.
pub const VERSION: u8 = 4;

/// Longest payload, header included, in either direction.
pub const MAX_PAYLOAD: usize = 1100;

/// Most bytes of data in a chunk.
pub const MAX_CHUNK: usize = 1024;

/// Bytes of a header.
pub const HEADER_LEN: usize = 9;

/// What every payload starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the protocol; decides how to read what follows the header.
    pub version: u8,
    /// Chosen by the host when it connects, another one each time.
    pub session: u32,
    /// Number of the request in the session, growing by 1; a reply has its request's.
    pub id: u32,
}

impl Header {
    /// The header of this version.
    pub const fn new(session: u32, id: u32) -> Self {
        Self {
            version: VERSION,
            session,
            id,
        }
    }

    /// Its bytes: version, session, id, little-endian.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0] = self.version;
        out[1..5].copy_from_slice(&self.session.to_le_bytes());
        out[5..].copy_from_slice(&self.id.to_le_bytes());
        out
    }

    /// Splits a payload into header and body.
    pub fn decode(payload: &[u8]) -> Option<(Self, &[u8])> {
        let ([version, s0, s1, s2, s3, id @ ..], body) =
            payload.split_first_chunk::<HEADER_LEN>()?;
        let header = Self {
            version: *version,
            session: u32::from_le_bytes([*s0, *s1, *s2, *s3]),
            id: u32::from_le_bytes(*id),
        };
        Some((header, body))
    }
}

/// Writes header and body; `None` if they do not fit `out`.
pub fn encode(header: Header, body: &impl Serialize, out: &mut [u8]) -> Option<usize> {
    let (start, rest) = out.split_first_chunk_mut::<HEADER_LEN>()?;
    *start = header.encode();
    let len = postcard::to_slice(body, rest).ok()?.len();
    Some(HEADER_LEN + len)
}

/// Reads a body; nothing may follow it.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(body).ok()?;
    rest.is_empty().then_some(value)
}

/// What a host asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Opens a session; refused if `expect` is the hash of another trunk.
    Hello {
        /// SHA-256 of the trunk that the host means, if it means one.
        expect: Option<[u8; 32]>,
    },
    /// What model it is.
    Model,
    /// Stores, head and memory.
    State,
    /// Announces an input.
    BeginInput {
        /// Its length in bytes: the model's input.
        len: u32,
        /// CRC-32 of the whole input.
        crc: u32,
    },
    /// A part of the announced input, each continuing the last.
    InputChunk {
        /// First byte.
        offset: u32,
        /// int8 values, NHWC, quantized as [`ModelInfo::quant`] says.
        data: &'a [u8],
    },
    /// Runs the network on the input, which is used up by it.
    Infer {
        /// How many classes to tell, at most [`MAX_TOP`].
        top: u8,
    },
    /// Logits of the last inference, up to [`LOGITS_IN_REPLY`] of them.
    Logits {
        /// First class.
        first: u32,
    },
    /// Runs the trunk on the input, which is used up by it, and keeps the feature as a sample.
    AddSample {
        /// Name of its class.
        class: &'a str,
        /// How to pool; as the stored samples if there are any, else as the factory head.
        pool: Option<PoolKind>,
        /// Not 0 and different for every sample: a repeated request adds none, even after a restart.
        token: u64,
    },
    /// The classes of the sample store, up to [`CLASSES_IN_REPLY`] of them.
    Samples {
        /// First class.
        first: u32,
    },
    /// Deletes the samples of a class, or all.
    ClearSamples {
        /// The class.
        class: Option<&'a str>,
    },
    /// Trains a head on the stored samples.
    RetrainHead(RetrainOptions),
    /// Makes the trained or imported head the active one.
    Commit,
    /// Goes back to the head before.
    Rollback,
    /// A part of the active head's file.
    ExportHead {
        /// First byte.
        offset: u32,
        /// Most bytes, at most [`MAX_CHUNK`].
        max: u16,
    },
    /// Announces a head file.
    BeginImport {
        /// Its length in bytes.
        len: u32,
        /// CRC-32 of the file.
        crc: u32,
        /// Ed25519 signature of the file, its two halves.
        signature: Option<[[u8; 32]; 2]>,
    },
    /// A part of the announced head file, each continuing the last. `Commit` checks it and makes it active.
    ImportChunk {
        /// First byte.
        offset: u32,
        /// The bytes.
        data: &'a [u8],
    },
    /// Times inferences.
    Bench {
        /// How many, at most [`MAX_BENCH`].
        runs: u16,
    },
    /// Reads the power sensor.
    Power,
    /// Takes up to [`EVENTS_IN_REPLY`] events out of the log.
    Log,
    /// Restarts the device after the reply.
    Reset,
    /// Which models can be loaded, and which one runs. Needs no session where no application runs.
    LoadInfo,
    /// Announces a model file. Refused, or the application ends; opens a session where none runs. Goes on where
    /// it stopped, if so much of this file has arrived before.
    BeginLoad(LoadFile),
    /// A part of the announced model file, each continuing the last.
    LoadChunk {
        /// First byte.
        offset: u32,
        /// The bytes.
        data: &'a [u8],
    },
    /// Checks the model file, makes it the device's, and restarts the device after the reply.
    FinishLoad,
    /// A part of the name of a class of the active head, up to [`LABEL_IN_REPLY`] bytes.
    Label {
        /// The class.
        class: u32,
        /// First byte.
        offset: u32,
    },
}

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

/// What becomes of the present head's classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClassMode {
    /// The new head knows the classes of the sample store, whatever the present one knows.
    Replace,
    /// It must also know all classes of the present head: refused if one of them has no samples.
    Add,
    /// As `Add`, if the present head was trained; one that came with its network is replaced.
    #[default]
    Keep,
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrainOptions {
    /// What becomes of the present head's classes.
    pub classes: ClassMode,
    /// Must be the stored samples' pooling, if given.
    pub pool: Option<PoolKind>,
    /// Units of a hidden layer, at most [`crate::head::MAX_HIDDEN`]; 0 for none.
    pub hidden: u16,
    /// As [`TrainOptions`].
    pub epochs: u32,
    /// As [`TrainOptions`].
    pub batch: u32,
    /// As [`TrainOptions`].
    pub learning_rate: f32,
    /// As [`TrainOptions`].
    pub patience: u32,
    /// As [`TrainOptions`].
    pub seed: u64,
    /// Commit at once, if the new head is not worse.
    pub commit: bool,
    /// Commit even if it is worse.
    pub force: bool,
}

impl Default for RetrainOptions {
    fn default() -> Self {
        let d = TrainOptions::default();
        Self {
            classes: ClassMode::default(),
            pool: None,
            hidden: 0,
            epochs: d.epochs,
            batch: d.batch,
            learning_rate: d.learning_rate,
            patience: d.patience,
            seed: d.seed,
            commit: true,
            force: false,
        }
    }
}

impl RetrainOptions {
    /// What the training takes.
    pub fn train_options(&self) -> TrainOptions {
        TrainOptions {
            hidden: self.hidden,
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            patience: self.patience,
            seed: self.seed,
            ..TrainOptions::default()
        }
    }
}

/// What a device sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message<'a> {
    /// The end of a request. Stays the first variant in every version.
    #[serde(borrow)]
    Reply(Result<Reply<'a>, DeviceError>),
    /// The request is being worked on.
    Progress(Progress),
}

/// How far a long request is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Progress {
    /// An epoch of training is over.
    Epoch {
        /// Its number.
        number: u32,
        /// Most there will be.
        of: u32,
        /// Mean cross-entropy on the judging samples, in nats.
        loss: f32,
        /// Fraction of them that are right.
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
    /// To `FinishLoad`: the model is the device's, which restarts.
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

/// A model file that is to be loaded, as the host states it; the device believes it once it has the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFile {
    /// Its length in bytes.
    pub len: u32,
    /// SHA-256 of all of it.
    pub sha256: [u8; 32],
    /// Ed25519 signature of the file, its two halves.
    pub signature: Option<[[u8; 32]; 2]>,
    /// What the model takes.
    pub demand: Demand,
}

/// What a device says of the models that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadInfo {
    /// Longest file in bytes.
    pub capacity: u32,
    /// For which processors a file may be packed; `None`: not at all.
    pub family: Option<Family>,
    /// True if the file needs a signature.
    pub signed: bool,
    /// True if the model that is there stays until the new one is whole.
    pub keeps_old: bool,
    /// The model that runs.
    pub model: Option<ModelId>,
}

/// What tells a model file from every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// SHA-256 in its header: metadata and weights, packed as they are.
    pub sha256: [u8; 32],
    /// SHA-256 in its factory head, if there is one.
    pub head: Option<[u8; 32]>,
}

impl ModelId {
    /// Of a checked model.
    pub fn of(model: &Model<'_>) -> Self {
        Self {
            sha256: model.header().sha256,
            head: model
                .head()
                .and_then(|head| head.bytes().get(64..)?.first_chunk().copied()),
        }
    }
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
    /// A head that waits for `Commit`.
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
    /// Bytes of that place: what a training may take at most.
    pub max_training: u32,
    /// The program's stack, where it is measured.
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

/// A likely class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Top<'a> {
    /// Its number.
    pub class: u32,
    /// Its logit.
    pub logit: f32,
    /// Its probability, by the activation of the head; NaN if its numbers are no logits of classes.
    pub probability: f32,
    /// The start of its name, at most 32 bytes, or empty.
    pub label: &'a str,
    /// Length of the whole name in bytes, for which `Label` asks.
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

/// What came of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retrained {
    /// Classes of the new head.
    pub classes: u32,
    /// Samples trained on that are not held out.
    pub samples: u32,
    /// Samples held out; fewer than [`MIN_JUDGES`](crate::head::train::MIN_JUDGES) are trained on at last.
    pub held_out: u32,
    /// Fraction of the held-out samples that the requantized head gets right that was trained without them, if
    /// there are any.
    pub held_out_top1: Option<f32>,
    /// The same of the head that was active, among the same classes, if it knows them all. What it states, if that
    /// is lower and it may have been trained on these samples.
    pub present_top1: Option<f32>,
    /// The epoch that won.
    pub epoch: u32,
    /// Sequence number of the new head if it was committed; otherwise it waits for `Commit`.
    pub committed: Option<u32>,
    /// SHA-256 in the new head's file.
    pub sha256: [u8; 32],
    /// Bytes of RAM that the training took.
    pub training_bytes: u32,
}

/// Numbers, one for each class of a head: of the held-out samples of the class, how many the head gets right that
/// was trained without them. Of all samples, if none is held out.
///
/// postcard's varints one after another, so that a reply stays short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts<'a>(&'a [u8]);

impl<'a> Counts<'a> {
    /// Packs little-endian numbers of four bytes where they stand. Those above 2^28 - 1 become that.
    pub(super) fn pack(memory: &'a mut [u8]) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_bytes() {
        // The examples of docs/reference/protocol.md. A change here is another version.
        let mut out = [0; 64];
        let header = Header::new(0x0403_0201, 7);
        let len = encode(header, &Request::Hello { expect: None }, &mut out).unwrap();
        assert_eq!(out[..len], [4, 1, 2, 3, 4, 7, 0, 0, 0, 0, 0]);
        let chunk = Request::InputChunk {
            offset: 300,
            data: &[5, 6],
        };
        let len = encode(header, &chunk, &mut out).unwrap();
        assert_eq!(out[9..len], [4, 0xac, 2, 2, 5, 6]);
        let error = Message::Reply(Err(DeviceError::Version { device: 4 }));
        let len = encode(header, &error, &mut out).unwrap();
        assert_eq!(out[9..len], [0, 1, 0, 4]);
        assert_eq!(encode(header, &chunk, &mut [0; 12]), None);
    }

    proptest! {
        #[test]
        fn counts_come_as_they_were(counts in proptest::collection::vec(0u32..1 << 28, 0..100)) {
            let mut memory: Vec<u8> = counts.iter().flat_map(|c| c.to_le_bytes()).collect();
            prop_assert!(Counts::pack(&mut memory).iter().eq(counts));
        }

        #[test]
        fn whatever_comes_is_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((header, body)) = Header::decode(&bytes) {
                prop_assert_eq!(&header.encode()[..], &bytes[..HEADER_LEN]);
                let mut out = [0; 400];
                if let Some(request) = decode::<Request<'_>>(body) {
                    let len = encode(header, &request, &mut out);
                    prop_assert!(len.is_some_and(|len| len <= bytes.len()));
                }
                let _ = decode::<Message<'_>>(body);
            }
        }
    }
}
