//! Why a model is not loaded.

use crate::engine::EngineError;
use crate::model::{Family, ModelError};
use crate::signature::TrustError;
use serde::{Deserialize, Serialize};

/// Why a model is not loaded. All but [`LoadError::Flash`], [`LoadError::Storage`] and what only the whole
/// file shows are said before anything is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum LoadError {
    /// The device has no place for it that a host may write.
    #[error("this device takes no model over the line")]
    NoStore,
    /// The device's program may not write where its model is.
    #[error(
        "the device's program may not write where its model is; bring the model there with `cargo xtask deploy`, or put it where the program may write"
    )]
    ReadOnly,
    /// The system of the device does not store it.
    #[error("the device could not store the model; its disk may be full, and its log says more")]
    Storage,
    /// The flash failed.
    #[error("the flash of the device's model failed at offset {at}; load the model again")]
    Flash {
        /// Offset in the model's region.
        at: u32,
    },
    /// The file is longer than its place.
    #[error("the model's file has {need} bytes, and the device has room for {have}")]
    TooLong {
        /// What fits.
        have: u32,
        /// Its length.
        need: u32,
    },
    /// Not a model file.
    #[error("the file is no model")]
    NotAModel,
    /// A model in another version of the format.
    #[error(
        "the model has format version {found}, and the device's program reads version {}; convert it again",
        crate::model::header::VERSION
    )]
    Version {
        /// The model's.
        found: u16,
    },
    /// Cut off, damaged, inconsistent.
    #[error("the model's file is damaged or inconsistent; convert it again")]
    Damaged,
    /// A float model.
    #[error("the model is float, and devices run int8 models; convert it with --int8")]
    Float,
    /// Packed for other kernels, or not packed.
    #[error(
        "the model is packed for {}, and the device runs models packed for {}; convert it for this device's board",
        name(*have),
        name(*need)
    )]
    Packing {
        /// For whom the file is packed.
        have: Option<Family>,
        /// For whom it should be.
        need: Option<Family>,
    },
    /// A layer that the device's program has no kernel for.
    #[error(
        "layer {layer} of the model has no kernel on this device; convert it for this device's board"
    )]
    Layer {
        /// The layer's index.
        layer: u32,
    },
    /// It does not fit the RAM.
    #[error(
        "the model needs {need} bytes of RAM on this device, and there are {have}; take a smaller one"
    )]
    Ram {
        /// What there is.
        have: u32,
        /// What it takes.
        need: u32,
    },
    /// The stores do not fit the flash with this model.
    #[error(
        "the device's flash for heads and samples does not go with the model; take one with fewer features"
    )]
    Areas,
    /// It is not the model that the host announced.
    #[error("the model takes other sizes than the host stated; update the host's program")]
    Misstated,
    /// No signature where one is needed.
    #[error("this device takes signed models only, and the model has no signature; sign it")]
    Unsigned,
    /// A signature that does not fit.
    #[error(
        "the signature of the model does not fit the device's public key; sign this very file with the key that belongs to it"
    )]
    Signature,
}

/// For whom a file is packed, as the messages say it.
fn name(family: Option<Family>) -> &'static str {
    family.map_or("no processor", Family::name)
}

impl From<&ModelError> for LoadError {
    fn from(e: &ModelError) -> Self {
        match e {
            ModelError::NotAModel => Self::NotAModel,
            ModelError::Version { found } => Self::Version { found: *found },
            _ => Self::Damaged,
        }
    }
}

impl From<EngineError> for LoadError {
    fn from(e: EngineError) -> Self {
        match e {
            EngineError::FloatModel => Self::Float,
            EngineError::Layout { layer, .. } => Self::Layer {
                layer: layer as u32,
            },
            EngineError::Misaligned | EngineError::Arena { .. } => Self::Damaged,
        }
    }
}

impl From<TrustError> for LoadError {
    fn from(e: TrustError) -> Self {
        match e {
            TrustError::Unsigned(_) => Self::Unsigned,
            TrustError::Signature(_) | TrustError::Key => Self::Signature,
        }
    }
}
