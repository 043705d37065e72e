//! Printing: text for people, one JSON object for machines, one line for errors.
//!
//! Each command makes one [`Report`]. Its fields are the JSON object; [`Report::text`] writes the same for people.
//!
//! - [`text`]: what a report writes its text with;
//! - [`table`]: columns that fit the terminal;
//! - [`name`]: what the user calls this program.

pub mod name;
pub mod table;
pub mod text;

use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
pub use table::Table;
pub use text::Text;

/// What a command found or did. Serialized, it is the JSON object that `--json` prints.
pub trait Report: Serialize {
    /// Writes the text that is printed without `--json`. If it writes nothing, nothing is printed.
    fn text(&self, out: &mut Text);
}

/// The first error that kept something from being printed.
static LOST: OnceLock<std::io::Error> = OnceLock::new();

/// Prints a report: as one line of JSON if asked for, else as text that fits the terminal.
pub fn print(json: bool, report: &impl Report) {
    let out = render(json, report);
    if !out.is_empty() {
        write(&format!("{out}\n"));
    }
}

/// What [`print()`] prints, without the last line break.
pub fn render(json: bool, report: &impl Report) -> String {
    if json {
        // Through a value, which sorts the keys.
        return serde_json::json!(report).to_string();
    }
    let mut text = Text::new(text::width_of_stdout());
    report.text(&mut text);
    name::in_text(text.finish().trim_end()).into_owned()
}

/// Writes to stdout. If that fails, the command goes on, and [`exit_code`] reports it at the end.
pub fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A closed pipe (`| head`) is not an error.
        Err(e) if e.kind() != ErrorKind::BrokenPipe => _ = LOST.set(e),
        _ => {}
    }
}

/// `code` if everything could be printed; else a failure, with one line on stderr.
pub fn exit_code(code: ExitCode) -> ExitCode {
    match LOST.get() {
        None => code,
        Some(e) => {
            eprintln!("error: the result cannot be printed: stdout: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Prints each warning as one line on stderr.
pub fn warn(warnings: impl IntoIterator<Item = impl AsRef<str>>) {
    for warning in warnings {
        eprintln!("warning: {}", name::in_text(warning.as_ref()));
    }
}

/// Prints an error as one line on stderr.
pub fn error(error: &anyhow::Error) {
    eprintln!("error: {}", name::in_text(&one_line(error)));
}

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
