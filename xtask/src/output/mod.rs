//! Printing: text for people, one JSON object for machines, one line for errors.

use serde_json::Value;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

/// Why something that was to be printed was not.
static LOST: OnceLock<std::io::Error> = OnceLock::new();

/// An error with its causes on one line.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        // thiserror's transparent wrappers repeat their cause.
        if parts.last().is_none_or(|last| !last.ends_with(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// Prints the JSON object if asked for, else the text.
pub fn print(json: bool, value: Value, text: impl FnOnce() -> String) {
    let out = if json {
        value.to_string()
    } else {
        text().trim_end().to_string()
    };
    write(&format!("{out}\n"));
}

/// Writes to stdout. If that cannot take it, the command goes on, and [`exit_code`] says so at its end.
pub fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A closed pipe (`| head`) is no error of ours.
        Err(e) if e.kind() != ErrorKind::BrokenPipe => _ = LOST.set(e),
        _ => {}
    }
}

/// `code`, if everything was printed; else a failure, with one line on stderr.
pub fn exit_code(code: ExitCode) -> ExitCode {
    match LOST.get() {
        None => code,
        Some(e) => {
            eprintln!("error: what was done cannot be printed: stdout: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Says on stderr what whoever runs this shall know, one line each.
pub fn warn<'t>(warnings: impl IntoIterator<Item = &'t String>) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// As [`print()`], of an object that says itself what it looks like for machines.
pub fn report(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) {
    print(json, serde_json::json!(value), text);
}

/// Rows as aligned columns; numbers (all of a column but the header) to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let numeric = |c: usize| {
        rows.iter().skip(1).all(|r| {
            r[c].chars()
                .next()
                .is_none_or(|ch| ch.is_ascii_digit() || ch == '-')
        })
    };
    let layout: Vec<(usize, bool)> = (0..columns).map(|c| (width(c), numeric(c))).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&layout).map(|(cell, (width, right))| {
            let gap = " ".repeat(width - cell.chars().count());
            if *right {
                gap + cell
            } else {
                cell.clone() + &gap
            }
        });
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    out
}

/// Name and value pairs, aligned.
pub fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|r| r.0.chars().count()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| format!("  {name:<width$}  {value}\n"))
        .collect()
}
