//! From a picture file to the pixels that a network sees.

use super::image_file::{self, PictureError};
use super::preprocess::{self, PreprocessError};
use crate::model::InputSpec;
use std::path::{Path, PathBuf};

/// Why a file cannot become an input; names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read or decoded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The picture cannot be brought to the size of the input.
    #[error("{}: {source}", path.display())]
    Preprocess {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: PreprocessError,
    },
}

/// Reads one file and brings it to the size of the input: `[height][width][channels]`, 8 bits.
///
/// # Errors
/// [`LoadError`], which names the file.
pub fn load(path: &Path, spec: &InputSpec) -> Result<Vec<u8>, LoadError> {
    let picture = image_file::read(path)?;
    preprocess::crop(&picture, spec).map_err(|source| LoadError::Preprocess {
        path: path.into(),
        source,
    })
}
