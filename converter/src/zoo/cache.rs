//! Where fetched weights are kept between runs.
//!
//! `$GRAFT_CACHE`, else the system's place for caches: `$XDG_CACHE_HOME/graft` or `~/.cache/graft`,
//! `~/Library/Caches/graft` on macOS, `%LOCALAPPDATA%\graft\cache` on Windows. Knows paths, opens nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::catalog::{CatalogEntry, Source};

/// No environment variable says where a cache could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no folder for fetched weights: set GRAFT_CACHE to one (there is no home folder)")]
pub struct NoCacheFolder;

/// The cache folder. It may not exist yet.
pub fn folder() -> Result<PathBuf, NoCacheFolder> {
    folder_from(|name| std::env::var_os(name), std::env::home_dir()).ok_or(NoCacheFolder)
}

fn folder_from(
    variable: impl Fn(&str) -> Option<OsString>,
    home: Option<PathBuf>,
) -> Option<PathBuf> {
    let path = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = home.filter(|h| h.is_absolute());
    let system = || {
        if cfg!(windows) {
            path("LOCALAPPDATA").map(|p| p.join("graft").join("cache"))
        } else if cfg!(target_os = "macos") {
            home.as_ref().map(|h| h.join("Library/Caches/graft"))
        } else {
            home.as_ref().map(|h| h.join(".cache/graft"))
        }
    };
    // The XDG specification wants relative paths to be ignored.
    let xdg = || {
        path("XDG_CACHE_HOME")
            .filter(|p| p.is_absolute())
            .map(|p| p.join("graft"))
    };
    path("GRAFT_CACHE").or_else(xdg).or_else(system)
}

/// Where a source's file is kept in `folder`. The name carries part of the checksum, so that another
/// version is another file.
pub fn file(folder: &Path, entry: &CatalogEntry, source: &Source) -> PathBuf {
    folder.join(format!(
        "{}-{}.{}",
        entry.name,
        source.pin().short(),
        source.extension()
    ))
}

/// True if some source's file is in the cache with the right length (its checksum is verified when it is
/// used).
pub fn is_cached(entry: &CatalogEntry) -> bool {
    folder().is_ok_and(|folder| {
        entry
            .sources
            .iter()
            .any(|source| has(&folder, entry, source))
    })
}

fn has(folder: &Path, entry: &CatalogEntry, source: &Source) -> bool {
    let right = |len: u64| len > 0 && source.size().is_none_or(|size| len == size);
    std::fs::metadata(file(folder, entry, source)).is_ok_and(|m| m.is_file() && right(m.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::catalog;

    fn with(variables: &[(&str, &str)], home: Option<&str>) -> Option<PathBuf> {
        let get = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).into())
        };
        folder_from(get, home.map(PathBuf::from))
    }

    #[cfg(unix)]
    #[test]
    fn order_of_places() {
        let all = [("GRAFT_CACHE", "/g"), ("XDG_CACHE_HOME", "/x")];
        assert_eq!(with(&all, Some("/home/u")), Some("/g".into()));
        assert_eq!(with(&all[1..], Some("/home/u")), Some("/x/graft".into()));
        let home = with(
            &[("GRAFT_CACHE", ""), ("XDG_CACHE_HOME", "relative")],
            Some("/home/u"),
        )
        .unwrap();
        assert!(
            home.starts_with("/home/u") && home.ends_with("graft"),
            "{home:?}"
        );
        assert_eq!(with(&[], None), None);
    }

    #[test]
    fn cached_means_the_right_length() {
        let dir = tempfile::tempdir().unwrap();
        let entry = catalog::find("efficientnet-lite0").unwrap();
        let source = &entry.sources[0];
        let path = file(dir.path(), entry, source);
        assert!(
            path.ends_with("efficientnet-lite0-57934424.pth"),
            "{path:?}"
        );
        assert!(!has(dir.path(), entry, source));
        std::fs::File::create(&path)
            .unwrap()
            .set_len(18_826_032)
            .unwrap();
        assert!(has(dir.path(), entry, source));
        std::fs::write(&path, b"short").unwrap();
        assert!(!has(dir.path(), entry, source));
    }
}
