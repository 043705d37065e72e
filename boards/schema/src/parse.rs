//! From the text of a `board.toml` to a [`Board`].

use crate::{Board, Problem, check};

/// Why a text describes no board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is not TOML, or has a key or a value that a `board.toml` cannot have.
    #[error("line {line}: {message} (docs/reference/boards.md says what a board.toml holds)")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What is wrong there, in one line.
        message: String,
    },
    /// The board contradicts itself.
    #[error(transparent)]
    Inconsistent(#[from] Problem),
}

impl ParseError {
    /// The message with the name of the file, e.g. `board.toml, line 3: ...`.
    pub fn in_file(&self, file: &str) -> String {
        match self {
            Self::Syntax { .. } => format!("{file}, {self}"),
            Self::Inconsistent(_) => format!("{file}: {self}"),
        }
    }
}

/// Reads a board and checks it.
///
/// # Errors
/// If the text is no `board.toml`, or the board is not consistent ([`check`](mod@crate::check)).
pub fn parse(text: &str) -> Result<Board, ParseError> {
    let board: Board = toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        ParseError::Syntax {
            line: 1 + text.bytes().take(at).filter(|b| *b == b'\n').count(),
            message: e.message().lines().collect::<Vec<_>>().join(" "),
        }
    })?;
    check(&board)?;
    Ok(board)
}
