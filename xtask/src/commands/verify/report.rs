//! What `verify` prints: that all agree, or the first difference.

use crate::output::{Report, Text};
use crate::units;
use converter::dataset::LeftOut;
use converter::jobs::verify::{self, Place};
use serde::Serialize;

/// Everything agrees.
#[derive(Serialize)]
pub struct AgreementReport<'v> {
    /// Always true.
    pub equal: bool,
    pub inputs: usize,
    pub layers: usize,
    /// Values of each backend and board.
    pub values: u64,
    pub backends: Vec<&'v str>,
    pub left_out: Option<&'v LeftOut>,
}

impl Report for AgreementReport<'_> {
    fn text(&self, out: &mut Text) {
        out.line(format_args!(
            "{} agree bit by bit: {} layers on {} pictures, {} values each",
            in_a_sentence(&self.backends),
            self.layers,
            self.inputs,
            units::count(self.values)
        ));
    }
}

/// `a and b`, or `a, b and c`.
fn in_a_sentence(names: &[&str]) -> String {
    match names {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.join(""),
    }
}

/// The first layer that differs. For people, it is the command's error.
#[derive(Serialize)]
pub struct DifferenceReport {
    /// Always false.
    equal: bool,
    /// `None` for the head.
    layer: Option<usize>,
    name: String,
    op: &'static str,
    /// The picture.
    input: String,
    backends: [String; 2],
    /// Values that differ, and values of the layer. Boards send checksums only.
    #[serde(skip_serializing_if = "Option::is_none")]
    differing: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<usize>,
    #[serde(skip)]
    pub error: String,
}

impl Report for DifferenceReport {
    /// Nothing: the error says it.
    fn text(&self, _: &mut Text) {}
}

impl DifferenceReport {
    /// Between two backends.
    pub fn of_backends(d: verify::Difference, input: &str) -> Self {
        Self {
            equal: false,
            error: format!("{d} ({input})"),
            layer: Some(d.layer),
            name: d.name,
            op: d.op,
            input: input.into(),
            backends: d.backends.map(String::from),
            differing: Some(d.count),
            elements: Some(d.elements),
        }
    }

    /// Between a backend and a board.
    pub fn of_board(place: Place, between: [&str; 2], input: &str) -> Self {
        let [a, b] = between;
        let error =
            format!("{place} differs between {a} and {b} ({input}); everything before it is equal");
        let (layer, name, op) = match place {
            Place::Layer { index, name, op } => (Some(index), name, op),
            Place::Feature => (None, "feature".into(), "head"),
            Place::Logits => (None, "logits".into(), "head"),
        };
        Self {
            equal: false,
            layer,
            name,
            op,
            input: input.into(),
            backends: between.map(String::from),
            differing: None,
            elements: None,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_sentence() {
        assert_eq!(in_a_sentence(&["a"]), "a");
        assert_eq!(in_a_sentence(&["a", "b"]), "a and b");
        assert_eq!(in_a_sentence(&["a", "b", "c"]), "a, b and c");
    }
}
