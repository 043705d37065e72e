//! Writing files so that nobody ever sees half of one: beside their goal, then renamed.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that could not be written; nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot write the file: {source}", path.display())]
pub struct OutputError {
    /// Where it should have gone.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

/// Writes `bytes` to `path`, replacing what is there only when all of it is on disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let failed = |source| OutputError {
        path: path.into(),
        source,
    };
    if path.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".graft-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What a newly created file gets; the umask applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(|e| failed(plain(e)))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// tempfile wraps errors in the temporary file's path, which means nothing to a user.
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
}
