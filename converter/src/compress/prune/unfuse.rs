//! Takes activations out of convolutions and sums.

use crate::graph::{Activation, Graph, GraphError, NodeId, Op};

/// The same network, with the activations of convolutions and sums as nodes of their own: what a layer computes before
/// its activation is linear in its weights, and can be compared.
///
/// # Errors
/// If the graph is wrong.
pub fn unfuse(graph: &Graph) -> Result<Graph, GraphError> {
    let mut new = Graph::new(graph.input_shape());
    new.nodes[0].name.clone_from(&graph.nodes[0].name);
    let mut numbers: Vec<NodeId> = vec![0];
    for node in &graph.nodes[1..] {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|i| numbers[*i]).collect();
        let mut op = node.op.clone();
        let activation = match &mut op {
            Op::Conv(conv) => std::mem::replace(&mut conv.activation, Activation::None),
            Op::Add(activation) => std::mem::replace(activation, Activation::None),
            _ => Activation::None,
        };
        let mut id = new.push(node.name.clone(), op, &inputs)?;
        if activation != Activation::None {
            let name = format!("activation of {}", node.name);
            id = new.push(name, Op::Activation(activation), &[id])?;
        }
        numbers.push(id);
    }
    new.output = numbers[graph.output];
    Ok(new)
}
