//! What a model needs of a board. The numbers are exact: they are in the file of the model.

use crate::pack::{self, PackError};
use edge_runtime::head::Pool;
use edge_runtime::model::{DType, Family, Model};
use std::collections::BTreeSet;

/// What a model needs of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// False for a float model.
    pub int8: bool,
    /// Length of the file in bytes.
    pub model_bytes: u64,
    /// Length of the arena in bytes.
    pub arena_bytes: u64,
    /// Length of the feature vector that new heads read.
    pub features: usize,
    /// The head in the file, if there is one.
    pub head: Option<OwnHead>,
    /// Names of the operators.
    pub operators: BTreeSet<&'static str>,
}

/// The head in a model's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnHead {
    /// Number of classes.
    pub classes: usize,
    /// Length in bytes.
    pub bytes: u64,
}

impl Needs {
    /// The needs of an int8 model when it is packed for a family, or unpacked for `None`; those of a float model as it
    /// is. `file_len` is the length of the model's file in bytes.
    ///
    /// # Errors
    /// If the model cannot be packed or unpacked.
    pub fn packed(
        model: &Model<'_>,
        file_len: usize,
        family: Option<Family>,
    ) -> Result<Self, PackError> {
        if model.dtype() != DType::I8 || model.packing().map(|p| p.family) == family {
            return Ok(Self::of(model, file_len));
        }
        let mut bytes = pack::unpack(model)?;
        if let Some(family) = family {
            bytes = pack::pack(&Model::parse(&bytes)?, family)?;
        }
        Ok(Self::of(&Model::parse(&bytes)?, bytes.len()))
    }

    /// The needs of a model as it is. `file_len` is the length of its file in bytes.
    pub fn of(model: &Model<'_>, file_len: usize) -> Self {
        let flat = model.head().filter(|h| h.record().pool == Pool::Flatten);
        Self {
            int8: model.dtype() == DType::I8,
            model_bytes: file_len as u64,
            arena_bytes: model.arena_bytes() as u64,
            features: flat.map_or(model.output().shape.c as usize, |h| h.features()),
            head: model.head().map(|h| OwnHead {
                classes: h.classes(),
                bytes: h.bytes().len() as u64,
            }),
            operators: model.layers().map(|l| l.op.name()).collect(),
        }
    }
}
