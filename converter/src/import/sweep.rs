//! Removes what an import left behind.

use crate::graph::{Graph, Node};

/// The graph without nodes that its output does not need (halves of recognised patterns).
pub fn sweep(graph: Graph) -> Graph {
    let mut needed = vec![false; graph.nodes.len()];
    needed[0] = true;
    needed[graph.output] = true;
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if needed[i] {
            node.inputs.iter().for_each(|&j| needed[j] = true);
        }
    }
    let mut new = vec![0; needed.len()];
    let mut nodes: Vec<Node> = vec![];
    for (i, mut node) in graph
        .nodes
        .into_iter()
        .enumerate()
        .filter(|(i, _)| needed[*i])
    {
        node.inputs.iter_mut().for_each(|j| *j = new[*j]);
        new[i] = nodes.len();
        nodes.push(node);
    }
    Graph {
        output: new[graph.output],
        nodes,
    }
}
