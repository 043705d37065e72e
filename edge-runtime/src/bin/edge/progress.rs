//! Progress on stderr: on a terminal one line that is overwritten, else a line now and then.

use edge_runtime::device::protocol::Progress;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between lines where stderr is no terminal.
const PAUSE: Duration = Duration::from_secs(1);

/// Empties the line of progress, if stderr is a terminal; a result may be printed on the same one.
pub fn clear() {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let _ = out.write_all(CLEAR.as_bytes());
    }
}

/// To the start of the line, and what was there is gone.
const CLEAR: &str = "\r\x1b[K";

/// Steps of something that takes a while.
pub struct Steps<W: Write> {
    out: W,
    terminal: bool,
    shown: Option<Instant>,
}

impl Steps<std::io::Stderr> {
    /// Steps that are shown on stderr.
    pub fn new() -> Self {
        let out = std::io::stderr();
        Self {
            terminal: out.is_terminal(),
            out,
            shown: None,
        }
    }
}

impl<W: Write> Steps<W> {
    /// Shows a step. In lines, the first and the last are shown, and others a second apart.
    pub fn step(&mut self, last: bool, what: std::fmt::Arguments<'_>) {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= PAUSE);
        // Progress that cannot be shown is no error.
        if self.terminal {
            let _ = write!(self.out, "\r{what}\x1b[K");
            let _ = self.out.flush();
        } else if last || due {
            let _ = writeln!(self.out, "{what}");
        } else {
            return;
        }
        self.shown = Some(Instant::now());
    }

    /// Shows how far a training is.
    pub fn training(&mut self, progress: Progress) {
        if let Progress::Epoch {
            number, of, loss, ..
        } = progress
        {
            let what = format_args!("training: epoch {number} of at most {of}, loss {loss:.3}");
            self.step(number == of, what);
        }
    }
}

/// What comes next on a terminal starts on an empty line.
impl<W: Write> Drop for Steps<W> {
    fn drop(&mut self) {
        if self.terminal && self.shown.is_some() {
            let _ = self.out.write_all(CLEAR.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(terminal: bool) -> String {
        let mut out = vec![];
        let mut steps = Steps {
            out: &mut out,
            terminal,
            shown: None,
        };
        for i in 1..=4 {
            steps.step(i == 4, format_args!("step {i}"));
        }
        drop(steps);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_few_and_plain() {
        assert_eq!(shown(false), "step 1\nstep 4\n");
    }

    #[test]
    fn a_terminal_has_one_line_that_is_gone_at_the_end() {
        let expected = "\rstep 1\x1b[K\rstep 2\x1b[K\rstep 3\x1b[K\rstep 4\x1b[K\r\x1b[K";
        assert_eq!(shown(true), expected);
    }
}
