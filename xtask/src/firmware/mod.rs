//! The firmware of a board: built from `boards/NAME`, measured, checked.
//!
//! - [`toolchain`]: which compiler can build it;
//! - [`image`]: what was built: its size, and what must not be in it.
//!
//! Knows no model and no way to a board.

pub mod image;
pub mod toolchain;

use anyhow::{Context, Result, bail};
use converter::board::Board;
use converter::board::schema::Use;
pub use image::Image;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use toolchain::Toolchain;

/// The workspace of the firmware.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards")
}

/// Where it is built; shared by all boards, and kept, so that the second build is quick.
fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/firmware")
}

/// Builds the firmware of a board, or finds it built.
///
/// # Errors
/// If the board has none, no compiler is there, it does not compile, does not fit its region, or holds what
/// [`Image::check`] refuses.
pub fn build(board: &Board) -> Result<Image> {
    build_binary(board, &board.name)
}

/// Builds a binary of the package of a board.
pub fn build_binary(board: &Board, binary: &str) -> Result<Image> {
    let folder = workspace().join(&board.name);
    if !folder.join("Cargo.toml").is_file() {
        bail!(
            "there is no firmware for {} (boards/{0}/Cargo.toml is missing); docs/firmware.md says how to add one",
            board.name
        );
    }
    let target = board.cpu.target.as_deref();
    let target = target.with_context(|| format!("the board {} names no target", board.name))?;
    let toolchain = Toolchain::find(target)?;
    let mut command = toolchain.cargo(target);
    command
        .current_dir(workspace())
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["--package", &board.name, "--bin", binary])
        .args(["--target", target, "--target-dir"])
        .arg(target_dir())
        .env("RUSTFLAGS", flags(board))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let status = command.status();
    let status = status.with_context(|| format!("cannot start {toolchain}"))?;
    if !status.success() {
        bail!(
            "the firmware of {} does not build with {toolchain}",
            board.name
        );
    }
    let elf = target_dir().join(target).join("release").join(binary);
    let image = Image::read(&elf)?;
    image.check()?;
    for (purpose, what, used) in [
        (Use::Firmware, "flash", image.size.flash),
        (Use::Stack, "RAM for static variables", image.size.ram),
    ] {
        let has = board.region(purpose).map_or(0, |r| r.size);
        if used > has {
            bail!(
                "the firmware of {} takes {used} bytes of {what}, and region '{}' has {has}",
                board.name,
                purpose.name()
            );
        }
    }
    Ok(image)
}

/// What the compiler is told of the processor: instructions of its core beyond its target's.
fn flags(board: &Board) -> String {
    let v8 = board
        .cpu
        .target
        .as_deref()
        .is_some_and(|t| t.starts_with("thumbv8"));
    match v8 {
        true => format!("-Ctarget-cpu={}", board.cpu.core),
        false => String::new(),
    }
}
