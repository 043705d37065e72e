//! The errors that a device sends, and what of the runtime they are made from.

use super::app::AppError;
use super::load::LoadError;
use super::memory::PlanError;
use super::samples::SampleError;
use crate::engine::EngineError;
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
}

/// Why a device answers, but runs no application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NotReady {
    /// There is no model where it should be.
    #[error("the device has no model; load or flash one")]
    NoModel,
    /// A model in another version of the format.
    #[error(
        "the device's model has format version {found}, and its program reads version {}; convert it, and load or flash it again",
        crate::model::header::VERSION
    )]
    ModelVersion {
        /// The model's.
        found: u16,
    },
    /// A model that is cut off, damaged or inconsistent.
    #[error("the device's model is damaged; load or flash it again")]
    DamagedModel,
    /// A float model.
    #[error("the device's model is float, and it runs int8 models; convert with --int8")]
    FloatModel,
    /// The model does not fit the RAM, not even with a head of two classes.
    #[error(
        "the device's model needs {need} bytes of RAM, and there are {have}; load or flash a smaller one"
    )]
    Ram {
        /// What there is.
        have: u32,
        /// What it takes.
        need: u32,
    },
    /// The stores do not fit the flash.
    #[error(
        "the device's flash for heads and samples does not go with its model; take a model with fewer features, or larger regions"
    )]
    Areas,
    /// The flash failed while the stores were opened.
    #[error("the flash of the device failed at offset {at} when it started")]
    Flash {
        /// Offset in the flash.
        at: u32,
    },
    /// Faults one after another: the application was not started once more.
    #[error(
        "the device restarted after {faults} faults in a row and waits; read its log, then reset it or flash it again"
    )]
    Faults {
        /// How many.
        faults: u32,
    },
    /// A host is sending a model.
    #[error(
        "the device is being given a model and has {have} of its {need} bytes; load it, or another model, again"
    )]
    Loading {
        /// Bytes that have come.
        have: u32,
        /// Bytes of the file.
        need: u32,
    },
    /// The model has no valid signature, and the firmware asks for one.
    #[error(
        "the device takes signed models only, and its model has no signature of the device's key; sign it as it is flashed, and flash it again"
    )]
    Untrusted,
}

impl From<&ModelError> for NotReady {
    fn from(e: &ModelError) -> Self {
        match e {
            ModelError::NotAModel => Self::NoModel,
            ModelError::Version { found } => Self::ModelVersion { found: *found },
            _ => Self::DamagedModel,
        }
    }
}

impl From<&PlanError> for NotReady {
    fn from(e: &PlanError) -> Self {
        match e {
            PlanError::Ram { have, need } => Self::Ram {
                have: u32::try_from(*have).unwrap_or(u32::MAX),
                need: u32::try_from(*need).unwrap_or(u32::MAX),
            },
            PlanError::Areas | PlanError::Classes | PlanError::Slot { .. } => Self::Areas,
        }
    }
}

impl From<&AppError> for NotReady {
    fn from(e: &AppError) -> Self {
        match e {
            AppError::Plan(e) => e.into(),
            AppError::Memory { have, need } => (&PlanError::Ram {
                have: *have,
                need: *need,
            })
                .into(),
            AppError::Engine(EngineError::FloatModel) => Self::FloatModel,
            AppError::Engine(_) => Self::DamagedModel,
            AppError::Heads(StoreError::Flash(e)) | AppError::Samples(SampleError::Flash(e)) => {
                Self::Flash { at: e.at() }
            }
            AppError::Heads(_) | AppError::Samples(_) => Self::Areas,
        }
    }
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
