//! The zip file that `torch.save` writes since version 1.6: `NAME/data.pkl`, and each storage as
//! `NAME/data/KEY`, uncompressed.

use super::pickle;
use super::tensors::{Blocks, collect};
use super::value::Arena;
use crate::import::{ImportError, StateDict};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use zip::{CompressionMethod, ZipArchive};

/// Reads the archive in `bytes`.
pub fn read(bytes: &[u8]) -> Result<StateDict, ImportError> {
    let mut archive = Archive {
        zip: ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(e.to_string()))?,
        room: bytes.len() as u64,
    };
    let prefix = archive.prefix()?;
    if archive
        .zip
        .index_for_name(&format!("{prefix}constants.pkl"))
        .is_some()
    {
        return Err(
            ImportError::new("the file is a TorchScript program, not a checkpoint")
                .hint("save only the weights: torch.save(model.state_dict(), path)"),
        );
    }
    if archive
        .zip
        .index_for_name(&format!("{prefix}byteorder"))
        .is_some()
        && archive.entry(&format!("{prefix}byteorder"))?.trim_ascii() != b"little"
    {
        return Err(ImportError::new("the checkpoint is big-endian")
            .hint("save it on a little-endian machine"));
    }
    let name = format!("{prefix}data.pkl");
    let data = archive.entry(&name)?;
    let mut arena = Arena::default();
    let root = pickle::load(&data, &mut 0, &mut arena).map_err(|e| e.node(&name))?;
    let mut blocks = Blocks::new();
    for storage in arena.storages() {
        if !blocks.contains_key(storage.key) {
            let block = archive.entry(&format!("{prefix}data/{}", storage.key))?;
            blocks.insert(storage.key.to_string(), Cow::Owned(block));
        }
    }
    collect(&arena, root, &blocks, bytes.len())
}

fn damaged(problem: String) -> ImportError {
    ImportError::new(format!("not a readable zip archive: {problem}"))
        .hint("the file is truncated or damaged: fetch it again")
}

struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be read. Entries of an honest archive are together no larger than the file.
    room: u64,
}

impl Archive<'_> {
    /// The archive's only folder, with the slash.
    fn prefix(&self) -> Result<String, ImportError> {
        let names = self
            .zip
            .file_names_raw()
            .filter_map(|n| std::str::from_utf8(n).ok());
        let mut prefixes = names
            .filter_map(|n| n.strip_suffix("data.pkl"))
            .filter(|p| p.is_empty() || p.ends_with('/'));
        let none = || {
            ImportError::new("a zip archive without data.pkl, so no checkpoint of PyTorch")
                .hint("save the weights with torch.save(model.state_dict(), path)")
        };
        prefixes.next().map(str::to_string).ok_or_else(none)
    }

    /// Reads an entry and verifies its checksum.
    fn entry(&mut self, name: &str) -> Result<Vec<u8>, ImportError> {
        let in_entry = |e: ImportError| e.node(name);
        let file = self
            .zip
            .by_name(name)
            .map_err(|e| in_entry(damaged(e.to_string())))?;
        if file.compression() != CompressionMethod::Stored {
            let e = ImportError::new("the entry is compressed, which PyTorch never does");
            return Err(in_entry(
                e.hint("store it: unzip, then zip -0 -r FILE.pth FOLDER"),
            ));
        }
        let size = file.size();
        self.room = self
            .room
            .checked_sub(size)
            .ok_or_else(|| in_entry(damaged("entries overlap".into())))?;
        let mut bytes = Vec::new();
        // Asks for one byte too many: the checksum is verified at the end of the entry.
        file.take(size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| in_entry(damaged(e.to_string())))?;
        Ok(bytes)
    }
}
