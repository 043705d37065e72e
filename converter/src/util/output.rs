//! Writes files so that no other program ever sees a part of one: under another name in the same folder,
//! which is then renamed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The temporary files of every [`write()`] in progress.
static BEGUN: Mutex<Vec<PathBuf>> = Mutex::new(vec![]);

/// An entry of [`BEGUN`]; dropping it removes the entry.
struct Begun(PathBuf);

impl Begun {
    fn new(path: &Path) -> Self {
        begun(|files| files.push(path.into()));
        Self(path.into())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        begun(|files| files.retain(|file| *file != self.0));
    }
}

fn begun(change: impl FnOnce(&mut Vec<PathBuf>)) {
    change(&mut BEGUN.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Removes the temporary files of every [`write()`] in progress. For a program that is about to end, e.g. by
/// a signal.
pub fn abandon() {
    begun(remove);
}

fn remove(files: &mut Vec<PathBuf>) {
    // The program ends, so that a file that cannot be removed is not reported.
    files
        .drain(..)
        .for_each(|file| _ = std::fs::remove_file(file));
}

/// A file could not be written. What was there before is unchanged.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot write the file: {source}", path.display())]
pub struct OutputError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

/// Checks, before any work, that `path` can take a result: its folder is there, what it names is a regular
/// file or nothing yet, and it is none of `inputs`.
pub fn check(path: &Path, inputs: &[&Path]) -> Result<(), OutputError> {
    let failed = |why: String| OutputError {
        path: path.into(),
        source: std::io::Error::other(why),
    };
    check_folder(path)?;
    let Ok(there) = std::fs::metadata(path) else {
        // There is nothing yet. A link to nothing is refused, because writing would replace the link.
        return match path.is_symlink() {
            true => Err(failed("it is a link to nothing; remove it".into())),
            false => Ok(()),
        };
    };
    if !there.is_file() {
        return Err(failed(
            "it is not a regular file; give the name of a file".into(),
        ));
    }
    let same = |input: &&Path| match (std::fs::canonicalize(path), std::fs::canonicalize(input)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    if inputs.iter().any(same) {
        return Err(failed(
            "it is what this command reads; give another name with -o".into(),
        ));
    }
    Ok(())
}

/// Checks that the folder of `path` exists.
pub fn check_folder(path: &Path) -> Result<(), OutputError> {
    let folder = folder_of(path);
    if folder.is_dir() {
        return Ok(());
    }
    let why = format!("there is no folder {}; create it", folder.display());
    Err(OutputError {
        path: path.into(),
        source: std::io::Error::other(why),
    })
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Writes `bytes` to `path`, replacing what is there only when all of it is on disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let failed = |source| OutputError {
        path: path.into(),
        source,
    };
    // Renaming replaces anything, device files too.
    check(path, &[])?;
    // Replaces the file that a link points to, not the link.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let folder = folder_of(&target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".graft-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The usual permissions of a new file; the umask applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(|e| failed(plain(e)))?;
    let _begun = Begun::new(file.path());
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    file.persist(&target).map_err(|e| failed(e.error))?;
    Ok(())
}

/// The error without the path of the temporary file, which means nothing to a user.
fn plain(error: std::io::Error) -> std::io::Error {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.edge");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_only_begun_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (half, whole) = (dir.path().join("half"), dir.path().join("whole"));
        std::fs::write(&half, b"x").unwrap();
        write(&whole, b"xx").unwrap();
        let entry = Begun::new(&half);
        // Other tests write at the same time, and their files are not to be removed.
        begun(|files| assert!(files.contains(&half) && !files.contains(&whole)));
        remove(&mut vec![half.clone(), dir.path().join("never")]);
        assert!(!half.exists() && whole.exists());
        drop(entry);
        begun(|files| assert!(!files.contains(&half)));
    }

    #[test]
    fn a_folder_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("no/model.edge");
        let message = write(&path, b"x").unwrap_err().to_string();
        assert!(
            message.contains("no/model.edge") && message.lines().count() == 1,
            "{message}"
        );
        assert!(write(dir.path(), b"x").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn inputs_are_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network.onnx");
        write(&path, b"precious").unwrap();
        let same = dir.path().join("./network.onnx");
        let message = check(&path, &[&same]).unwrap_err().to_string();
        assert!(message.contains("reads"), "{message}");
        assert!(check(&path, &[&dir.path().join("other.onnx")]).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_what_is_no_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target.edge"), dir.path().join("link.edge"));
        write(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        // A socket stands for every special file, devices included; never try this on /dev.
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let message = write(&socket, b"x").unwrap_err().to_string();
        assert!(message.contains("not a regular file"), "{message}");
        assert!(!socket.is_file() && socket.exists());
        let dangling = dir.path().join("dangling.edge");
        std::os::unix::fs::symlink(dir.path().join("nothing"), &dangling).unwrap();
        assert!(write(&dangling, b"x").is_err() && dangling.is_symlink());
    }
}
