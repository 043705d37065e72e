//! Picture files to pictures, and back to PNG. The content decides, not the name.
//!
//! The pixels are those of Pillow's `Image.open(file).convert("RGB")`, turned upright if the file has an
//! orientation: the first frame or page, without transparency. Files may be hostile: sizes are checked before
//! memory is allocated. Knows nothing of networks.

mod bmp;
mod format;
mod gif;
mod jpeg;
mod png;
mod pnm;
mod tiff;
mod webp;

use super::Picture;
use format::Format;
use std::path::{Path, PathBuf};

pub use format::FORMATS;
pub(super) use format::{HEAD, kind, reads};
pub use png::encode_png;

/// Most pixels of a picture that is read; a 48 megapixel photograph passes.
pub const MAX_PIXELS: u64 = 50_000_000;
/// Longest file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 20;

/// Why a picture cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file cannot be read.
    #[error("{}: cannot read the picture: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The content cannot be decoded.
    #[error("{}: {problem}; replace or remove the file", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads a picture file, and turns the picture upright if the file has an orientation.
///
/// # Errors
/// [`PictureError`], which names the file.
pub fn read(path: &Path) -> Result<Picture, PictureError> {
    let failed = |source| PictureError::Read {
        path: path.into(),
        source,
    };
    let broken = |problem| PictureError::Decode {
        path: path.into(),
        problem,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(broken("not a regular file".into()));
    }
    if metadata.len() > MAX_FILE {
        return Err(broken(format!(
            "{} bytes, more than the limit of {MAX_FILE}",
            metadata.len()
        )));
    }
    decode(&std::fs::read(path).map_err(failed)?).map_err(broken)
}

/// Decodes the content of a picture file; the error is one line without the file's name.
pub fn decode(bytes: &[u8]) -> Result<Picture, String> {
    match Format::of(bytes) {
        Some(Format::Jpeg) => jpeg::decode(bytes),
        Some(Format::Png) => png::decode(bytes),
        Some(Format::WebP) => webp::decode(bytes),
        Some(Format::Gif) => gif::decode(bytes),
        Some(Format::Bmp) => bmp::decode(bytes),
        Some(Format::Tiff) => tiff::decode(bytes),
        Some(Format::Pnm) => pnm::decode(bytes),
        None if bytes.is_empty() => Err("the file is empty".into()),
        None => match format::kind(&bytes[..bytes.len().min(HEAD)]) {
            Some(kind) => Err(format!("{kind}; {FORMATS} are read")),
            None => Err(format!("not a picture that is read ({FORMATS} are)")),
        },
    }
}

fn check_size(width: u32, height: u32) -> Result<(), String> {
    match width as u64 * height as u64 {
        0 => Err(format!("a picture of {width}x{height} pixels")),
        n if n > MAX_PIXELS => Err(format!(
            "{width}x{height} pixels, more than the limit of {MAX_PIXELS}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
