//! Finds boards: those that come with Graft by their name, others by their file.

use super::check::{Problem, check};
use super::schema::Board;
use crate::close_names;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Longest `board.toml`, in bytes.
pub const MAX_LEN: u64 = 1 << 16;

/// Why there is no board.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No board of this name.
    #[error("unknown board '{name}'; {}", close_names::question(close, LISTED))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Boards that may have been meant.
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
    /// The file is too long to be a board.
    #[error("{}: longer than {MAX_LEN} bytes; this is no board.toml", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is no `board.toml`.
    #[error("{file}, line {line}: {message} (docs/boards.md says what a board.toml holds)")]
    Syntax {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// The board contradicts itself.
    #[error("{file}: {problem}")]
    Inconsistent {
        /// The file.
        file: String,
        /// What does not go together.
        problem: Problem,
    },
}

/// Where to look if no name is close.
const LISTED: &str =
    "the command `boards` lists the known ones, and a path to a board.toml is taken too";

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../boards/", $name, "/board.toml")))),*]
    };
}

/// The files of the boards that come with Graft, in the order of tables.
const FILES: [(&str, &str); 12] = built_in![
    "host",
    "raspberry-pi-4",
    "raspberry-pi-5",
    "jetson-nano",
    "jetson-orin-nano",
    "nucleo-h743zi2",
    "rp2350",
    "nrf5340-dk",
    "qemu-m4",
    "qemu-m7",
    "qemu-m33",
    "qemu-m55",
];

static BOARDS: LazyLock<Vec<Board>> = LazyLock::new(|| {
    let read = |(name, text): (&str, &str)| {
        // Part of the program: a test reads each, so this cannot fail for a user.
        parse(text, &format!("boards/{name}/board.toml")).expect("built-in boards are valid")
    };
    FILES.into_iter().map(read).collect()
});

/// The boards that come with Graft.
pub fn all() -> &'static [Board] {
    &BOARDS
}

/// The file that a name means, if it does not mean a board that comes with Graft: whatever ends in `.toml`,
/// or the `board.toml` of a folder whose name has a separator in it.
pub fn file(name: &str) -> Option<PathBuf> {
    if name.ends_with(".toml") {
        return Some(name.into());
    }
    let folder = name.contains(['/', std::path::MAIN_SEPARATOR]);
    folder.then(|| Path::new(name).join("board.toml"))
}

/// The board of this name (case does not matter), or of the [`file`](file()) that it means.
pub fn find(name: &str) -> Result<Board, BoardError> {
    if let Some(path) = file(name) {
        return open(&path);
    }
    let wanted = name.to_ascii_lowercase();
    if let Some(board) = all().iter().find(|b| b.name == wanted) {
        return Ok(board.clone());
    }
    Err(BoardError::Unknown {
        name: name.into(),
        close: close(name),
    })
}

/// Boards that may have been meant: by their names, or else by title or core, which are then shown.
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
    parse(&text, &path.display().to_string())
}

