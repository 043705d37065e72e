//! What a device said, as objects for machines: `--json` of every program that talks to one prints these.
//!
//! The names of the fields are the keys. Knows no format and no command line.

use super::client::{self, Client, ClientError, Counted, Identity, Likely, Pipe};
use super::judged::{self, Judged};
use super::memory::Room;
use super::protocol::{StateInfo, VERSION};
use crate::head::store;
use crate::model::DType;
use serde::Serialize;

/// What is on a device.
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
    /// The stack, where the device measures it.
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
    /// Where the active one is: `factory` or `slot`.
    pub active: &'static str,
    /// Its sequence number, 0 for the factory head.
    pub sequence: u32,
    /// Its classes.
    pub classes: u32,
    /// What `rollback` would lead to.
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

/// Flash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flash {
    /// All of it.
    pub bytes: u32,
    /// What is erased at once.
    pub erase_bytes: u32,
    /// What is programmed at once.
    pub write_bytes: u32,
}

/// The stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// Most bytes that were in use.
    pub used_bytes: u32,
    /// All of it.
    pub bytes: u32,
}

/// Memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ram {
    /// What the application takes in all.
    pub bytes: u32,
    /// Of that, activations.
    pub arena_bytes: u32,
    /// Of that, training on the classes that are stored; shares its place with the activations.
    pub training_bytes: u32,
    /// Units of the widest hidden layer with which those classes can be trained; 0 if none.
    pub most_hidden: usize,
}

impl Info {
    /// Asks a device that has told its identity.
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
    /// Time on the device.
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
    /// Its probability; `None` if the head's numbers are no logits of classes.
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
    /// Fraction of those that the new head gets right, if there are any.
    pub held_out_top1: Option<f32>,
    /// Mean of the fractions of the classes of which some are held out.
    pub held_out_balanced: Option<f32>,
    /// The classes, one by one.
    pub by_class: Vec<Judged>,
    /// Classes of the head before, if that was trained, which this one lacks.
    pub lost_classes: Vec<String>,
    /// What is wrong with the samples or the head.
    pub warnings: Vec<String>,
    /// Fraction of the same samples that the head before gets right, if it knows their classes.
    pub present_top1: Option<f32>,
    /// The epoch that won; 0 is the start.
    pub best_epoch: u32,
    /// True if the new head is the active one; if not, it waits for `commit`.
    pub committed: bool,
    /// Its sequence number then.
    pub head_sequence: Option<u32>,
    /// The SHA-256 that its file carries, in hexadecimal.
    pub head_sha256: String,
    /// Memory that the training took.
    pub training_ram_bytes: u32,
}

impl Training {
    /// Of what a device said, and what was known before.
    pub fn new(training: &client::Training, lost_classes: Vec<String>) -> Self {
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
pub struct Samples {
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

impl From<&[Counted]> for Samples {
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
    /// Where, with the port that the system chose if none was given.
    pub listening: String,
    /// Name of the model; nothing if none runs.
    pub model: Option<String>,
    /// Memory that the application takes.
    pub ram_bytes: usize,
    /// Flash of heads and samples.
    pub flash_bytes: u32,
    /// Most classes that can be trained.
    pub most_classes: usize,
    /// True if hosts need the key.
    pub encrypted: bool,
    /// True if models and imported heads need a signature.
    pub signature_needed: bool,
}
