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

/// Where it is built; shared by all boards, and kept, so that the second build is quick. Firmware with a key has a
/// folder of its own, so that neither is found where the other was built.
fn target_dir(signed: bool) -> PathBuf {
    let dir = root().join("target/firmware");
    if signed { dir.join("signed") } else { dir }
}

/// Builds the firmware of a board, or finds it built; with a key, it takes only models and heads that are signed.
///
/// # Errors
/// If the board has none, no compiler is there, it does not compile, does not fit its region, or holds what
/// [`Image::check`] refuses.
pub fn build(board: &Board, trust: Option<&PublicKey>) -> Result<Image> {
    build_binary(board, &board.name, "release", trust)
}

/// Builds the image of a board that measures and verifies (`boards/runner`), or finds it built.
///
/// # Errors
/// As [`build`].
pub fn build_runner(board: &Board) -> Result<Image> {
    build_binary(board, &format!("{}-runner", board.name), "runner", None)
}

/// Builds a binary of the package of a board with a profile of the firmware's workspace.
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
        let digits = key.bytes().iter().map(|byte| format!("{byte:02x}"));
        command
            .args(["--features", "firmware/signed"])
            .env("GRAFT_TRUST", digits.collect::<String>());
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

/// What the compiler is told: instructions of the core beyond its target's, and SHA-256 in a tenth of the code
/// (6 KB less).
fn flags(board: &Board) -> String {
    let mut flags = String::from("--cfg=sha2_backend=\"soft\" --cfg=sha2_backend_soft=\"compact\"");
    let target = board.cpu.target.as_deref().unwrap_or_default();
    if target.starts_with("thumbv8") {
        flags += &format!(" -Ctarget-cpu={}", board.cpu.core);
    }
    flags
}
