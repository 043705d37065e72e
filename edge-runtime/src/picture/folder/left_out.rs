//! Files of a folder that may be pictures and are not used.

use serde::Serialize;
use std::fmt::{self, Display};
use std::path::Path;

/// Files of a folder that may be pictures, but are not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub example: String,
    /// Why that one is not used.
    pub reason: String,
}

impl LeftOut {
    /// Counts one more file.
    pub(super) fn add(all: &mut Option<Self>, path: &Path, reason: &str) {
        Self::join(
            all,
            Some(Self {
                count: 1,
                example: path.display().to_string(),
                reason: reason.into(),
            }),
        );
    }

    /// Adds those of another folder.
    pub(super) fn join(all: &mut Option<Self>, more: Option<Self>) {
        match (&mut *all, more) {
            (Some(all), Some(more)) => all.count += more.count,
            (None, more) => *all = more,
            (Some(_), None) => {}
        }
    }
}

impl Display for LeftOut {
    /// All of it in one line, without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            example,
            reason,
        } = self;
        match count {
            1 => write!(f, "1 file was left out, {example}: {reason}"),
            _ => write!(f, "{count} files were left out, e.g. {example}: {reason}"),
        }
    }
}

/// The end of an error about a folder without pictures.
pub(super) fn but(left_out: &Option<LeftOut>) -> String {
    let but = |l: &LeftOut| format!("; {l}");
    left_out.as_ref().map_or(String::new(), but)
}
