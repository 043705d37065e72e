//! The model's file, which a new model replaces: there is always the old one or the new one.
//!
//! | beside `model.edge` | is |
//! |---|---|
//! | `model.edge.part` | a file that is on its way; a leftover is dropped at the next start |
//! | `model.edge.sig.next` | the signature of the model that takes the place next; see [`ModelSlot::settle`] |
//!
//! A whole file is synchronized and renamed to the model's name. Two names cannot change at once, so a new
//! signature waits under a name of its own until the model is there: whichever of both a power cut leaves,
//! the model has a signature that fits.

use crate::device::LoadError;
use crate::device::load::{Arrived, ModelStore};
use crate::model::header::LEN;
use crate::signature::{SIGNATURE_LEN, beside, read_signature};
use memmap2::Mmap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Longest model file. What a host sends takes room on the disk before it is judged.
const CAPACITY: u32 = 256 << 20;

/// The place of a device's model on disk.
#[derive(Debug)]
pub struct ModelSlot {
    model: PathBuf,
    signature: PathBuf,
    coming: Option<Coming>,
}

/// A file on its way.
#[derive(Debug)]
struct Coming {
    file: File,
    len: u32,
    received: u32,
    map: Option<Mmap>,
}

impl ModelSlot {
    /// The place of a model, whose signature is in `signature`, or else in the file beside it.
    pub fn new(model: &Path, signature: Option<&Path>) -> Self {
        Self {
            model: model.into(),
            signature: signature.map_or_else(|| beside(model), Into::into),
            coming: None,
        }
    }

    /// Ends what a power cut interrupted: a signature that waits, and of which `fits` says that it is the
    /// model's, takes its place.
    pub fn settle(&self, fits: impl Fn(&[u8; SIGNATURE_LEN]) -> bool) -> io::Result<()> {
        if !self.waiting().is_some_and(|s| fits(&s)) {
            return Ok(());
        }
        std::fs::rename(self.next_signature(), &self.signature)?;
        sync_folder(&self.signature)
    }

    /// The signature that waits for its model, if there is one.
    pub fn waiting(&self) -> Option<[u8; SIGNATURE_LEN]> {
        read_signature(&self.next_signature()).ok()
    }

    /// Removes what an earlier program left of a file that was on its way.
    pub fn clear(&self) {
        for path in [self.part(), suffixed(&self.signature, ".part")] {
            let _ = std::fs::remove_file(path);
        }
    }

    fn part(&self) -> PathBuf {
        suffixed(&self.model, ".part")
    }

    fn next_signature(&self) -> PathBuf {
        suffixed(&self.signature, ".next")
    }

    fn place(&mut self, signature: Option<&[u8; SIGNATURE_LEN]>) -> io::Result<()> {
        if let Some(signature) = signature {
            let (part, next) = (suffixed(&self.signature, ".part"), self.next_signature());
            let mut file = create(&part)?;
            file.write_all(signature)?;
            file.sync_all()?;
            std::fs::rename(&part, &next)?;
            sync_folder(&next)?;
        }
        if let Some(coming) = &self.coming {
            if let Ok(old) = std::fs::metadata(&self.model) {
                coming.file.set_permissions(old.permissions())?;
            }
            coming.file.sync_all()?;
        }
        std::fs::rename(self.part(), &self.model)?;
        // The model is there. What fails now is made good by `settle` at the next start.
        if let Err(e) = self.tidy(signature.is_some()) {
            eprintln!("edge: {}: after a new model: {e}", self.signature.display());
        }
        Ok(())
    }

    /// Gives the new model its signature, or takes away the old one's.
    fn tidy(&self, is_signed: bool) -> io::Result<()> {
        sync_folder(&self.model)?;
        if is_signed {
            std::fs::rename(self.next_signature(), &self.signature)?;
        } else {
            match std::fs::remove_file(&self.signature) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => (),
            }
        }
        sync_folder(&self.signature)
    }

    /// Drops what came, and says why.
    fn fail(&mut self, doing: &str, e: &io::Error) -> LoadError {
        let path = self.part();
        self.drop_part();
        // The cause goes to the log; the protocol's error has no room for it.
        eprintln!("edge: {}: cannot {doing}: {e}", path.display());
        match e.kind() {
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => LoadError::ReadOnly,
            _ => LoadError::Storage,
        }
    }

    fn drop_part(&mut self) {
        if self.coming.take().is_some() {
            let _ = std::fs::remove_file(self.part());
        }
    }
}

impl Drop for ModelSlot {
    fn drop(&mut self) {
        self.drop_part();
    }
}

impl ModelStore for ModelSlot {
    fn capacity(&self) -> u32 {
        CAPACITY
    }

    fn keeps_old(&self) -> bool {
        true
    }

    fn begin(&mut self, len: u32) -> Result<(), LoadError> {
        self.drop_part();
        if (len as usize) < LEN {
            return Err(LoadError::NotAModel);
        }
        // Who links to a model, or to its folder, keeps models elsewhere and decides which one runs:
        // `deploy`.
        let folder = self.model.parent().unwrap_or(Path::new(""));
        if folder.is_symlink() || self.model.is_symlink() {
            return Err(LoadError::ReadOnly);
        }
        let file = create(&self.part()).map_err(|e| self.fail("make the file", &e))?;
        self.coming = Some(Coming {
            file,
            len,
            received: 0,
            map: None,
        });
        Ok(())
    }

