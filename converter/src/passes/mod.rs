//! Rewrites of the float graph that keep its function: fewer and simpler layers for the device.
//!
//! Each pass takes a graph and returns another; [`simplify`] runs them in their order. Knows nothing of
//! int8 and of files.

mod fold;
mod fuse;
mod prune_dead;

use crate::graph::{Graph, NodeId, Op};

/// Folds batch norms and paddings into convolutions, fuses activations, and drops a final softmax (the
/// head gives logits) and whatever nothing reads.
pub fn simplify(graph: Graph) -> Graph {
    let passes = [drop_softmax, fold::batch_norms, fold::paddings, fuse::activations];
    passes.into_iter().fold(graph, |graph, pass| prune_dead::run(pass(graph)))
}

fn drop_softmax(mut graph: Graph) -> Graph {
    if graph.nodes[graph.output].op == Op::Softmax {
        graph.output = graph.nodes[graph.output].inputs[0];
    }
    graph
}

/// Makes every reader of `from` (and the output) read `to`.
fn redirect(graph: &mut Graph, from: NodeId, to: NodeId) {
    for input in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
        if *input == from {
            *input = to;
        }
    }
    if graph.output == from {
        graph.output = to;
    }
}
