//! What a host asks.

use super::load::LoadFile;
use crate::head::PoolKind;
use crate::head::train::TrainOptions;
use serde::{Deserialize, Serialize};

/// What a host asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Opens a session; refused if `expect` is the hash of another trunk.
    Hello {
        /// SHA-256 of the trunk that the device must have; `None` for any.
        expect: Option<[u8; 32]>,
    },
    /// Asks for the model.
    Model,
    /// Asks for stores, heads and memory.
    State,
    /// Announces an input.
    BeginInput {
        /// Its length in bytes: the model's input.
        len: u32,
        /// CRC-32 of the whole input.
        crc: u32,
    },
    /// The next part of the announced input.
    InputChunk {
        /// First byte.
        offset: u32,
        /// int8 values, NHWC, quantized as [`ModelInfo::quant`](super::ModelInfo::quant) says.
        data: &'a [u8],
    },
    /// Runs the network on the input. The input must be sent again for another inference.
    Infer {
        /// How many of the likeliest classes to report, at most [`MAX_TOP`](super::MAX_TOP).
        top: u8,
    },
    /// Asks for logits of the last inference, up to [`LOGITS_IN_REPLY`](super::LOGITS_IN_REPLY) of them.
    Logits {
        /// First class.
        first: u32,
    },
    /// Runs the trunk on the input, which must be sent again for another use, and keeps the feature as a
    /// sample.
    AddSample {
        /// Name of its class.
        class: &'a str,
        /// How to pool. `None`: as the stored samples if there are any, else as the factory head.
        pool: Option<PoolKind>,
        /// Not 0 and different for every sample: a repeated request adds none, even after a restart.
        token: u64,
    },
    /// Asks for classes of the sample store, up to [`CLASSES_IN_REPLY`](super::CLASSES_IN_REPLY) of them.
    Samples {
        /// First class.
        first: u32,
    },
    /// Deletes the samples of a class, or all.
    ClearSamples {
        /// The class; `None` for all.
        class: Option<&'a str>,
    },
    /// Trains a head on the stored samples.
    RetrainHead(RetrainOptions),
    /// Makes the trained or imported head the active one.
    Commit,
    /// Goes back to the head before.
    Rollback,
    /// Asks for a part of the active head's file.
    ExportHead {
        /// First byte.
        offset: u32,
        /// Most bytes, at most [`MAX_CHUNK`](super::MAX_CHUNK).
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
    /// The next part of the announced head file. `Commit` checks the file and makes it active.
    ImportChunk {
        /// First byte.
        offset: u32,
        /// The bytes.
        data: &'a [u8],
    },
    /// Times inferences.
    Bench {
        /// How many, at most [`MAX_BENCH`](super::MAX_BENCH).
        runs: u16,
    },
    /// Reads the power sensor.
    Power,
    /// Takes up to [`EVENTS_IN_REPLY`](super::EVENTS_IN_REPLY) events out of the log.
    Log,
    /// Restarts the device after the reply.
    Reset,
    /// Which models can be loaded, and which one runs. Needs no session where no application runs.
    LoadInfo,
    /// Announces a model file. Refused, or the application ends; opens a session where none runs. Goes on
    /// where it stopped, if so much of this file has arrived before.
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
    /// A part of the name of a class of the active head, up to [`LABEL_IN_REPLY`](super::LABEL_IN_REPLY)
    /// bytes.
    Label {
        /// The class.
        class: u32,
        /// First byte.
        offset: u32,
    },
}

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
