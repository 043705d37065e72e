//! Removes dead nodes: those that the output does not depend on.

use crate::graph::{Graph, Node};

/// Removes dead nodes. The input stays, and the order of the nodes.
pub fn run(graph: Graph) -> Graph {
    let mut needed = vec![false; graph.nodes.len()];
    needed[0] = true;
    needed[graph.output] = true;
    for id in (0..graph.nodes.len())
        .rev()
        .filter(|&id| id <= graph.output)
    {
        if needed[id] {
            graph.nodes[id]
                .inputs
                .iter()
                .for_each(|&i| needed[i] = true);
        }
    }
    let mut renumbered = vec![0; graph.nodes.len()];
    let mut nodes: Vec<Node> = Vec::new();
    for (id, mut node) in graph.nodes.into_iter().enumerate() {
        if needed[id] {
            renumbered[id] = nodes.len();
            node.inputs.iter_mut().for_each(|i| *i = renumbered[*i]);
            nodes.push(node);
        }
    }
    Graph {
        nodes,
        output: renumbered[graph.output],
    }
}
