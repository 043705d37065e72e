//! What a report writes its text with.

use super::Table;
use std::fmt::Display;
use std::io::IsTerminal;

/// Narrower terminals get text for this width: what is left of a column would not be readable.
const MIN_WIDTH: usize = 40;

/// The width of a terminal that does not tell its own.
const USUAL_WIDTH: usize = 80;

/// Text that grows line by line. Tables and pairs are wrapped to the terminal's width; a line that may be copied
/// into a shell is never wrapped.
pub struct Text {
    out: String,
    /// Columns of the terminal; `None` for a pipe or a file, where nothing is wrapped or cut.
    width: Option<usize>,
}

impl Text {
    /// Empty text for a terminal of this width.
    pub fn new(width: Option<usize>) -> Self {
        Self {
            out: String::new(),
            width,
        }
    }

    /// All that was written.
    pub fn finish(self) -> String {
        self.out
    }

    /// One line as it is.
    pub fn line(&mut self, line: impl Display) {
        self.out += &format!("{line}\n");
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.out.push('\n');
    }

    /// A remark, wrapped.
    pub fn note(&mut self, note: impl Display) {
        self.item("note", note);
    }

    /// An indented sentence, wrapped.
    pub fn paragraph(&mut self, text: impl Display) {
        let mut table = Table::without_header(2).gap(0).wraps(&[1]);
        table.row(["  ".into(), text.to_string()]);
        self.table(&table);
    }

    /// `  label: text`, wrapped.
    pub fn item(&mut self, label: &str, text: impl Display) {
        let mut table = Table::without_header(2).gap(1).wraps(&[1]);
        table.row([format!("  {label}:"), text.to_string()]);
        self.table(&table);
    }

    /// Names and values in two aligned columns; values are wrapped.
    pub fn pairs<'n>(&mut self, pairs: impl IntoIterator<Item = (&'n str, String)>) {
        let mut table = Table::without_header(2).wraps(&[1]);
        for (name, value) in pairs {
            table.row([format!("  {name}"), value]);
        }
        self.table(&table);
    }

    /// A table.
    pub fn table(&mut self, table: &Table) {
        self.out += &table.render(self.width);
    }

    /// Commands that a user may want to type next, without the program's name.
    pub fn next(&mut self, commands: impl IntoIterator<Item = String>) {
        self.line("\nNext:");
        for command in commands {
            self.line(format_args!("  cargo xtask {command}"));
        }
    }
}

/// The width of the terminal behind stdout, from the environment's COLUMNS or else from the terminal. `None` if stdout is
/// no terminal.
pub fn width_of_stdout() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let set = std::env::var("COLUMNS").ok();
    let set = set.and_then(|columns| columns.parse().ok());
    let asked = || terminal_size::terminal_size().map(|(width, _)| width.0.into());
    let width: Option<usize> = set.or_else(asked);
    Some(width.unwrap_or(USUAL_WIDTH).max(MIN_WIDTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(width: Option<usize>) -> String {
        let mut out = Text::new(width);
        out.pairs([
            ("time", "1.0 s".into()),
            ("memory", "12 KiB for as many classes as there are".into()),
        ]);
        out.item("note", "the weights are random");
        out.paragraph("up to 20 classes can be trained");
        out.next(["run a-file-with-a-rather-long-name.edge".into()]);
        out.finish()
    }

    #[test]
    fn values_are_aligned() {
        assert_eq!(
            written(None),
            "  time    1.0 s
  memory  12 KiB for as many classes as there are
  note: the weights are random
  up to 20 classes can be trained

Next:
  cargo xtask run a-file-with-a-rather-long-name.edge
"
        );
    }

    #[test]
    fn a_terminal_wraps_text_and_leaves_commands_whole() {
        assert_eq!(
            written(Some(30)),
            "  time    1.0 s
  memory  12 KiB for as many
          classes as there are
  note: the weights are random
  up to 20 classes can be
  trained

Next:
  cargo xtask run a-file-with-a-rather-long-name.edge
"
        );
    }
}
