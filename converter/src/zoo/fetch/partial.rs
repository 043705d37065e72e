//! A file on its way into the cache: `NAME.part` beside its goal, kept between runs so that a download can
//! go on where it stopped.
//!
//! `NAME.lock` keeps other processes away while one writes, and holds what the server said to know the
//! version by (its validator). It stays when all is done: a lock whose file is removed protects nothing.
//! Knows files, no network.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Longest validator that is kept, in bytes.
const LONGEST_VALIDATOR: usize = 1024;

/// The part of a file that is there; locked as long as this lives.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    lock: File,
    hash: Sha256,
    len: u64,
    pieces: u32,
    validator: Option<String>,
}

impl Partial {
    /// Opens what an earlier run left of `goal`, or begins anew; makes the folder. Calls `waits` if another
    /// process has it locked, then waits. What is longer than `most` bytes is not read to its end.
    ///
    /// Whoever waited must look at `goal` again.
    pub fn open(goal: &Path, most: u64, waits: impl FnOnce()) -> io::Result<Self> {
        if let Some(folder) = goal.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(beside(goal, "lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waits();
                lock.lock()?;
            }
            // Some network file systems have no locks; most have one user.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(e),
        }
        let path = beside(goal, "part");
        let file = options.open(&path)?;
        let mut validator = String::new();
        let limit = LONGEST_VALIDATOR as u64;
        // Not text: not ours.
        let read = (&mut lock).take(limit).read_to_string(&mut validator);
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

    /// Hashes what is there, up to `most` bytes and a bit.
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
        // Who knows how it came.
        self.pieces = if self.len > 0 { 2 } else { 0 };
        Ok(())
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if what is there did not come in one answer to this process, so that it may be damaged, or of
    /// two versions of the file, and all of it must be had again to know.
    pub fn is_pieced(&self) -> bool {
        self.pieces > 1
    }

    /// What the server called the version that is there.
    pub fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// SHA-256 of what is there.
    pub fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// Forgets what is there; what follows is of the version that `validator` names.
    pub fn restart(&mut self, validator: Option<&str>) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.hash, self.len, self.pieces) = (Sha256::new(), 0, 0);
        self.validator = validator.filter(|v| is_validator(v)).map(String::from);
        self.lock.set_len(0)?;
        self.lock.seek(SeekFrom::Start(0))?;
        let text = self.validator.as_deref().unwrap_or_default();
        self.lock.write_all(text.as_bytes())
    }

    /// An answer begins that goes on after what is there.
    pub fn next_piece(&mut self) {
        self.pieces += 1;
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Everything is there and right: makes it `goal`.
    pub fn finish(self, goal: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, goal)?;
        self.lock.set_len(0)
    }

    /// What is there is of no use: removes it.
    pub fn discard(mut self) -> io::Result<()> {
        self.restart(None)?;
        fs::remove_file(&self.path)
    }

    /// Stops for now: what is there stays for the next run, if there is anything.
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

/// True for text that can be sent back to a server as it is.
fn is_validator(text: &str) -> bool {
    let visible = |b: u8| b == b' ' || b.is_ascii_graphic();
    (1..=LONGEST_VALIDATOR).contains(&text.len()) && text.bytes().all(visible)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn open(goal: &Path) -> Partial {
        Partial::open(goal, 1000, || panic!("locked")).unwrap()
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
        partial.finish(&goal).unwrap();
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
                let partial = Partial::open(&goal, 1000, || waits.send(()).unwrap()).unwrap();
                (partial.len(), fs::read(&goal).unwrap())
            }
        });
        told.recv().unwrap();
        first.append(b"all").unwrap();
        first.finish(&goal).unwrap();
        // The second begins a file of its own; the first's is left alone.
        assert_eq!(second.join().unwrap(), (0, b"all".to_vec()));
    }
}
