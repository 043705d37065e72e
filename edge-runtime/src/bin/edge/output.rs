//! Results on stdout: text for people, or one JSON object on a line for machines.

use crate::error::Error;
use crate::progress::clear;
use edge_runtime::head::store::Active;
use serde::Serialize;
use std::io::Write;

/// In which form results are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// As JSON.
    pub json: bool,
}

impl Output {
    /// Prints one result, and flushes it.
    pub fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Error> {
        let line = match self.json {
            // Through a value: floats print as `cargo xtask device --json` prints them.
            true => serde_json::to_value(value).map(|v| v.to_string()),
            false => Ok(text().trim_end().into()),
        };
        clear();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", line.map_err(std::io::Error::from)?)?;
        Ok(out.flush()?)
    }
}

/// Prints warnings on stderr, one line each.
pub fn warn<'t>(warnings: impl IntoIterator<Item = &'t String>) {
    clear();
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// Names and values, aligned.
pub fn pairs(rows: &[(&str, String)]) -> String {
    rows.iter()
        .map(|(name, value)| format!("{name:<16} {value}\n"))
        .collect()
}

pub fn head(active: Active) -> String {
    match active {
        Active::Factory => "the factory's".into(),
        other => format!("number {}", other.sequence()),
    }
}

pub fn kib(bytes: u32) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}

pub fn percent(fraction: f32) -> String {
    format!("{:.1} %", 100.0 * fraction)
}
