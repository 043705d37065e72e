//! Why no application runs.

use crate::model::ModelError;
use serde::{Deserialize, Serialize};

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
