//! The file of the device program: its bytes, their checksum, and its processor.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The longest file that is taken for a device program, in bytes.
const MAX_LEN: u64 = 256 << 20;

/// A device program.
pub struct Program {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl Program {
    /// Reads a program for a processor of this architecture.
    pub fn read(path: &Path, arch: &str) -> Result<Self> {
        let name = path.display();
        let unreadable = || format!("{name}: cannot read the program");
        let metadata = path.metadata().with_context(unreadable)?;
        if !metadata.is_file() || metadata.len() == 0 || metadata.len() > MAX_LEN {
            bail!("{name}: not a program");
        }
        let bytes = std::fs::read(path).with_context(unreadable)?;
        match arch_of_program(&bytes) {
            Some(other) if other != arch => {
                bail!("{name}: the program is for {other} and the board is {arch}")
            }
            _ => (),
        }
        let sha256 = Sha256::digest(&bytes).into();
        Ok(Self { bytes, sha256 })
    }
}

/// The architecture of a target's name: `aarch64`, `arm`, `x86_64`, ...
pub fn arch_of_target(target: &str) -> &str {
    arch(target.split('-').next().unwrap_or(target))
}

/// The architecture of a machine as `uname -m` names it.
pub fn arch(machine: &str) -> &str {
    match machine {
        "arm64" => "aarch64",
        "amd64" => "x86_64",
        m if m.starts_with("riscv64") => "riscv64",
        m if m.starts_with("arm") || m.starts_with("thumb") => "arm",
        other => other,
    }
}

/// The architecture in an ELF header. `None` for an unknown one, and for other files, e.g. scripts: the device tries
/// every program before it uses it.
fn arch_of_program(bytes: &[u8]) -> Option<&'static str> {
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    let pair = [*bytes.get(18)?, *bytes.get(19)?];
    let machine = match bytes.get(5)? {
        2 => u16::from_be_bytes(pair),
        _ => u16::from_le_bytes(pair),
    };
    match machine {
        3 => Some("i686"),
        40 => Some("arm"),
        62 => Some("x86_64"),
        183 => Some("aarch64"),
        243 => Some("riscv64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures() {
        for (target, machine) in [
            ("aarch64-unknown-linux-gnu", "aarch64"),
            ("armv7-unknown-linux-gnueabihf", "armv7l"),
            ("x86_64-unknown-linux-musl", "x86_64"),
            ("riscv64gc-unknown-linux-gnu", "riscv64"),
        ] {
            assert_eq!(arch_of_target(target), arch(machine));
        }
    }

    #[test]
    fn programs_of_other_processors_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edge");
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        elf[18] = 183;
        std::fs::write(&path, &elf).unwrap();
        let read = |arch| Program::read(&path, arch).map(|p| p.bytes.len());
        assert_eq!(read("aarch64").unwrap(), 64);
        let text = read("x86_64").unwrap_err().to_string();
        assert!(text.contains("for aarch64"), "{text}");
        // Cut short or a script: the device decides.
        for bytes in [&elf[..19], b"#!/bin/sh\n"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read("x86_64").is_ok());
        }
        std::fs::write(&path, b"").unwrap();
        assert!(read("x86_64").is_err());
        assert!(Program::read(dir.path(), "x86_64").is_err());
    }
}
