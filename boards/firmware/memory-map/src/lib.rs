//! For build scripts of firmware: from `board.toml` to what the linker and the firmware must know of a board.
//!
//! The build script of a board's crate calls [`emit`], which writes into `OUT_DIR`:
//!
//! - `memory.x`, the memory map, which the linker script of `cortex-m-rt` includes;
//! - `board.rs`, constants for the firmware: `MAP`, and on hardware `BAUD` and `SENSOR`;
//! - `runner.rs`, the constant `REGIONS` for the image that measures.
//!
//! So every address is written once, in `board.toml`. Knows no peripheral.

#![warn(missing_docs)]

mod constants;
mod linker;
#[cfg(test)]
mod tests;

use board_schema::{Board, Deploy, Region, Use};
use std::path::Path;

/// Bytes at the end of region `stack` that keep their content when the program starts: the record of the last
/// fault.
pub const FAULT_RECORD: u64 = 64;

/// Reads the `board.toml` beside the crate's `Cargo.toml`, writes the generated files to `OUT_DIR`, and tells Cargo
/// how to link.
///
/// # Panics
/// With a message, which Cargo shows, if the file is missing, is not consistent, or lacks what firmware needs.
pub fn emit() {
    let var = |name| std::env::var(name).unwrap_or_else(|_| panic!("Cargo sets {name}"));
    let path = Path::new(&var("CARGO_MANIFEST_DIR")).join("board.toml");
    println!("cargo:rerun-if-changed={}", path.display());
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: cannot read the board: {e}", path.display()));
    let board = board_schema::parse(&text)
        .unwrap_or_else(|e| panic!("{}", e.in_file(&path.display().to_string())));
    let files = files(&board).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let out = var("OUT_DIR");
    for (name, text) in files {
        let path = Path::new(&out).join(name);
        std::fs::write(&path, text)
            .unwrap_or_else(|e| panic!("{}: cannot write: {e}", path.display()));
    }
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // The firmware logs with defmt, the image that measures does not log.
    println!(
        "cargo:rustc-link-arg-bin={}=-Tdefmt.x",
        var("CARGO_PKG_NAME")
    );
    // The addresses are those of the map. Padding sections to pages would only make the file longer.
    println!("cargo:rustc-link-arg-bins=--nmagic");
}

/// The generated files, each with its name.
fn files(board: &Board) -> Result<Vec<(&'static str, String)>, String> {
    let mut files = vec![
        ("memory.x", linker::memory(board)?),
        ("board.rs", constants::firmware(board)?),
        ("runner.rs", constants::runner(board)?),
    ];
    if is_emulated(board) {
        // The crates of hardware's peripherals bring a table of interrupts; `constants` has the one for QEMU.
        files.push(("device.x", String::new()));
    }
    Ok(files)
}

fn is_emulated(board: &Board) -> bool {
    matches!(board.deploy, Deploy::Qemu { .. })
}

fn region(board: &Board, purpose: Use) -> Result<&Region, String> {
    let region = board.region(purpose);
    region.ok_or_else(|| format!("there is no region '{}'", purpose.name()))
}
