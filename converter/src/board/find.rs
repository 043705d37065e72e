//! Finds a board by its name, or by the file that the user names.

use super::known::{all, source};
use super::schema::{Board, ParseError, parse};
use crate::util::close_names;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest `board.toml`, in bytes.
pub const MAX_LEN: u64 = 1 << 16;

/// Why there is no board.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No board has this name.
    #[error("unknown board '{name}'; {}", close_names::question(close, LISTED))]
    Unknown {
        /// The name.
        name: String,
        /// Boards that may be meant.
        close: Vec<String>,
    },
    /// The file cannot be read.
    #[error("{}: cannot read the board: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is longer than any `board.toml`.
    #[error("{}: longer than {MAX_LEN} bytes; this is no board.toml", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is no `board.toml`, or its board contradicts itself.
    #[error("{}", error.in_file(file))]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong.
        error: ParseError,
    },
}

/// What to do if no name is similar.
const LISTED: &str =
    "the command `boards` lists the known ones, and a path to a board.toml is taken too";

/// The file that the user means: `name` itself if it ends in `.toml`, or `board.toml` in the folder `name` if that
/// has a separator in it. `None` if it is the name of a board that comes with Graft.
pub fn file(name: &str) -> Option<PathBuf> {
    if name.ends_with(".toml") {
        return Some(name.into());
    }
    let is_folder = name.contains(['/', std::path::MAIN_SEPARATOR]);
    is_folder.then(|| Path::new(name).join("board.toml"))
}

/// The board with this name, in any case, or the board in the [`file`](file()) that it means.
///
/// # Errors
/// If there is none, or its file cannot be read or is not consistent.
pub fn find(name: &str) -> Result<Board, BoardError> {
    if let Some(path) = file(name) {
        return open(&path);
    }
    let wanted = name.to_ascii_lowercase();
    if let Some(board) = all().iter().find(|b| b.name == wanted) {
        return Ok(board.clone());
    }
    // In the folder of the boards, and with an error that kept it out of the list.
    let source = source(&wanted);
    if source.is_file() {
        return open(&source);
    }
    Err(BoardError::Unknown {
        name: name.into(),
        close: close(name),
    })
}

/// Boards with a similar name; if there are none, boards with a similar title or core, with their titles.
fn close(name: &str) -> Vec<String> {
    let names = close_names::close(name, all().iter().map(|b| b.name.as_str()));
    if !names.is_empty() {
        return names.into_iter().map(String::from).collect();
    }
    let keys = all().iter().flat_map(|b| [&*b.title, &*b.cpu.core]);
    let keys = close_names::close(name, keys);
    let meant = |b: &&Board| keys.contains(&&*b.title) || keys.contains(&&*b.cpu.core);
    let boards = all().iter().filter(meant);
    boards
        .map(|b| format!("{} ({})", b.name, b.title))
        .collect()
}

/// Reads and checks a file.
///
/// # Errors
/// If it cannot be read, is too long, is no `board.toml`, or its board is not consistent.
pub fn open(path: &Path) -> Result<Board, BoardError> {
    let unreadable = |source| BoardError::Unreadable {
        path: path.into(),
        source,
    };
    let mut bytes = vec![];
    File::open(path)
        .and_then(|file| file.take(MAX_LEN + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(BoardError::TooLong { path: path.into() });
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, e)))?;
    parse(&text).map_err(|error| BoardError::Invalid {
        file: path.display().to_string(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::known::BUILT_IN;
    use crate::board::schema::Kind;

    #[test]
    fn close_names() {
        let e = find("raspberry-pi").unwrap_err().to_string();
        assert!(e.contains("raspberry-pi-4 or raspberry-pi-5"), "{e}");
        let e = find("nucleo").unwrap_err().to_string();
        assert!(e.contains("did you mean nucleo-h743zi2?"), "{e}");
        for title in ["Pico 2", "pico2", "Raspberry Pi Pico 2"] {
            let e = find(title).unwrap_err().to_string();
            let meant = "did you mean rp2350 (Raspberry Pi Pico 2 (RP2350))?";
            assert!(e.contains(meant), "{title}: {e}");
        }
        let e = find("raspberry pi 5").unwrap_err().to_string();
        assert!(e.contains("did you mean raspberry-pi-5?"), "{e}");
        let e = find("Cortex-M7").unwrap_err().to_string();
        assert!(
            e.contains("nucleo-h743zi2 (ST") && e.contains("qemu-m7 (QEMU"),
            "{e}"
        );
        let e = find("zzz").unwrap_err().to_string();
        assert!(e.contains("'zzz'") && e.contains("`boards`"), "{e}");
    }

    #[test]
    fn files_of_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("board.toml");
        let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "rp2350").unwrap();
        std::fs::write(&path, text.replace("\"rp2350\"", "\"mine\"")).unwrap();
        assert_eq!(find(path.to_str().unwrap()).unwrap().name, "mine");
        let folder = find(&format!("{}/", dir.path().display())).unwrap();
        assert_eq!((folder.name.as_str(), folder.kind), ("mine", Kind::Mcu));
        let missing = find("no/such/board.toml").unwrap_err().to_string();
        assert!(missing.starts_with("no/such/board.toml: "), "{missing}");
        std::fs::write(&path, vec![b'#'; MAX_LEN as usize + 1]).unwrap();
        assert!(matches!(open(&path), Err(BoardError::TooLong { .. })));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(open(&path), Err(BoardError::Unreadable { .. })));
    }
}
