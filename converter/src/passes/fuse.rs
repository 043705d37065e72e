//! Fuses clamping activations into the convolutions and additions before them.

use super::replace;
use crate::graph::{Graph, Op};
use edge_runtime::model::Activation;

/// ReLU and ReLU6 after a convolution or addition that nothing else reads become part of it.
pub fn activations(mut graph: Graph) -> Graph {
    let mut uses = graph.uses();
    for id in 0..graph.nodes.len() {
        let Op::Activation(activation) = graph.nodes[id].op else {
            continue;
        };
        let before = graph.nodes[id].inputs[0];
        if uses[before] != 1 || activation.clamp_bounds().is_none() {
            continue;
        }
        let fused = match &mut graph.nodes[before].op {
            Op::Conv(conv) => &mut conv.activation,
            Op::Add(fused) => fused,
            _ => continue,
        };
        if *fused == Activation::None {
            *fused = activation;
            replace(&mut graph, id, before);
            uses[before] = uses[id];
        }
    }
    graph
}
