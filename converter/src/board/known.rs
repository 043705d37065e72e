//! The boards that come with Graft: every `boards/NAME/board.toml`.
//!
//! The build script finds them, and their texts are part of the program. Cargo does not notice a folder that is new, so
//! boards that were added after the build are read from the source folder, if there is one.

use super::schema::{Board, Deploy, parse};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The boards that the build script found: name of the folder and text of the file.
pub(super) const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/boards.rs"));

static BOARDS: LazyLock<Vec<Board>> = LazyLock::new(|| {
    // A text that cannot be read is left out here; `find` says what is wrong with it.
    let built_in = BUILT_IN.iter().filter_map(|(_, text)| parse(text).ok());
    let added = added().into_iter().filter_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        parse(&text).ok()
    });
    let mut boards: Vec<Board> = built_in.chain(added).collect();
    boards.sort_by_cached_key(|board| (group(&board.deploy), natural(&board.name)));
    boards
});

/// The boards that come with Graft: this machine, other machines with Linux, microcontrollers, those in QEMU; each
/// group by name.
pub fn all() -> &'static [Board] {
    &BOARDS
}

/// The file of a board in the source folder, whether there is one or not.
pub(super) fn source(name: &str) -> PathBuf {
    folder().join(name).join("board.toml")
}

/// The folder `boards` that this program was built from.
fn folder() -> PathBuf {
    let converter = Path::new(env!("CARGO_MANIFEST_DIR"));
    converter.parent().unwrap_or(converter).join("boards")
}

/// The files of boards in the source folder that are not built in.
fn added() -> Vec<PathBuf> {
    let Ok(folders) = std::fs::read_dir(folder()) else {
        return vec![];
    };
    let names = folders.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let new = names.filter(|name| BUILT_IN.iter().all(|(built_in, _)| built_in != name));
    let files = new.map(|name| source(&name));
    files.filter(|file| file.is_file()).collect()
}

/// Position of a board's group in tables.
fn group(deploy: &Deploy) -> u8 {
    match deploy {
        Deploy::Local => 0,
        Deploy::Ssh => 1,
        Deploy::ProbeRs { .. } => 2,
        Deploy::Qemu { .. } => 3,
    }
}

/// A name as texts and numbers in turn, so that `m7` sorts before `m33`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![];
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit());
        let (text, number) = rest.split_at(digits.unwrap_or(rest.len()));
        let end = number.find(|c: char| !c.is_ascii_digit());
        let (number, tail) = number.split_at(end.unwrap_or(number.len()));
        parts.push((text.into(), number.parse().unwrap_or(0)));
        rest = tail;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::schema::{FactsFrom, Use};

    #[test]
    fn built_in_boards_are_valid() {
        assert!(BUILT_IN.len() >= 12);
        for (name, text) in BUILT_IN {
            let board = parse(text).unwrap_or_else(|e| panic!("{}", e.in_file(name)));
            assert_eq!(board.name, *name);
            let known = board.facts_from != FactsFrom::Nowhere;
            assert_eq!(known, !board.sources.is_empty(), "{name}: sources");
            let emulated = matches!(board.deploy, Deploy::Qemu { .. });
            assert_eq!(emulated, name.starts_with("qemu-"), "{name}");
            assert_eq!(emulated, board.facts_from == FactsFrom::Emulator, "{name}");
        }
    }

    /// Every `boards/NAME/board.toml` is known, those that are newer than this program too.
    #[test]
    fn no_board_is_left_out() {
        for entry in std::fs::read_dir(folder()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_board = source(&name).is_file();
            assert_eq!(is_board, all().iter().any(|b| b.name == name), "{name}");
        }
    }

    #[test]
    fn order_of_tables() {
        let names: Vec<&str> = all().iter().map(|b| &*b.name).collect();
        let position = |name: &&str| names.iter().position(|n| n == name).unwrap();
        let sorted = ["host", "raspberry-pi-4", "raspberry-pi-5", "rp2350"];
        assert!(sorted.is_sorted_by_key(position), "{names:?}");
        let qemu = ["rp2350", "qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55"];
        assert!(qemu.is_sorted_by_key(position), "{names:?}");
    }

    #[test]
    fn facts() {
        let board = |name| all().iter().find(|b| b.name == name).unwrap();
        let nucleo = board("nucleo-h743zi2");
        let flash = nucleo.memory("flash").unwrap();
        assert_eq!(
            (flash.size, flash.erase, flash.write),
            (2 << 20, Some(128 << 10), Some(32))
        );
        let rams = nucleo.memories.iter().filter(|m| m.name != "flash");
        // DTCM, AXI SRAM, SRAM1 to 3, SRAM4, ITCM: the data sheet's 1 MB without 4 KiB of backup RAM.
        assert_eq!(
            rams.map(|m| m.size).sum::<u64>(),
            (128 + 512 + 288 + 64 + 64) << 10
        );
        let pico = board("rp2350");
        assert_eq!(pico.memory("sram").unwrap().size, 520 << 10);
        // The program is in one bank of the flash, the stores are in the other.
        let bank = |u| (nucleo.region(u).unwrap().base - flash.base) >> 20;
        assert_eq!(
            (bank(Use::Firmware), bank(Use::Heads), bank(Use::Samples)),
            (0, 1, 1)
        );
    }
}
