//! A file in memory, where the format wants it: on a 16-byte boundary.

use super::ALIGNMENT;
use std::io::Read;
use std::path::Path;

/// Memory that a model lies in and that can be had back while the model is open.
pub trait Backing: core::fmt::Debug + Sync {
    /// `bytes`, a part of the model, have been copied, most of them: the memory may go, as long as a later read gives
    /// what was there.
    fn release(&self, bytes: &[u8]);
}

#[derive(Clone, Copy, Debug, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(16))]
struct Block([u8; ALIGNMENT]);

/// Bytes that start on a multiple of 16.
#[derive(Clone, Debug, Default)]
pub struct AlignedBytes {
    blocks: Vec<Block>,
    len: usize,
}

impl AlignedBytes {
    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut new = Self::zeroed(bytes.len());
        new.copy_from_slice(bytes);
        new
    }

    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let blocks = vec![bytemuck::Zeroable::zeroed(); len.div_ceil(ALIGNMENT)];
        Self { blocks, len }
    }

    /// The content of a file.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let len = file.metadata()?.len();
        let len = usize::try_from(len).map_err(|_| std::io::ErrorKind::FileTooLarge)?;
        let mut new = Self::zeroed(len);
        file.read_exact(&mut new)?;
        Ok(new)
    }
}

impl core::ops::Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }
}

impl core::ops::DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }
}
