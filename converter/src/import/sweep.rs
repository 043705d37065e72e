//! Cleans the graph up after an import.

use crate::graph::bounds::saturation;
use crate::graph::{Graph, Node, Op};

/// Removes the nodes that the output does not need, such as parts of recognized patterns.
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

/// Gives the input the codes of its quantization, if nothing else reads the input; `passes::clamp_input` then
/// handles pictures beyond their range. If another node reads the input, it needs the unquantized values.
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
