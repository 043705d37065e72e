//! The error of all importers. Its text is one line: where the problem is, what is wrong, what to do.

use std::fmt;
use std::ops::Deref;

/// Longest name from a file in a message, in characters; longer ones are cut.
pub(super) const MAX_NAME: usize = 120;

/// Why a file could not be imported. Displays as one line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(Box<ErrorDetails>);

/// The parts of an [`ImportError`], as far as they are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorDetails {
    /// File that was read.
    pub file: String,
    /// Offset in the file (in a zip: in the entry that was read).
    pub byte: Option<u64>,
    /// Name of the node or tensor.
    pub node: Option<String>,
    /// Operator of the node, as the source format calls it.
    pub op: Option<String>,
    /// Attribute of the node.
    pub attribute: Option<String>,
    /// Shapes of the node's inputs, in the order of the source format.
    pub shapes: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl ImportError {
    /// An error that says what is wrong, and not yet where.
    pub fn new(problem: impl Into<String>) -> Self {
        Self(Box::new(ErrorDetails {
            problem: problem.into(),
            ..ErrorDetails::default()
        }))
    }

    /// Adds the file.
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.0.file = file.into();
        self
    }

    /// Adds the offset, unless one is known.
    pub fn byte(mut self, byte: usize) -> Self {
        self.0.byte.get_or_insert(byte as u64);
        self
    }

    /// Adds the node or tensor, unless one is known.
    pub fn node(mut self, node: impl Into<String>) -> Self {
        self.0.node.get_or_insert(node.into());
        self
    }

    /// Adds the operator.
    pub fn op(mut self, op: impl Into<String>) -> Self {
        self.0.op = Some(op.into());
        self
    }

    /// Adds the attribute.
    pub fn attribute(mut self, attribute: impl Into<String>) -> Self {
        self.0.attribute = Some(attribute.into());
        self
    }

    /// Adds the shapes of the inputs.
    pub fn shapes(mut self, shapes: impl Into<String>) -> Self {
        self.0.shapes = Some(shapes.into());
        self
    }

    /// Adds what the user can do, unless a hint is there already.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert(hint.into());
        self
    }
}

impl Deref for ImportError {
    type Target = ErrorDetails;

    fn deref(&self) -> &ErrorDetails {
        &self.0
    }
}

impl fmt::Display for ErrorDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}: ", one_line(&self.file, usize::MAX))?;
        }
        if let Some(byte) = self.byte {
            write!(f, "byte {byte}: ")?;
        }
        if let Some(node) = &self.node {
            write!(f, "'{}'", one_line(node, MAX_NAME))?;
            if let Some(op) = &self.op {
                write!(f, " ({})", one_line(op, MAX_NAME))?;
            }
            if let Some(shapes) = self.shapes.as_ref().filter(|s| !s.is_empty()) {
                write!(f, " of {}", one_line(shapes, 4 * MAX_NAME))?;
            }
            f.write_str(": ")?;
        }
        if let Some(attribute) = &self.attribute {
            write!(f, "attribute '{}': ", one_line(attribute, MAX_NAME))?;
        }
        f.write_str(&one_line(&self.problem, 8 * MAX_NAME))?;
        match &self.hint {
            Some(hint) => write!(f, "; {}", one_line(hint, 8 * MAX_NAME)),
            None => Ok(()),
        }
    }
}

/// `text` without control characters, cut after `max` characters.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let clean = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    let mut line: String = text.chars().take(max).map(clean).collect();
    if line.len() < text.len() && text.chars().nth(max).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_everything_in_one_line() {
        let e = ImportError::new("not supported")
            .file("net.onnx")
            .node("norm\n1")
            .op("LRN")
            .attribute("size")
            .shapes("1x64x55x55")
            .hint("retrain with batch normalization");
        assert_eq!(
            e.to_string(),
            "net.onnx: 'norm\u{fffd}1' (LRN) of 1x64x55x55: attribute 'size': not supported; \
             retrain with batch normalization"
        );
        let long = ImportError::new("x").node("n".repeat(5000)).to_string();
        assert!(long.len() < 200 && !long.contains('\n'), "{long}");
    }

    #[test]
    fn the_first_place_named_stays() {
        let e = ImportError::new("x")
            .node("inner")
            .byte(3)
            .node("outer")
            .byte(9);
        assert_eq!((e.node.as_deref(), e.byte), (Some("inner"), Some(3)));
    }
}