/// Reads and checks the text of a file; `file` is its name in errors.
pub fn parse(text: &str, file: &str) -> Result<Board, BoardError> {
    let board: Board = toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        BoardError::Syntax {
            file: file.into(),
            line: 1 + text.bytes().take(at).filter(|b| *b == b'\n').count(),
            message: e.message().lines().collect::<Vec<_>>().join(" "),
        }
    })?;
    check(&board).map_err(|problem| BoardError::Inconsistent {
        file: file.into(),
        problem,
    })?;
    Ok(board)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::fit::{Needs, Request, judge};
    use crate::board::schema::{Deploy, FactsFrom, Kind, Use};

    #[test]
    fn built_in_boards_are_valid() {
        for (name, text) in FILES {
            let file = format!("boards/{name}/board.toml");
            let board = parse(text, &file).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(board.name, name);
            let known = board.facts_from != FactsFrom::Nowhere;
            assert_eq!(known, !board.sources.is_empty(), "{name}: sources");
            let emulated = matches!(board.deploy, Deploy::Qemu { .. });
            assert_eq!(emulated, name.starts_with("qemu-"), "{name}");
            assert_eq!(emulated, board.facts_from == FactsFrom::Emulator, "{name}");
        }
    }

    /// Every `boards/NAME/board.toml` is built in.
    #[test]
    fn no_board_is_left_out() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.join("board.toml").exists())
            .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        found.sort();
        let mut names = FILES.map(|(name, _)| name.to_string()).to_vec();
        names.sort();
        assert_eq!(found, names);
    }

    #[test]
    fn facts() {
        let nucleo = find("Nucleo-H743ZI2").unwrap();
        let flash = nucleo.memory("flash").unwrap();
        assert_eq!(
            (flash.size, flash.erase, flash.write),
            (2 << 20, Some(128 << 10), Some(32))
        );
        let ram: u64 = nucleo
            .memories
            .iter()
            .filter(|m| m.name != "flash")
            .map(|m| m.size)
            .sum();
        // DTCM, AXI SRAM, SRAM1 to 3, SRAM4, ITCM: the data sheet's 1 MB without 4 KiB of backup RAM.
        assert_eq!(ram, (128 + 512 + 288 + 64 + 64) << 10);
        let pico = find("rp2350").unwrap();
        assert_eq!(pico.memory("sram").unwrap().size, 520 << 10);
        // The code's bank is not the stores' bank.
        let bank = |u| (nucleo.region(u).unwrap().base - flash.base) >> 20;
        assert_eq!(
            (bank(Use::Firmware), bank(Use::Heads), bank(Use::Samples)),
            (0, 1, 1)
        );
    }

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
        std::fs::write(&path, FILES[6].1.replace("\"rp2350\"", "\"mine\"")).unwrap();
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

    proptest::proptest! {
        /// Any change of a few bytes gives a board that can be judged, or one line.
        #[test]
        fn damaged_files(
            board in 0..FILES.len(),
            changes in proptest::collection::vec((0..4000usize, " |#|=|-|[0-9a-fx]|\n|\"|é"), 1..6),
            features in 1..70_000usize,
        ) {
            let mut text: Vec<char> = FILES[board].1.chars().collect();
            for (at, to) in changes {
                let at = at % text.len();
                text[at] = to.chars().next().unwrap();
            }
            match parse(&text.into_iter().collect::<String>(), "b.toml") {
                Ok(board) => {
                    let needs = Needs {
                        int8: true,
                        model_bytes: u64::MAX,
                        arena_bytes: u64::MAX >> 1,
                        features,
                        head: None,
                        operators: Default::default(),
                    };
                    judge(&needs, &board, &Request::default());
                }
                Err(e) => assert_eq!(e.to_string().lines().count(), 1, "{e}"),
            }
        }
    }

    #[test]
    fn errors_name_line_and_key() {
        let text = FILES[6].1;
        // What to replace by what, if the error names the line, and words of the error.
        for (from, to, has_line, words) in [
            ("cores = 2", "cores = -2", true, &["-2"][..]),
            ("cores = 2", "corse = 2", true, &["corse"]),
            ("kind = \"flash\"", "kind = \"rom\"", true, &["rom"]),
            (
                "size = 0x40_0000",
                "size = 99999999999999999999",
                true,
                &["99999999999999999999"],
            ),
            (
                "size = 0x40_0000",
                "size = 0x7fff_ffff_ffff_ffff",
                false,
                &["'flash'", "32 bits"],
            ),
            ("title = ", "titel = ", true, &["titel"]),
            ("title = ", "# title = ", false, &["title"]),
            ("\"probe-rs\"", "\"magic\"", false, &["magic"]),
            ("chip = \"RP235x\"", "", false, &["chip"]),
            ("[cpu]", "[cpu", true, &[]),
        ] {
            let at = text.find(from).unwrap();
            let changed = text.replacen(from, to, 1);
            let e = parse(&changed, "b.toml").unwrap_err().to_string();
            assert!(e.starts_with("b.toml"), "{e}");
            assert_eq!(e.lines().count(), 1, "{e}");
            let line = format!("b.toml, line {}: ", 1 + text[..at].matches('\n').count());
            assert!(
                !has_line || e.starts_with(&line),
                "{from} as {to}, {line}{e}"
            );
            for word in words {
                assert!(e.contains(word), "{from} as {to}: no '{word}' in: {e}");
            }
        }
    }
}