    fn append(&mut self, data: &[u8]) -> Result<(), LoadError> {
        let coming = self.coming.as_mut().ok_or(LoadError::Damaged)?;
        let (have, left) = (coming.len, coming.len - coming.received);
        if data.len() > left as usize {
            let need = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let need = coming.received.saturating_add(need);
            return Err(LoadError::TooLong { have, need });
        }
        match coming.file.write_all(data) {
            Ok(()) => {
                coming.received += data.len() as u32;
                Ok(())
            }
            Err(e) => Err(self.fail("write", &e)),
        }
    }

    fn arrived(&mut self) -> Result<Arrived<'_>, LoadError> {
        let map = match &self.coming {
            Some(Coming {
                file,
                received,
                len,
                ..
            }) if received == len => {
                // SAFETY: the file has this name for as long as it grows, which it has ended to do, and
                // nobody else writes into a file of that name.
                unsafe { Mmap::map(file) }
            }
            _ => return Err(LoadError::Damaged),
        };
        let map = map.map_err(|e| self.fail("read it back", &e))?;
        let coming = self.coming.as_mut().ok_or(LoadError::Damaged)?;
        let bytes = &**coming.map.insert(map);
        Ok(Arrived {
            header: bytes.first_chunk().ok_or(LoadError::Damaged)?,
            bytes,
        })
    }

    fn finish(&mut self, signature: Option<&[u8; SIGNATURE_LEN]>) -> Result<(), LoadError> {
        match &self.coming {
            Some(coming) if coming.received == coming.len => (),
            _ => return Err(LoadError::Damaged),
        }
        match self.place(signature) {
            Ok(()) => {
                // Its name is the model's now.
                self.coming = None;
                Ok(())
            }
            Err(e) => Err(self.fail("put it in the model's place", &e)),
        }
    }

    fn give_up(&mut self) {
        self.drop_part();
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file to write and to read back.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    options.open(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"old";

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.edge");
        std::fs::write(&path, OLD).unwrap();
        (dir, path)
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        let name = |e: io::Result<std::fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_whole_file_takes_the_models_place() {
        let (dir, path) = place();
        let new: Vec<u8> = (0..200).map(|i| i as u8).collect();
        let mut slot = ModelSlot::new(&path, None);
        slot.begin(200).unwrap();
        slot.append(&new[..150]).unwrap();
        assert!(slot.arrived().is_err() && slot.finish(None).is_err());
        assert!(matches!(
            slot.append(&[0; 51]),
            Err(LoadError::TooLong {
                have: 200,
                need: 201
            })
        ));
        slot.append(&new[150..]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), OLD);
        let arrived = slot.arrived().unwrap();
        assert_eq!((&arrived.header[..], arrived.bytes), (&new[..64], &new[..]));
        slot.finish(Some(&[7; 64])).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), new);
        assert_eq!(read_signature(&beside(&path)).unwrap(), [7; 64]);
        assert_eq!(names(&dir), ["model.edge", "model.edge.sig"]);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let (dir, path) = place();
        let mut slot = ModelSlot::new(&path, None);
        assert_eq!(slot.begin(63), Err(LoadError::NotAModel));
        slot.begin(100).unwrap();
        slot.append(&[1; 80]).unwrap();
        slot.begin(90).unwrap();
        slot.append(&[1; 80]).unwrap();
        drop(slot);
        assert_eq!(std::fs::read(&path).unwrap(), OLD);
        assert_eq!(names(&dir), ["model.edge"]);
        let mut nowhere = ModelSlot::new(&dir.path().join("absent/model.edge"), None);
        assert_eq!(nowhere.begin(100), Err(LoadError::Storage));
    }

    #[test]
    fn what_is_linked_to_is_not_replaced() {
        let (dir, path) = place();
        let link = |from: &Path, name: &str| {
            let link = dir.path().join(name);
            std::os::unix::fs::symlink(from, &link).unwrap();
            link
        };
        let current = link(dir.path(), "current").join("model.edge");
        let other = link(&path, "other.edge");
        for model in [current, other] {
            let refused = ModelSlot::new(&model, None).begin(100);
            assert_eq!(refused, Err(LoadError::ReadOnly), "{}", model.display());
        }
    }

    #[test]
    fn a_signature_that_waits_is_taken_if_it_is_the_models() {
        let (dir, path) = place();
        std::fs::write(beside(&path), [1; 64]).unwrap();
        std::fs::write(dir.path().join("model.edge.sig.next"), [2; 64]).unwrap();
        let slot = ModelSlot::new(&path, None);
        slot.settle(|_| false).unwrap();
        assert_eq!(read_signature(&beside(&path)).unwrap(), [1; 64]);
        slot.settle(|s| *s == [2; 64]).unwrap();
        assert_eq!(read_signature(&beside(&path)).unwrap(), [2; 64]);
        assert_eq!(names(&dir), ["model.edge", "model.edge.sig"]);
    }
}
