//! The activation at the end of a classifier: no layer of the graph, but what its output means.

use super::sweep::sweep;
use crate::graph::{Activation, Graph, NodeId, Op};
use edge_runtime::model::OutputFunction;

/// Takes a sigmoid off the end of a network that gives a vector, and says what turns the output into
/// probabilities: a softmax that the importer has left out (`softmax`), or that sigmoid. `None` if the file
/// ends in plain numbers.
pub fn take_off(mut graph: Graph, softmax: bool) -> (Graph, Option<OutputFunction>) {
    if softmax {
        return (graph, Some(OutputFunction::Softmax));
    }
    let Some(logits) = before_sigmoid(&graph) else {
        return (graph, None);
    };
    graph.output = logits;
    (sweep(graph), Some(OutputFunction::Sigmoid))
}

/// What enters the sigmoid, behind which there may be a clamp to the codes of a quantized source.
fn before_sigmoid(graph: &Graph) -> Option<NodeId> {
    let shape = graph.nodes[graph.output].shape;
    if shape.h * shape.w != 1 {
        return None;
    }
    let mut id = graph.output;
    loop {
        let node = &graph.nodes[id];
        let (Op::Activation(function), &[input]) = (&node.op, &node.inputs[..]) else {
            return None;
        };
        match function {
            Activation::Sigmoid => return Some(input),
            // 8-bit codes of probabilities end one step below 1.
            other => other
                .clamp_bounds()
                .filter(|(low, high)| *low <= 0.0 && *high > 0.99)?,
        };
        id = input;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Shape;

    fn network(functions: &[Activation], side: u32) -> Graph {
        let mut graph = Graph::new(Shape::new(side, side, 3));
        for function in functions {
            let last = graph.output;
            graph
                .push(
                    format!("{function:?}{last}"),
                    Op::Activation(*function),
                    &[last],
                )
                .unwrap();
        }
        graph
    }

    #[test]
    fn a_sigmoid_at_the_end_of_a_vector_is_taken_off() {
        use Activation::{Clip, Relu, Sigmoid, Tanh};
        let nodes = |functions: &[Activation], side| {
            let (graph, function) = take_off(network(functions, side), false);
            (graph.nodes.len(), function)
        };
        assert_eq!(
            nodes(&[Tanh, Sigmoid], 1),
            (2, Some(OutputFunction::Sigmoid))
        );
        let codes = Clip(0.0, 255.0 / 256.0);
        assert_eq!(
            nodes(&[Tanh, Sigmoid, codes], 1),
            (2, Some(OutputFunction::Sigmoid))
        );
        assert_eq!(nodes(&[Sigmoid, Clip(0.0, 0.5)], 1), (3, None));
        assert_eq!(nodes(&[Sigmoid, Relu, Tanh], 1), (4, None));
        // A map of probabilities is an answer of its own.
        assert_eq!(nodes(&[Sigmoid], 2), (2, None));
        assert_eq!(
            take_off(network(&[Relu], 1), true).1,
            Some(OutputFunction::Softmax)
        );
    }
}
