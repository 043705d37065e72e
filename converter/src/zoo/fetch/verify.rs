//! Checks whether a file is the pinned one, and copies data with a checksum.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::zoo::catalog::Pin;

/// Most bytes that are accepted of a file whose length the catalog does not know.
pub(super) const LARGEST: u64 = 4 << 30;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no file.
    Nothing,
    /// There is a file, but not the pinned one.
    Wrong,
    /// There is the pinned file, of this SHA-256.
    Right([u8; 32]),
}

/// Tells whether the file at `path` is the pinned one.
pub(super) fn check(path: &Path, pin: &Pin, size: Option<u64>) -> Found {
    let Ok(file) = File::open(path) else {
        return Found::Nothing;
    };
    match copy(file, &mut io::sink(), size.unwrap_or(LARGEST), &|_| ()) {
        Ok((digest, read)) if is_right(&digest, read, pin, size) => Found::Right(digest),
        _ => Found::Wrong,
    }
}

/// True if a file with this checksum and length is the pinned one.
pub(super) fn is_right(digest: &[u8; 32], len: u64, pin: &Pin, size: Option<u64>) -> bool {
    pin.matches(digest) && size.is_none_or(|s| s == len)
}

/// Why copying stopped.
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies at most `limit` bytes and one more, so that a file that is too long is noticed but not unpacked.
/// Returns the SHA-256 and the number of bytes, and calls `moved` with the length of each part.
pub(super) fn copy(
    from: impl Read,
    to: &mut dyn Write,
    limit: u64,
    moved: &dyn Fn(u64),
) -> Result<([u8; 32], u64), CopyError> {
    let mut from = from.take(limit.saturating_add(1));
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok((hash.finalize().into(), size)),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(CopyError::Read(e)),
        };
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(CopyError::Write)?;
        size += n as u64;
        moved(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writing fails half way: `/dev/full` stands for a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_a_write_error() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let result = copy(&b"some bytes"[..], &mut full, 1000, &|_| ());
        assert!(
            matches!(result, Err(CopyError::Write(e)) if e.kind() == io::ErrorKind::StorageFull)
        );
    }

    #[test]
    fn too_long_a_file_is_not_read_to_its_end() {
        let result = copy(io::repeat(7), &mut io::sink(), 100_000, &|_| ());
        assert!(matches!(result, Ok((_, 100_001))));
    }
}
