//! A model file, mapped and not copied.

use super::Backing;
use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use std::fs::File;
use std::io;
use std::path::Path;

/// The bytes of a `.edge` file; the system reads them when they are used, and shares them between processes.
#[derive(Debug)]
pub struct ModelFile(Mmap);

impl ModelFile {
    /// Maps a file. It must not be written to while it is mapped: a new version takes its place by a rename.
    pub fn map(path: &Path) -> io::Result<Self> {
        // Asked before opening, which would wait for whoever writes into a pipe.
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        let file = File::open(path)?;
        // SAFETY: the map is read-only, and nobody writes into a model in place (above): `convert` and
        // `deploy` rename a whole file to its name, after which this map still shows the old one.
        unsafe { Mmap::map(&file) }.map(Self)
    }
}

impl Backing for ModelFile {
    /// Other systems decide for themselves.
    #[cfg(not(unix))]
    fn release(&self, _: &[u8]) {}

    /// What the pages hold is in the file, where the system finds it when it is asked for again.
    #[cfg(unix)]
    fn release(&self, bytes: &[u8]) {
        let map = self.0.as_ptr_range();
        let range = bytes.as_ptr_range();
        if bytes.is_empty() || range.start < map.start || range.end > map.end {
            return;
        }
        let at = range.start.addr() - map.start.addr();
        // SAFETY: the map is read-only and of a file, so pages that are let go come back with what the file has, which
        // is what they had (see `map`). A system that refuses keeps them.
        let _ = unsafe {
            self.0
                .unchecked_advise_range(UncheckedAdvice::DontNeed, at, bytes.len())
        };
    }
}

impl core::ops::Deref for ModelFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.edge");
        std::fs::write(&path, b"bytes").unwrap();
        let mapped = ModelFile::map(&path).unwrap();
        // A new version has no influence on the one that is mapped.
        let new = dir.path().join("new");
        std::fs::write(&new, b"other").unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert_eq!(&mapped[..], b"bytes");
        assert_eq!(mapped.as_ptr().align_offset(crate::model::ALIGNMENT), 0);
        // What is released is read again.
        mapped.release(&mapped[1..3]);
        mapped.release(b"elsewhere");
        assert_eq!(&mapped[..], b"bytes");
        assert!(ModelFile::map(dir.path()).is_err());
        assert!(ModelFile::map(&dir.path().join("absent")).is_err());
    }
}
