//! A file that is not complete yet: `NAME.part` beside its goal, which stays between runs so that a download
//! can go on where it stopped.
//!
//! `NAME.lock` keeps other processes away while one writes. It also has the mark by which the server tells
//! versions of the file apart (the validator). It stays when all is done, because a lock whose file is
//! removed protects nothing. This module knows files, no network.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Longest validator that is kept, in bytes.
const LONGEST_VALIDATOR: usize = 1024;

/// The right to write a file of the cache. Other processes wait until it is dropped.
pub(super) struct Lock {
    file: File,
    goal: PathBuf,
}

impl Lock {
    /// Takes the lock for the file `goal`, and makes its folder if there is none. If another process has the
    /// lock, this calls `waits` and then waits; that process may have made `goal` meanwhile.
    pub fn take(goal: &Path, waits: impl FnOnce()) -> io::Result<Self> {
        if let Some(folder) = goal.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = open(&beside(goal, "lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waits();
                file.lock()?;
            }
            // Some network file systems have no locks. Most of them have only one user.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(e),
        }
        let goal = goal.into();
        Ok(Self { file, goal })
    }
}

/// Opens a file to read and write, without changing it; makes it if there is none.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path)
}

/// The part of a file that has been received.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    lock: Lock,
    hash: Sha256,
    len: u64,
    pieces: u32,
    validator: Option<String>,
}

impl Partial {
    /// Opens what an earlier run left, or an empty file. A file longer than `most` bytes is not read to its
    /// end.
    pub fn open(mut lock: Lock, most: u64) -> io::Result<Self> {
        let path = beside(&lock.goal, "part");
        let file = open(&path)?;
        let mut validator = String::new();
        let limit = LONGEST_VALIDATOR as u64;
        // What is not text was not written by this program.
        let read = (&mut lock.file).take(limit).read_to_string(&mut validator);
        let mut partial = Self {
            path,
            file,
            lock,
            hash: Sha256::new(),
            len: 0,
            pieces: 0,
            validator: read.ok().map(|_| validator).filter(|v| is_validator(v)),
        };
        partial.read(most)?;
        Ok(partial)
    }

    /// Hashes what an earlier run left, at least `most` bytes of it if there are as many.
    fn read(&mut self, most: u64) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        while self.len <= most {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    self.hash.update(&buffer[..n]);
                    self.len += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        // An earlier run may have received it in several pieces.
        self.pieces = if self.len > 0 { 2 } else { 0 };
        Ok(())
    }

    /// Number of bytes received.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if the bytes did not all come in one answer to this process. They may then be damaged or from two
    /// versions of the file, and only fetching all of them again can tell.
    pub fn is_pieced(&self) -> bool {
        self.pieces > 1
    }

    /// The server's mark of the version that the bytes are from.
    pub fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// SHA-256 of the bytes received.
    pub fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// Starts again with an empty file, for the version that `validator` names.
    pub fn restart(&mut self, validator: Option<&str>) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.hash, self.len, self.pieces) = (Sha256::new(), 0, 0);
        self.validator = validator.filter(|v| is_validator(v)).map(String::from);
        let lock = &mut self.lock.file;
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        let text = self.validator.as_deref().unwrap_or_default();
        lock.write_all(text.as_bytes())
    }

    /// Notes that a new answer begins, whose bytes follow those received.
    pub fn next_piece(&mut self) {
        self.pieces += 1;
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives a complete and verified file its name.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.lock.goal)?;
        self.lock.file.set_len(0)
    }

    /// Removes a file that is of no use.
    pub fn discard(mut self) -> io::Result<()> {
        self.restart(None)?;
        fs::remove_file(&self.path)
    }

    /// Stops for now. The bytes received stay for the next run; an empty file is removed.
    pub fn keep(self) -> io::Result<()> {
        if self.len == 0 {
            self.discard()
        } else {
            Ok(())
        }
    }
}

/// `GOAL.what`.
fn beside(goal: &Path, what: &str) -> PathBuf {
    let mut name = goal.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(what);
    goal.with_file_name(name)
}

/// True for text that can be sent back to a server without change.
fn is_validator(text: &str) -> bool {
    let visible = |b: u8| b == b' ' || b.is_ascii_graphic();
    (1..=LONGEST_VALIDATOR).contains(&text.len()) && text.bytes().all(visible)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn open(goal: &Path) -> Partial {
        let lock = Lock::take(goal, || panic!("locked")).unwrap();
        Partial::open(lock, 1000).unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        let name = |e: io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn goes_on_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("new/net.pth");
        let mut partial = open(&goal);
        assert_eq!((partial.len(), partial.validator()), (0, None));
        partial.restart(Some("\"v1\"")).unwrap();
        partial.next_piece();
        partial.append(b"first ").unwrap();
        partial.keep().unwrap();
        let mut partial = open(&goal);
        assert_eq!((partial.len(), partial.validator()), (6, Some("\"v1\"")));
        partial.next_piece();
        partial.append(b"second").unwrap();
        assert!(partial.is_pieced());
        let digest: [u8; 32] = Sha256::digest(b"first second").into();
        assert_eq!(partial.digest(), digest);
        partial.finish().unwrap();
        assert_eq!(fs::read(&goal).unwrap(), b"first second");
        assert_eq!(names(goal.parent().unwrap()), ["net.pth", "net.pth.lock"]);
        assert_eq!(open(&goal).validator(), None);
    }

    #[test]
    fn starts_again() {
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("net.pth");
        let mut partial = open(&goal);
        partial.append(b"of a long old version").unwrap();
        partial.restart(Some("\"v2\"")).unwrap();
        partial.append(b"new").unwrap();
        let digest: [u8; 32] = Sha256::digest(b"new").into();
        assert_eq!(partial.digest(), digest);
        partial.keep().unwrap();
        assert_eq!(fs::read(dir.path().join("net.pth.part")).unwrap(), b"new");
        open(&goal).discard().unwrap();
        assert_eq!(names(dir.path()), ["net.pth.lock"]);
        // Nothing came: nothing is left.
        open(&goal).keep().unwrap();
        assert_eq!(names(dir.path()), ["net.pth.lock"]);
    }

    #[test]
    fn hostile_validators_are_not_sent_back() {
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("net.pth");
        let long = "x".repeat(LONGEST_VALIDATOR + 1);
        for text in ["a\r\nHost: b", "\u{e9}", "", long.as_str()] {
            let mut partial = open(&goal);
            partial.restart(Some(text)).unwrap();
            assert_eq!(partial.validator(), None);
        }
        fs::write(dir.path().join("net.pth.lock"), b"\xff\xfe\r\n").unwrap();
        assert_eq!(open(&goal).validator(), None);
    }

    /// Another open file is to the lock what another process is.
    #[test]
    fn one_writes_and_others_wait() {
        let dir = tempfile::tempdir().unwrap();
        let goal = dir.path().join("net.pth");
        let mut first = open(&goal);
        let (waits, told) = mpsc::channel();
        let second = std::thread::spawn({
            let goal = goal.clone();
            move || {
                let lock = Lock::take(&goal, || waits.send(()).unwrap()).unwrap();
                let there = fs::read(&goal).unwrap();
                (Partial::open(lock, 1000).unwrap().len(), there)
            }
        });
        told.recv().unwrap();
        first.append(b"all").unwrap();
        first.finish().unwrap();
        // The second begins a file of its own; the first's is left alone.
        assert_eq!(second.join().unwrap(), (0, b"all".to_vec()));
    }
}
