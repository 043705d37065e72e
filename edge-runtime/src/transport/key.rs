//! The key that host and device share.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;

/// A pre-shared key.
#[derive(Clone)]
pub struct Key([u8; KEY_LEN]);

/// Why a key file cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("{}: cannot read the key: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has another length than a key.
    #[error("{}: a key file has exactly {KEY_LEN} random bytes; `cargo xtask keygen` or `head -c {KEY_LEN} /dev/urandom` makes one", .0.display())]
    Length(PathBuf),
    /// Other users of the machine can read the key.
    #[error("{}: every user of this machine may read the key; `chmod o= {}`", .0.display(), .0.display())]
    Public(PathBuf),
}

impl Key {
    /// A key made of these random bytes.
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Reads a key file: [`KEY_LEN`] bytes, not readable by everyone.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read {
            path: path.into(),
            source,
        };
        let file = std::fs::File::open(path).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            if file.metadata().map_err(failed)?.mode() & 0o007 != 0 {
                return Err(KeyError::Public(path.into()));
            }
        }
        let mut bytes = vec![];
        // One byte more than a key: shows whether the file is longer.
        let mut start = file.take(KEY_LEN as u64 + 1);
        start.read_to_end(&mut bytes).map_err(failed)?;
        let key = bytes.try_into();
        key.map(Self).map_err(|_| KeyError::Length(path.into()))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn length_and_mode_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let read = |len: usize, mode: u32| {
            std::fs::write(&path, vec![7; len]).unwrap();
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).unwrap();
            Key::read(&path)
        };
        assert_eq!(read(32, 0o600).unwrap().0, [7; 32]);
        assert_eq!(format!("{:?}", read(32, 0o440).unwrap()), "Key(..)");
        for len in [0, 31, 33, 1000] {
            assert!(matches!(read(len, 0o600), Err(KeyError::Length(_))));
        }
        assert!(matches!(read(32, 0o644), Err(KeyError::Public(_))));
        let absent = Key::read(&dir.path().join("absent"));
        assert!(matches!(absent, Err(KeyError::Read { .. })));
    }
}
