//! Why a network has no int8 numbers.

use crate::graph::{Graph, NodeId};

/// A number of a layer that int8 cannot represent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node '{node}'{}: {problem}", channel.map(|c| format!(", channel {c}")).unwrap_or_default())]
pub struct QuantizeError {
    /// Name of the node.
    pub node: String,
    /// Output channel, if it is one channel's number.
    pub channel: Option<usize>,
    /// What cannot be represented, and what to do.
    pub problem: &'static str,
}

/// The same, of a layer whose name is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Output channel, if it is one channel's number.
    pub channel: Option<usize>,
    /// What cannot be represented, and what to do.
    pub what: &'static str,
}

impl Problem {
    /// Of one output channel.
    pub fn of_channel(channel: usize, what: &'static str) -> Self {
        Self {
            channel: Some(channel),
            what,
        }
    }

    /// The output's scale cannot be reached from the input's by a factor that the format has room for.
    pub const UNREACHABLE_SCALE: Self = Self {
        channel: None,
        what: "its scale cannot be reached from its input's; calibrate on other pictures",
    };

    /// As the error of node `id`.
    pub fn at(self, graph: &Graph, id: NodeId) -> QuantizeError {
        QuantizeError {
            node: graph.nodes[id].name.clone(),
            channel: self.channel,
            problem: self.what,
        }
    }
}
