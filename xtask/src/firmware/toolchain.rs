//! The compiler that can build for a microcontroller: the installed one if it has the library for the target, else
//! Debian's, which builds the library from source.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's programs.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The source of the library, as Debian's `rust-src` packages install it.
const DEBIAN_SOURCE: &str = "lib/rustlib/src/rust/library/core/Cargo.toml";

/// A compiler for a target.
#[derive(Debug)]
pub enum Toolchain {
    /// The one that built this program; it has the target.
    Installed,
    /// Debian's, with a linker.
    Debian {
        /// `rust-lld` or `ld.lld`.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// The compiler for a target.
    ///
    /// # Errors
    /// If there is none; says what to install.
    pub fn find(target: &str) -> Result<Self> {
        let library = says("rustc", &["--print", "target-libdir", "--target", target]);
        if library.is_some_and(|dir| Path::new(&dir).is_dir()) {
            return Ok(Self::Installed);
        }
        let sysroot = says(DEBIAN_RUSTC, &["--print", "sysroot"]);
        let has_source = sysroot.is_some_and(|dir| Path::new(&dir).join(DEBIAN_SOURCE).is_file());
        if !Path::new(DEBIAN_CARGO).is_file() || !has_source {
            bail!(
                "nothing here compiles for {target}; install it: `rustup target add {target}` (or on Debian: `apt install rustc-web cargo-web rust-web-src lld`)"
            );
        }
        match linker() {
            Some(linker) => Ok(Self::Debian { linker }),
            None => bail!(
                "no linker for {target}; install one (on Debian: `apt install lld`) or `rustup target add {target}`"
            ),
        }
    }

    /// Its `cargo`.
    pub fn cargo(&self, target: &str) -> Command {
        match self {
            Self::Installed => Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into())),
            Self::Debian { linker } => {
                let mut command = Command::new(DEBIAN_CARGO);
                let name = target.to_uppercase().replace(['-', '.'], "_");
                command
                    .args(["-Zbuild-std=core,alloc"])
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env(format!("CARGO_TARGET_{name}_LINKER"), linker);
                command
            }
        }
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Installed => "cargo",
            Self::Debian { .. } => DEBIAN_CARGO,
        })
    }
}

/// `rust-lld` of the installed toolchain, or one of the system.
fn linker() -> Option<PathBuf> {
    let sysroot = says("rustc", &["--print", "sysroot"]);
    let host = says("rustc", &["--print", "host-tuple"]);
    let own = sysroot.zip(host).map(|(sysroot, host)| {
        let folder = Path::new(&sysroot).join("lib/rustlib").join(host);
        folder.join("bin/rust-lld")
    });
    own.filter(|path| path.is_file())
        .or_else(|| ["rust-lld", "ld.lld"].into_iter().find_map(on_path))
}

/// The program with this name on the search path.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// The first line that a program prints; `None` if it fails.
pub fn says(program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let out = command.output().ok().filter(|out| out.status.success())?;
    let text = String::from_utf8(out.stdout).ok()?;
    text.lines().next().map(String::from)
}
