//! What is said where a backend is wrong.

use core::fmt;

/// The first place where a backend gives something else than the reference.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The backend, as the list of backends names it.
    pub backend: String,
    /// The operator of the layer that is wrong, as [`Op::name`](crate::model::Op::name) has it; empty if the backend
    /// failed before any layer.
    pub operator: &'static str,
    /// The call that makes the case again, and which of its inputs.
    pub case: String,
    /// What is wrong.
    pub problem: Problem,
    /// The layers that are left after those were dropped without which it still fails; the last one is the wrong one.
    pub layers: Vec<String>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// A value.
    Value {
        /// Row, column and channel of the first one.
        element: [usize; 3],
        /// What the backend gives.
        got: f64,
        /// What the reference gives.
        expected: f64,
        /// How many elements of the layer differ, and how many there are.
        differing: [usize; 2],
    },
    /// The backend shows another number of elements, or another type.
    Shape(String),
    /// The backend refuses the network, or fails.
    Error(String),
    /// [`Session::run`](crate::backend::Session::run) does not give what the observer showed of the last layer.
    Session,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Value {
                element: [y, x, c],
                got,
                expected,
                differing: [count, all],
            } => write!(
                f,
                "row {y}, column {x}, channel {c} is {got} and should be {expected} ({count} of {all} elements differ)"
            ),
            Problem::Shape(text) | Problem::Error(text) => f.write_str(text),
            Problem::Session => f.write_str("the session gives another output than the observer"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            "" => "no layer",
            operator => operator,
        };
        writeln!(f, "{}: {operator}: {}", self.backend, self.problem)?;
        writeln!(f, "  case: {}", self.case)?;
        for (index, layer) in self.layers.iter().enumerate() {
            writeln!(f, "  layer {index}: {layer}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
