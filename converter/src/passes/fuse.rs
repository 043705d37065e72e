//! Fuses clamping activations into the convolutions, additions and clamps before them.

use super::replace;
use crate::graph::bounds::both_clamps;
use crate::graph::{Graph, Op};

/// Makes a clamp part of the convolution, addition or clamp before it, if nothing else reads that one.
pub fn activations(mut graph: Graph) -> Graph {
    let mut uses = graph.uses();
    for id in 0..graph.nodes.len() {
        let Op::Activation(activation) = graph.nodes[id].op else {
            continue;
        };
        let before = graph.nodes[id].inputs[0];
        if uses[before] != 1 {
            continue;
        }
        let fused = match &mut graph.nodes[before].op {
            Op::Conv(conv) => &mut conv.activation,
            Op::Add(fused) | Op::Activation(fused) => fused,
            _ => continue,
        };
        if let Some(both) = both_clamps(*fused, activation) {
            *fused = both;
            replace(&mut graph, id, before);
            uses[before] = uses[id];
        }
    }
    graph
}
