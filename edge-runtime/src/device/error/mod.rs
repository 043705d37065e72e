//! The errors that a device sends, made from those of flash, stores, training and models.
//!
//! Errors of the layers above turn into these in their own files.

mod load;
mod not_ready;

pub use load::LoadError;
pub use not_ready::NotReady;

use super::samples::SampleError;
use crate::flash::FlashError;
use crate::head::store::StoreError;
use crate::head::train::TrainError;
use crate::head::{MAX_HIDDEN, PoolKind};
use crate::model::ModelError;
use crate::power::PowerError;
use crate::signature::TrustError;
use serde::{Deserialize, Serialize};

/// Why a request was refused. What was stored before is still stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum DeviceError {
    /// Another protocol. Stays the first variant, with this field, in every version.
    #[error("the device speaks protocol version {device}; use the matching host program")]
    Version {
        /// What the device speaks.
        device: u8,
    },
    /// No session is open, e.g. after a restart of the device.
    #[error("the device knows no such session; it was restarted, or another host took over")]
    NoSession,
    /// The host means another model.
    #[error("the device has another model; deploy yours, or connect without naming one")]
    WrongModel,
    /// The request cannot be decoded.
    #[error("the device cannot decode the request")]
    BadRequest,
    /// The reply does not fit a frame.
    #[error("the reply is too long for the device's frames")]
    ReplyTooLong,
    /// A chunk does not continue the last one.
    #[error("the device expected the chunk at offset {expected}")]
    ChunkOffset {
        /// Where to go on.
        expected: u32,
    },
    /// A chunk or a length goes beyond the end.
    #[error("the transfer is longer than the {limit} bytes that fit")]
    TooLong {
        /// What fits.
        limit: u32,
    },
    /// An input has another length than the model's.
    #[error("the model's input has {need} bytes")]
    InputLength {
        /// That length.
        need: u32,
    },
    /// A transfer was not begun, or is not complete.
    #[error("{have} bytes of {need} have arrived; send the rest first")]
    Incomplete {
        /// What is there.
        have: u32,
        /// What was announced; 0 if nothing was.
        need: u32,
    },
    /// A transfer's checksum is wrong.
    #[error("the checksum of the transfer is wrong; send it again")]
    Checksum,
    /// The device does not do this.
    #[error("not supported by this device: {0}")]
    Unsupported(Feature),
    /// The model has no head, and none was committed.
    #[error("there is no head; train or import one")]
    NoHead,
    /// It would take more RAM than there is.
    #[error(
        "this takes {need} bytes of RAM and the device has {have}; use fewer classes, or a narrower hidden layer"
    )]
    Ram {
        /// What there is.
        have: u32,
        /// What it takes.
        need: u32,
    },
    /// The flash failed.
    #[error("the flash failed at offset {at}")]
    Flash {
        /// Where.
        at: u32,
    },
    /// The device's flash areas are of no use.
    #[error("the device's flash areas do not fit its model")]
    Area,
    /// A bad class name.
    #[error(
        "a class name has 1 to {} bytes and no control characters",
        super::samples::MAX_CLASS_NAME
    )]
    ClassName,
    /// Too many classes.
    #[error(
        "the sample store takes {} classes; clear one",
        super::samples::MAX_CLASSES
    )]
    Classes,
    /// No samples of this class.
    #[error("there are no samples of this class")]
    NoSuchClass,
    /// The samples were pooled otherwise.
    #[error("the stored samples were pooled by {stored}; clear them to use another pooling")]
    Pool {
        /// How.
        stored: PoolKind,
    },
    /// Numbers are used up.
    #[error("the numbers of the store are used up; erase it")]
    Numbers,
    /// Not two classes to train on.
    #[error("training needs samples of two classes at least, and there are {have}; add samples")]
    TooFewClasses {
        /// Classes in the store.
        have: u32,
    },
    /// A class without samples to train on.
    #[error("class {class} has no sample to train on; add samples")]
    EmptyClass {
        /// Its place in the list of classes.
        class: u32,
    },
    /// A training option out of range.
    #[error("a training option is out of range")]
    TrainOption,
    /// The hidden layer is too wide for any device.
    #[error("a hidden layer has at most {MAX_HIDDEN} units; take a narrower one")]
    HiddenUnits,
    /// Classes of the present head would be lost.
    #[error(
        "{missing} of the present head's {classes} classes have no samples, and the new head would not know them; add samples of them, or train without them (--drop-classes)"
    )]
    MissingClasses {
        /// Classes without samples.
        missing: u32,
        /// Classes of the present head.
        classes: u32,
    },
    /// There is nothing to commit.
    #[error("there is no trained or imported head to commit")]
    NothingToCommit,
    /// The factory head is active.
    #[error("the factory head is active; there is nothing to roll back to")]
    NothingToRollBack,
    /// A head for another trunk.
    #[error("the head was made for another trunk; retrain it on this model")]
    ForeignHead,
    /// Not a head, or a damaged one.
    #[error("this is no head file of a version that the device reads, or it is damaged")]
    BadHead,
    /// A head without the signature that this device asks for.
    #[error("this device takes signed heads only, and the head has no signature; sign it")]
    Unsigned,
    /// A signature that does not fit.
    #[error("the signature of the head does not fit the device's public key")]
    Signature,
    /// No power reading.
    #[error(transparent)]
    Power(PowerError),
    /// The application does not run.
    #[error(transparent)]
    NotReady(NotReady),
    /// A model is not loaded.
    #[error(transparent)]
    Load(LoadError),
    /// The backend that runs the trunk failed.
    #[error("the device's backend failed; start its program with `--backend engine`")]
    Backend,
}

