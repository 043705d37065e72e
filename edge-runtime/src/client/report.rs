//! Replies of a device as serializable objects: programs print these with `--json`.
//!
//! The names of the fields are the JSON keys. Knows no format and no command line.

use super::judged::{self, Judged};
use super::{Client, ClientError, Counted, Identity, Likely, Pipe};
use crate::device::memory::Room;
use crate::device::protocol::{StateInfo, VERSION};
use crate::head::store;
use crate::model::DType;
use serde::Serialize;

/// Model, heads, samples and memory of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// Version of the protocol.
    pub protocol: u8,
    /// The model.
    pub model: Model,
    /// The heads.
    pub head: Heads,
    /// The sample store.
    pub samples: Store,
    /// Flash of heads and samples.
    pub flash: Flash,
    /// The stack; `None` if the device does not measure it.
    pub stack: Option<Stack>,
    /// Memory.
    pub ram: Ram,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Name of the network.
    pub name: String,
    /// SHA-256 of the trunk, in hexadecimal.
    pub trunk_sha256: String,
    /// `int8` or `float32`.
    pub dtype: &'static str,
    /// Height, width and channels of an input.
    pub input: [u32; 3],
    /// Length of the features.
    pub features: u32,
    /// How the factory head pools: `avg` or `max`.
    pub pool: String,
    /// True if the weights are random: the model has no accuracy.
    pub random_weights: bool,
}

/// The heads on a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heads {
    /// Where the active head is: `factory` or `slot`.
    pub active: &'static str,
    /// Its sequence number, 0 for the factory head.
    pub sequence: u32,
    /// Its number of classes.
    pub classes: u32,
    /// The head that `rollback` would make active; `None` if it is refused.
    pub previous: Option<ActiveHead>,
    /// True if a trained or imported head waits for `commit`.
    pub waiting_for_commit: bool,
    /// True if imported heads need a signature.
    pub signature_needed: bool,
    /// Longest head file that can be imported.
    pub max_bytes: u32,
}

/// A head that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ActiveHead {
    /// Where it is: `factory` or `slot`.
    pub active: &'static str,
    /// Its sequence number, 0 for the factory head.
    pub head_sequence: u32,
}

/// The sample store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Store {
    /// Samples in it.
    pub stored: u32,
    /// Most samples.
    pub capacity: u32,
    /// Their classes.
    pub classes: u32,
    /// Most classes that can be trained.
    pub max_classes: u32,
}

/// Flash of heads and samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flash {
    /// Length in bytes.
    pub bytes: u32,
    /// Bytes of an erase block.
    pub erase_bytes: u32,
    /// Bytes of a write unit.
    pub write_bytes: u32,
}

/// Stack of the device's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// Most bytes that were in use.
    pub used_bytes: u32,
    /// Length in bytes.
    pub bytes: u32,
}

/// RAM of the application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ram {
    /// Bytes that the application takes.
    pub bytes: u32,
    /// Bytes of that for the activations of an inference.
    pub arena_bytes: u32,
    /// Bytes of that for training on the stored classes; shares its place with the activations.
    pub training_bytes: u32,
    /// Units of the widest hidden layer with which the stored classes can be trained; 0 if none fits.
    pub most_hidden: usize,
}

impl Info {
    /// Asks a device for all of it; `identity` is what [`Client::connect`] returned.
    pub fn ask<P: Pipe>(client: &mut Client<P>, identity: &Identity) -> Result<Self, ClientError> {
        let model = client.model(|m| Model {
            name: m.name.into(),
            trunk_sha256: hex::encode(identity.trunk),
            dtype: match m.dtype {
                DType::I8 => "int8",
                _ => "float32",
            },
            input: [m.input.h, m.input.w, m.input.c],
            features: m.features,
            pool: m.pool.to_string(),
            random_weights: m.random_weights,
        })?;
        Ok(Self::new(model, &client.state()?))
    }

    fn new(model: Model, state: &StateInfo) -> Self {
        let (features, classes) = (model.features as usize, state.classes.max(2) as usize);
        let most_hidden = Room::from(state).most_hidden(features, classes);
        let active = ActiveHead::from(&state.active);
        Self {
            protocol: VERSION,
            model,
            head: Heads {
                active: active.active,
                sequence: active.head_sequence,
                classes: state.head_classes,
                previous: state.previous.as_ref().map(ActiveHead::from),
                waiting_for_commit: state.candidate,
                signature_needed: state.signed,
                max_bytes: state.max_head,
            },
            samples: Store {
                stored: state.samples,
                capacity: state.max_samples,
                classes: state.classes,
                max_classes: state.max_classes,
            },
            flash: Flash {
                bytes: state.flash.len,
                erase_bytes: state.flash.erase_size,
                write_bytes: state.flash.write_size,
            },
            stack: state.stack.map(|stack| Stack {
                used_bytes: stack.used,
                bytes: stack.size,
            }),
            ram: Ram {
                bytes: state.ram,
                arena_bytes: state.arena,
                training_bytes: state.training,
                most_hidden,
            },
        }
    }
}

