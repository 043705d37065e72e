//! Builds the device program for a board's processor.

use crate::commands::deploy::program::arch_of_target;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Targets that need a linker of their own unless they are this machine's: target, linker, Debian's package.
const LINKERS: [(&str, &str, &str); 4] = [
    (
        "aarch64-unknown-linux-gnu",
        "aarch64-linux-gnu-gcc",
        "gcc-aarch64-linux-gnu",
    ),
    (
        "armv7-unknown-linux-gnueabihf",
        "arm-linux-gnueabihf-gcc",
        "gcc-arm-linux-gnueabihf",
    ),
    (
        "riscv64gc-unknown-linux-gnu",
        "riscv64-linux-gnu-gcc",
        "gcc-riscv64-linux-gnu",
    ),
    (
        "x86_64-unknown-linux-gnu",
        "x86_64-linux-gnu-gcc",
        "gcc-x86-64-linux-gnu",
    ),
];

/// Debian's cargo and rustc. Debian has packages of Rust's standard library for other processors.
const DEBIAN: (&str, &str) = ("/usr/bin/cargo", "/usr/bin/rustc");

/// How the device program is built: which toolchain, for which target.
#[derive(Debug, PartialEq, Eq)]
pub struct ProgramBuild {
    /// The target, as Rust names it.
    pub target: String,
    cargo: String,
    environment: Vec<(String, String)>,
}

impl ProgramBuild {
    /// Chooses a toolchain that has the target's standard library, and a linker. Without a `target`, builds for this
    /// machine.
    pub fn new(target: Option<&str>) -> Result<Self> {
        let (cargo, rustc) = (variable("CARGO", "cargo"), variable("RUSTC", "rustc"));
        let native = host(&rustc)?;
        let target = target.unwrap_or(&native).to_string();
        let mut build = Self {
            cargo,
            environment: vec![],
            target,
        };
        if !has_std(&rustc, &build.target) {
            if !Path::new(DEBIAN.0).exists() || !has_std(DEBIAN.1, &build.target) {
                bail!(
                    "no Rust standard library for {0}; `rustup target add {0}`, or on Debian install libstd-rust-web-dev:{1} for the Rust in /usr/bin; or give a built program with --program",
                    build.target,
                    debian_arch(&build.target)
                );
            }
            build.cargo = DEBIAN.0.into();
            build.environment.push(("RUSTC".into(), DEBIAN.1.into()));
        }
        let linker = LINKERS.iter().find(|l| l.0 == build.target);
        if let (Some((_, linker, package)), true) = (linker, build.target != native) {
            let upper = build.target.to_uppercase().replace('-', "_");
            let name = format!("CARGO_TARGET_{upper}_LINKER");
            if std::env::var_os(&name).is_none() {
                if !in_path(linker) {
                    bail!(
                        "no linker for {}: {linker} is missing (Debian: {package}); install it, set {name}, or give a built program with --program",
                        build.target
                    );
                }
                build.environment.push((name, linker.to_string()));
            }
        }
        Ok(build)
    }

    fn command(&self) -> Command {
        let mut cargo = Command::new(&self.cargo);
        cargo.current_dir(workspace());
        cargo.envs(self.environment.iter().map(|(k, v)| (k, v)));
        cargo.args([
            "build",
            "--release",
            "--locked",
            "--package",
            "edge-runtime",
        ]);
        cargo.args(["--features", "linux", "--bin", "edge"]);
        // A folder of its own, so that builds with other features (`cargo test`) are not replaced.
        cargo.args(["--target", &self.target, "--target-dir", "target/deploy"]);
        cargo.args(["--config", "profile.release.strip=true"]);
        cargo
    }

    /// The command as one would type it.
    pub fn describe(&self) -> String {
        let environment = self.environment.iter().map(|(k, v)| format!("{k}={v} "));
        let command = self.command();
        let arguments = command.get_args().map(|a| a.to_string_lossy());
        let arguments: Vec<_> = arguments.collect();
        let environment: String = environment.collect();
        format!("{environment}{} {}", self.cargo, arguments.join(" "))
    }

    /// Builds it and returns its path. Cargo's messages go to stderr.
    pub fn build(&self) -> Result<PathBuf> {
        let mut cargo = self.command();
        // Stdout is for the command's result.
        let status = cargo.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot run {}", self.cargo))?;
        if !status.success() {
            bail!(
                "the device program could not be built for {}; cargo says above why",
                self.target
            );
        }
        Ok(workspace()
            .join("target/deploy")
            .join(&self.target)
            .join("release/edge"))
    }
}

/// The root of Graft's workspace.
fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).into()
}

fn variable(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.into())
}

/// The target of this machine.
fn host(rustc: &str) -> Result<String> {
    let cannot = || format!("cannot run {rustc}");
    let out = Command::new(rustc)
        .arg("-vV")
        .output()
        .with_context(cannot)?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let host = text.lines().find_map(|l| l.strip_prefix("host: "));
    host.map(String::from).with_context(cannot)
}

/// True if the compiler has the target's standard library.
fn has_std(rustc: &str, target: &str) -> bool {
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", target]);
    let Ok(out) = command.stderr(Stdio::null()).output() else {
        return false;
    };
    let dir = String::from_utf8_lossy(&out.stdout).trim().to_string();
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names = files.map(|f| f.file_name().to_string_lossy().into_owned());
    out.status.success() && names.any(|n| n.starts_with("libstd-") && n.ends_with(".rlib"))
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Debian's name of the target's architecture.
fn debian_arch(target: &str) -> &str {
    match arch_of_target(target) {
        "aarch64" => "arm64",
        "arm" => "armhf",
        "x86_64" => "amd64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_needs_nothing_and_unknown_ones_are_named() {
        let build = ProgramBuild::new(None).unwrap();
        assert!(build.environment.is_empty());
        let text = build.describe();
        assert!(text.contains("--target-dir target/deploy"), "{text}");
        let error = ProgramBuild::new(Some("z80-unknown-linux-gnu")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("rustup target add z80"), "{text}");
    }
}
