//! The folder with what a device remembers: a flash in a file, and a lock.
//!
//! The flash is two head slots, then the samples; the file's length says how large the sample store is.

use super::flash::{FileFlash, SIZES};
use crate::device::memory::Areas;
use crate::flash::{Area, ERASED, Flash};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of the two head slots.
pub const HEADS_LEN: u32 = 8 << 20;

const FLASH: &str = "flash.bin";
const LOCK: &str = "lock";

/// Sizes of sample stores, in MiB.
const SAMPLES_MIB: std::ops::RangeInclusive<u32> = 1..=2048;

/// Sample store of a new state, in MiB.
const DEFAULT_SAMPLES_MIB: u32 = 64;

/// A state that is open; no other process can open it meanwhile.
#[derive(Debug)]
pub struct State {
    /// The flash.
    pub flash: FileFlash,
    /// What is where in it.
    pub areas: Areas,
    lock: File,
}

/// Why a state cannot be used; names the folder or file.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refuses.
    #[error("{}: {source}", path.display())]
    System {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "{}: the state is in use by another edge process; stop it, or ask it with --connect", .0.display()
    )]
    InUse(PathBuf),
    /// The file is none of this program.
    #[error(
        "{}: {len} bytes are no flash of this program; move the file away to start anew", path.display()
    )]
    NoFlash {
        /// The file.
        path: PathBuf,
        /// Its length.
        len: u64,
    },
    /// The sample store has another size than was asked for.
    #[error(
        "{}: the sample store has {have} MiB and --samples-mib says {want}; it keeps the size that it was made with", path.display()
    )]
    OtherSize {
        /// The file.
        path: PathBuf,
        /// What it has.
        have: u32,
        /// What was asked for.
        want: u32,
    },
    /// A size that is of no use.
    #[error("a sample store has {} to {} MiB, not {mib}", SAMPLES_MIB.start(), SAMPLES_MIB.end())]
    BadSize {
        /// What was asked for.
        mib: u32,
    },
}

impl State {
    /// Opens the state in `folder`, which is made if there is none, readable by its user only.
    /// `samples_mib`: size of the sample store; 64 if a new state is made without a wish.
    pub fn open(folder: &Path, samples_mib: Option<u32>) -> Result<Self, StateError> {
        if let Some(bad) = samples_mib.filter(|mib| !SAMPLES_MIB.contains(mib)) {
            return Err(StateError::BadSize { mib: bad });
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).map_err(at(folder))?;
        let lock = lock(folder)?;
        let path = folder.join(FLASH);
        if !path.try_exists().map_err(at(&path))? {
            let mib = samples_mib.unwrap_or(DEFAULT_SAMPLES_MIB);
            let len = HEADS_LEN as u64 + ((mib as u64) << 20);
            create(folder, &path, len).map_err(at(&path))?;
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(&path);
        let file = file.map_err(at(&path))?;
        let len = file.metadata().map_err(at(&path))?.len();
        let samples = len.saturating_sub(HEADS_LEN as u64);
        let mib = u32::try_from(samples >> 20).unwrap_or(u32::MAX);
        if !samples.is_multiple_of(1 << 20) || !SAMPLES_MIB.contains(&mib) {
            return Err(StateError::NoFlash { path, len });
        }
        if let Some(want) = samples_mib.filter(|want| *want != mib) {
            let have = mib;
            return Err(StateError::OtherSize { path, have, want });
        }
        let flash = FileFlash::new(file).map_err(at(&path))?;
        let (start, len) = (HEADS_LEN, flash.geometry().len - HEADS_LEN);
        let areas = Areas {
            heads: Area {
                start: 0,
                len: HEADS_LEN,
            },
            samples: Area { start, len },
        };
        Ok(Self { flash, areas, lock })
    }

    /// Flash, areas, and the lock, which lasts as long as the file is open.
    pub fn into_parts(self) -> (FileFlash, Areas, File) {
        (self.flash, self.areas, self.lock)
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> StateError {
    move |source| StateError::System {
        path: path.into(),
        source,
    }
}

/// Takes the lock, which the system takes back when the process ends in whatever way. The file stays.
fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse(folder.into())),
        Err(TryLockError::Error(source)) => Err(at(&path)(source)),
    }
}

/// Makes an erased flash, whole or not at all.
fn create(folder: &Path, path: &Path, len: u64) -> io::Result<()> {
    let temporary = folder.join("flash.new");
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = options.open(&temporary)?;
    let block = vec![ERASED; 256 * SIZES.1 as usize];
    let mut left = len;
    while left > 0 {
        let count = left.min(block.len() as u64);
        file.write_all(&block[..count as usize])?;
        left -= count;
    }
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_and_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/state");
        let mut state = State::open(&folder, Some(1)).unwrap();
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(state.flash.bytes().iter().all(|b| *b == ERASED));
        assert_eq!(state.areas.samples.end(), state.flash.geometry().len as u64);
        state.flash.program(HEADS_LEN, &[3; 16]).unwrap();
        let second = State::open(&folder, None);
        assert!(matches!(second, Err(StateError::InUse(_))));
        drop(state);
        let again = State::open(&folder, None).unwrap();
        assert_eq!(again.flash.bytes()[HEADS_LEN as usize..][..16], [3; 16]);
        assert_eq!(again.areas.samples.len, 1 << 20);
        drop(again);
        let other = State::open(&folder, Some(2));
        assert!(matches!(
            other,
            Err(StateError::OtherSize {
                have: 1,
                want: 2,
                ..
            })
        ));
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for mib in [0, 2049, u32::MAX] {
            let refused = State::open(dir.path(), Some(mib));
            assert!(matches!(refused, Err(StateError::BadSize { .. })));
        }
        let path = dir.path().join(FLASH);
        for len in [0, 100, HEADS_LEN as usize, HEADS_LEN as usize + 4096] {
            std::fs::write(&path, vec![0; len]).unwrap();
            let refused = State::open(dir.path(), None);
            assert!(matches!(refused, Err(StateError::NoFlash { .. })), "{len}");
        }
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(matches!(
            State::open(&file, None),
            Err(StateError::System { .. })
        ));
    }
}
