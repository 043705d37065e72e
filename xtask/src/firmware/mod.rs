//! Builds the firmware of a board from `boards/NAME`, measures it and checks it.
//!
//! - [`toolchain`]: the compiler that can build it;
//! - [`image`]: the built file: its size, and what it must not contain.
//!
//! Knows no model, and not how a board is reached.

pub mod image;
pub mod toolchain;

use anyhow::{Context, Result, bail};
use converter::board::Board;
use converter::board::schema::Use;
use edge_runtime::signature::PublicKey;
pub use image::Image;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use toolchain::Toolchain;

/// The folder of the whole project.
fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The workspace of the firmware.
fn workspace() -> PathBuf {
    root().join("boards")
}

/// The folder for the build of all boards. It is kept, so that the second build is quick. Firmware with a trusted key has
/// a folder of its own, so that one is not taken for the other.
fn target_dir(signed: bool) -> PathBuf {
    let dir = root().join("target/firmware");
    if signed { dir.join("signed") } else { dir }
}

/// Builds the firmware of a board, unless it is up to date. With a key, it accepts only models and heads that are signed
/// with it.
///
/// # Errors
/// If the board has no firmware, there is no compiler for it, or the firmware does not compile, does not fit its region,
/// or contains what [`Image::check`] refuses.
pub fn build(board: &Board, trust: Option<&PublicKey>) -> Result<Image> {
    build_binary(board, &board.name, "release", trust)
}

/// Builds the runner image of a board (`boards/firmware/runner`), unless it is up to date.
///
/// # Errors
/// As [`build`].
pub fn build_runner(board: &Board) -> Result<Image> {
    build_binary(board, &format!("{}-runner", board.name), "runner", None)
}

/// Builds a binary of a board's package with a profile of the firmware's workspace.
fn build_binary(
    board: &Board,
    binary: &str,
    profile: &str,
    trust: Option<&PublicKey>,
) -> Result<Image> {
    let folder = workspace().join(&board.name);
    if !folder.join("Cargo.toml").is_file() {
        bail!(
            "there is no firmware for {} (boards/{0}/Cargo.toml is missing); CONTRIBUTING.md says how to add one",
            board.name
        );
    }
    let target = board.cpu.target.as_deref();
    let target = target.with_context(|| format!("the board {} names no target", board.name))?;
    let toolchain = Toolchain::find(target)?;
    let target_dir = target_dir(trust.is_some());
    let mut command = toolchain.cargo(target);
    command
        .current_dir(workspace())
        .args(["build", "--profile", profile, "--locked", "--quiet"])
        .args(["--package", &board.name, "--bin", binary])
        .args(["--target", target, "--target-dir"])
        .arg(&target_dir)
        .env("RUSTFLAGS", flags(board))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some(key) = trust {
        command
            .args(["--features", "app/signed"])
            .env("GRAFT_TRUST", hex::encode(key.bytes()));
    }
    let status = command.status();
    let status = status.with_context(|| format!("cannot start {toolchain}"))?;
    if !status.success() {
        bail!(
            "the firmware of {} does not build with {toolchain}",
            board.name
        );
    }
    let elf = target_dir.join(target).join(profile).join(binary);
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

/// Options of the compiler: instructions of the core that its target lacks, and the small version of SHA-256 (6 KB less
/// code).
fn flags(board: &Board) -> String {
    let mut flags = String::from("--cfg=sha2_backend=\"soft\" --cfg=sha2_backend_soft=\"compact\"");
    let target = board.cpu.target.as_deref().unwrap_or_default();
    if target.starts_with("thumbv8") {
        flags += &format!(" -Ctarget-cpu={}", board.cpu.core);
    }
    flags
}
