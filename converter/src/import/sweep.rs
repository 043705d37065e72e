//! Removes what an import left behind.

use crate::graph::bounds::saturation;
use crate::graph::{Graph, Node, Op};

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

/// Where all that reads the input is its quantization, the input has these codes itself; `passes::clamp_input` sees
/// to pictures that leave them. Another reader gets the numbers as they are.
pub fn codes_of_input(mut graph: Graph) -> Graph {
    let mut readers = (1..graph.nodes.len()).filter(|&id| graph.nodes[id].inputs.contains(&0));
    let (Some(id), None) = (readers.next(), readers.next()) else {
        return graph;
    };
    let codes = &graph.nodes[id];
    let Some(quant) = codes
        .quant
        .filter(|_| graph.nodes[0].quant.is_none() && graph.output != id)
    else {
        return graph;
    };
    if codes.op != Op::Activation(saturation(quant)) {
        return graph;
    }
    graph.nodes[0].quant = Some(quant);
    for input in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
        if *input == id {
            *input = 0;
        }
    }
    sweep(graph)
}
