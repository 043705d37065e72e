//! External data: weights in other files of the model's folder, as large exports have them.

use super::pb::StringStringEntryProto;
use crate::import::ImportError;
use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Most bytes of external data of one model. No network for a device needs as many; a hostile file could name
/// one range many times.
const MAX_BYTES: u64 = 1 << 30;

/// Reads ranges of files in the model's folder, never outside it.
pub struct External {
    folder: Option<PathBuf>,
    room: Cell<u64>,
}

impl External {
    /// For a model in `folder`; `None` if the model is in memory only.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            room: Cell::new(MAX_BYTES),
        }
    }

    /// The bytes that `location`, `offset` and `length` describe.
    pub fn read(&self, entries: &[StringStringEntryProto]) -> Result<Vec<u8>, ImportError> {
        let get = |key: &str| {
            entries
                .iter()
                .find(|e| e.key == key)
                .map(|e| e.value.as_str())
        };
        let number = |key: &str| match get(key).map(str::parse::<u64>) {
            None => Ok(None),
            Some(Ok(n)) => Ok(Some(n)),
            Some(Err(_)) => Err(ImportError::new(format!(
                "the external data's {key} is no number"
            ))),
        };
        let location =
            get("location").ok_or_else(|| ImportError::new("external data without a location"))?;
        let path = self.resolve(location)?;
        let failed = |e: std::io::Error| {
            ImportError::new(format!("external data '{location}' cannot be read: {e}"))
                .hint("keep the model's data files in its folder")
        };
        let metadata = std::fs::metadata(&path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(ImportError::new(format!(
                "external data '{location}' is no regular file"
            )));
        }
        let offset = number("offset")?.unwrap_or(0);
        let rest = metadata.len().checked_sub(offset);
        let length = number("length")?
            .or(rest)
            .filter(|&n| rest.is_some_and(|rest| n <= rest));
        let length = length.ok_or_else(|| {
            ImportError::new(format!(
                "external data '{location}' has only {} bytes",
                metadata.len()
            ))
            .hint("the file is truncated or of another model")
        })?;
        let room = self.room.get().checked_sub(length);
        self.room
            .set(room.ok_or_else(|| ImportError::new("more than 1 GiB of external data"))?);
        let mut file = File::open(&path).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = vec![];
        file.take(length).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn resolve(&self, location: &str) -> Result<PathBuf, ImportError> {
        let inside = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !Path::new(location).components().all(inside) {
            return Err(ImportError::new(format!(
                "external data at '{location}', outside the model's folder; refused"
            )));
        }
        let folder = self.folder.as_ref();
        let folder = folder
            .ok_or_else(|| ImportError::new("external data, but the model is not in a folder"))?;
        Ok(folder.join(location))
    }
}