/// What a device may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Feature {
    /// This pooling with this model.
    #[error("this pooling with this model; use the pooling of its own head (leave --pool out)")]
    Pooling,
}

impl From<FlashError> for DeviceError {
    fn from(e: FlashError) -> Self {
        Self::Flash { at: e.at() }
    }
}

impl From<SampleError> for DeviceError {
    fn from(e: SampleError) -> Self {
        match e {
            SampleError::Flash(e) => e.into(),
            SampleError::Area | SampleError::Index { .. } | SampleError::Feature { .. } => {
                Self::Area
            }
            SampleError::ClassName => Self::ClassName,
            SampleError::Classes => Self::Classes,
            SampleError::NoSuchClass => Self::NoSuchClass,
            SampleError::Pool { stored } => Self::Pool { stored },
            SampleError::Numbers => Self::Numbers,
        }
    }
}

impl From<ModelError> for DeviceError {
    fn from(e: ModelError) -> Self {
        match e {
            ModelError::ForeignHead => Self::ForeignHead,
            _ => Self::BadHead,
        }
    }
}

impl From<StoreError> for DeviceError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Flash(e) => e.into(),
            StoreError::Area => Self::Area,
            StoreError::Room { have, .. } => Self::TooLong { limit: have as u32 },
            StoreError::Head(e) => e.into(),
            StoreError::Trust(TrustError::Unsigned(_)) => Self::Unsigned,
            StoreError::Trust(_) => Self::Signature,
            StoreError::NothingToRollBack => Self::NothingToRollBack,
            StoreError::Sequence => Self::Numbers,
        }
    }
}

impl From<TrainError> for DeviceError {
    fn from(e: TrainError) -> Self {
        match e {
            TrainError::Classes(have) => Self::TooFewClasses { have: have as u32 },
            TrainError::EmptyClass(class) => Self::EmptyClass {
                class: class as u32,
            },
            TrainError::Option(_) => Self::TrainOption,
            TrainError::Hidden(_) => Self::HiddenUnits,
            TrainError::Sample(_) | TrainError::Layers => Self::Area,
            TrainError::Workspace { have, need } => Self::Ram {
                have: 4 * have as u32,
                need: 4 * need as u32,
            },
        }
    }
}

impl From<LoadError> for DeviceError {
    fn from(e: LoadError) -> Self {
        match e {
            LoadError::Flash { at } => Self::Flash { at },
            e => Self::Load(e),
        }
    }
}
