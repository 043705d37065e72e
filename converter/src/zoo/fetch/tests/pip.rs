//! Files from Python packages. Pip is played by shell scripts.

use super::super::*;
use crate::util::progress::Silent;
use crate::zoo::catalog::{self, Pin, PyPi};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
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
        let mut wheel = zip::ZipWriter::new(File::create(dir.path().join("source.whl")).unwrap());
        for (name, content) in members {
            let options = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Deflated);
            wheel.start_file(*name, options).unwrap();
            wheel.write_all(content).unwrap();
        }
        wheel.finish().unwrap();
        let mut entry = catalog::all()[0].clone();
        entry.sources = vec![Source::PyPi(PyPi {
            package: "some-package".into(),
            version: "1.2".into(),
            member: MEMBER.into(),
            sha256: Pin::try_from(hex::encode(Sha256::digest(CONTENT))).unwrap(),
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
        let setup = Setup {
            folder: self.cache(),
            pythons: pythons.to_vec(),
            client: Client::new(None),
            catalog: catalog::all(),
        };
        setup.fetch(&self.entry, &Silent)
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
        let expected = hex::encode(Sha256::digest(CONTENT));
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
        error.contains("new connection: [Errno -3] Temporary failure in name resolution:"),
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

#[test]
fn nothing_to_fetch_from() {
    let mut scene = Scene::good();
    scene.entry.sources.clear();
    let error = scene.failure(&scene.delivering());
    assert!(error.contains("--weights"), "{error}");
}

#[test]
fn the_variable_replaces_the_defaults() {
    assert_eq!(pip::pythons(None), ["python3", "python"]);
    assert_eq!(pip::pythons(Some("".into())), ["python3", "python"]);
    assert_eq!(pip::pythons(Some("/opt/python".into())), ["/opt/python"]);
}
