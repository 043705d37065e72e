//! One file to the part of its picture that a network sees.

use super::image_file::{self, PictureError};
use super::preprocess::{self, PreprocessError};
use crate::model::InputSpec;
use std::path::{Path, PathBuf};

/// Why a file does not become an input; names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read or decoded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// It cannot be brought to the input's size.
    #[error("{}: {source}", path.display())]
    Preprocess {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: PreprocessError,
    },
}

/// Reads one file and brings it to the input's size: `[height][width][channels]`, 8 bits.
pub fn load(path: &Path, spec: &InputSpec) -> Result<Vec<u8>, LoadError> {
    let picture = image_file::read(path)?;
    preprocess::crop(&picture, spec).map_err(|source| LoadError::Preprocess {
        path: path.into(),
        source,
    })
}