impl From<&store::Active> for ActiveHead {
    fn from(active: &store::Active) -> Self {
        Self {
            active: match active {
                store::Active::Factory => "factory",
                store::Active::Slot { .. } => "slot",
            },
            head_sequence: active.sequence(),
        }
    }
}

/// An inference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inference {
    /// The picture's file.
    pub image: String,
    /// Time on the device in microseconds.
    pub microseconds: u64,
    /// The likeliest classes, the likeliest first.
    pub top: Vec<Class>,
    /// All logits, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<Vec<f32>>,
}

/// A class of an inference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    /// Its number.
    pub class: u32,
    /// Its name, or empty.
    pub label: String,
    /// Its probability; `None` if the outputs of the head are not logits of classes.
    pub probability: Option<f32>,
    /// Its logit.
    pub logit: f32,
}

impl From<&Likely> for Class {
    fn from(likely: &Likely) -> Self {
        Self {
            class: likely.class,
            label: likely.label.clone(),
            probability: likely.probability,
            logit: likely.logit,
        }
    }
}

/// A training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Training {
    /// Classes of the new head.
    pub classes: u32,
    /// Samples trained on.
    pub samples: u32,
    /// Samples held out.
    pub held_out: u32,
    /// Fraction of those that the new head gets right; `None` if none is held out.
    pub held_out_top1: Option<f32>,
    /// Mean recall of the classes with held-out samples.
    pub held_out_balanced: Option<f32>,
    /// Each class of the new head.
    pub by_class: Vec<Judged>,
    /// Classes of the head before that the new one lacks, if that head was trained.
    pub lost_classes: Vec<String>,
    /// Warnings about samples and head.
    pub warnings: Vec<String>,
    /// Fraction of the same samples that the head before gets right; `None` if it does not know their
    /// classes.
    pub present_top1: Option<f32>,
    /// The best epoch; 0 is the start.
    pub best_epoch: u32,
    /// True if the new head is active; if not, it waits for `commit`.
    pub committed: bool,
    /// Its sequence number, if it is active.
    pub head_sequence: Option<u32>,
    /// The SHA-256 in its file, in hexadecimal.
    pub head_sha256: String,
    /// Bytes of RAM that the training took.
    pub training_ram_bytes: u32,
}

impl Training {
    /// From the reply of a device, and the classes that were known to get lost.
    pub fn new(training: &super::Training, lost_classes: Vec<String>) -> Self {
        let new = &training.retrained;
        Self {
            classes: new.classes,
            samples: new.samples,
            held_out: new.held_out,
            held_out_top1: new.held_out_top1,
            held_out_balanced: judged::balanced(&training.classes),
            by_class: training.classes.clone(),
            warnings: judged::warnings(&training.classes),
            lost_classes,
            present_top1: new.present_top1,
            best_epoch: new.epoch,
            committed: new.committed.is_some(),
            head_sequence: new.committed,
            head_sha256: hex::encode(new.sha256),
            training_ram_bytes: new.training_bytes,
        }
    }
}

/// A commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Committed {
    /// Sequence number of the head that is active now.
    pub head_sequence: u32,
}

/// The samples by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SampleCounts {
    /// All of them.
    pub samples: u64,
    /// Their classes.
    pub classes: Vec<ClassSamples>,
}

/// Samples of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassSamples {
    /// Its name.
    pub class: String,
    /// Its samples, those held out included.
    pub samples: u32,
    /// Those held out.
    pub held_out: u32,
}

impl From<&[Counted]> for SampleCounts {
    fn from(classes: &[Counted]) -> Self {
        let entry = |c: &Counted| ClassSamples {
            class: c.name.clone(),
            samples: c.samples,
            held_out: c.held_out,
        };
        Self {
            samples: classes.iter().map(|c| u64::from(c.samples)).sum(),
            classes: classes.iter().map(entry).collect(),
        }
    }
}

/// A device that has started to listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listening {
    /// The address, with the port that the system chose if none was given.
    pub listening: String,
    /// Name of the model; `None` if no model runs.
    pub model: Option<String>,
    /// Bytes of RAM that the application takes.
    pub ram_bytes: usize,
    /// Bytes of flash for heads and samples.
    pub flash_bytes: u32,
    /// Most classes that can be trained.
    pub most_classes: usize,
    /// True if hosts need the key.
    pub encrypted: bool,
    /// True if models and imported heads need a signature.
    pub signature_needed: bool,
}
