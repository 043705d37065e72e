//! PyTorch checkpoints (`.pth`, `.pt`, `.th`, `.bin`): the zip form and the legacy stream.
//!
//! A checkpoint is a Python pickle, which is a small program. Our reader `pickle` builds plain data from it
//! and executes nothing. This module knows no network: it returns names and tensors.

mod archive;
mod legacy;
mod pickle;
mod tensors;
#[cfg(test)]
mod tests;
mod value;

use super::sniff::refuse_placeholders;
use super::{ImportError, StateDict};
use std::path::Path;

/// Reads the tensors of the checkpoint at `path`, with PyTorch's names and order of dimensions.
///
/// Unwraps nested checkpoints (`{'state_dict': {...}}`), removes the prefix `module.` that `DataParallel`
/// adds to every name, and leaves out what is no tensor.
pub fn read(path: &Path) -> Result<StateDict, ImportError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|e| ImportError::new(format!("cannot be read: {e}")).file(&name))?;
    read_bytes(&bytes, &name)
}

/// Reads the tensors of a checkpoint in memory; `name` stands for the file in messages.
pub fn read_bytes(bytes: &[u8], name: &str) -> Result<StateDict, ImportError> {
    let result = refuse_placeholders(bytes).and_then(|()| match bytes {
        [b'P', b'K', ..] => archive::read(bytes),
        [0x80, ..] => legacy::read(bytes),
        _ => Err(
            ImportError::new("not a PyTorch checkpoint (neither zip nor pickle)")
                .hint("expected a file written by torch.save"),
        ),
    });
    result.map_err(|e| e.file(name))
}
