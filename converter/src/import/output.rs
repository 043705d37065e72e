//! The function at the end of a classifier. It says what the output means and is no layer of the graph.

use super::sweep::sweep;
use crate::graph::bounds::Bounds;
use crate::graph::{Activation, Graph, NodeId, Op};
use edge_runtime::model::OutputFunction;

/// Takes the sigmoid off the end of a network whose output is a vector. Returns the graph, and the function
/// that turns its output into probabilities: the softmax that the importer left out (`softmax`), the sigmoid,
/// or [`OutputFunction::None`] if the values lie between 0 and 1 for another reason. `None` if the output is
/// plain numbers.
pub fn take_off(graph: Graph, softmax: bool) -> (Graph, Option<OutputFunction>) {
    if softmax {
        return (graph, Some(OutputFunction::Softmax));
    }
    let mut graph = join_sigmoids(graph);
    let Some((logits, clamp)) = before_sigmoid(&graph) else {
        let values = Bounds::default().of(&graph, graph.output);
        let probabilities = values.min >= 0.0 && values.max <= 1.0;
        return (graph, probabilities.then_some(OutputFunction::None));
    };
    graph.output = logits;
    if clamp != Activation::None {
        let name = format!("{}/bounds", graph.nodes[logits].name);
        // An elementwise function fits any shape.
        if let Ok(id) = graph.push(name, Op::Activation(clamp), &[logits]) {
            graph.nodes[id].quant = graph.nodes[logits].quant;
        }
    }
    (sweep(graph), Some(OutputFunction::Sigmoid))
}

/// Turns a concatenation of sigmoids into the sigmoid of a concatenation. Networks whose labels come from
/// several branches end so.
fn join_sigmoids(mut graph: Graph) -> Graph {
    let last = &graph.nodes[graph.output];
    let sigmoid = |id: &NodeId| graph.nodes[*id].op == Op::Activation(Activation::Sigmoid);
    let joins = last.op == Op::Concat && last.shape.h * last.shape.w == 1;
    if !joins || !last.inputs.iter().all(sigmoid) {
        return graph;
    }
    let logits: Vec<NodeId> = last
        .inputs
        .iter()
        .map(|&i| graph.nodes[i].inputs[0])
        .collect();
    let name = last.name.clone();
    let before = graph.output;
    let joined = graph
        .push(format!("{name}/logits"), Op::Concat, &logits)
        .and_then(|id| {
            graph.push(
                format!("{name}/sigmoid"),
                Op::Activation(Activation::Sigmoid),
                &[id],
            )
        });
    // These shapes were concatenated before, so they fit.
    graph.output = joined.unwrap_or(before);
    graph
}

/// The node that the sigmoid reads, and a clamp of it that has the effect of the clamps behind the sigmoid.
/// Those come from the codes of a quantized file, which end where its calibration ended.
fn before_sigmoid(graph: &Graph) -> Option<(NodeId, Activation)> {
    let shape = graph.nodes[graph.output].shape;
    if shape.h * shape.w != 1 {
        return None;
    }
    let (mut id, mut low, mut high) = (graph.output, 0f32, 1f32);
    loop {
        let node = &graph.nodes[id];
        let (Op::Activation(function), &[input]) = (&node.op, &node.inputs[..]) else {
            return None;
        };
        id = input;
        if *function == Activation::Sigmoid {
            break;
        }
        let (least, most) = function.clamp_bounds()?;
        // The walk goes backwards: the last clamp comes first.
        (low, high) = (least.clamp(low, high), most.clamp(low, high));
    }
    let logit = |p: f32| (p / (1.0 - p)).ln();
    let clamp = match (low <= 0.0, high >= ALMOST_ONE) {
        (true, true) => Activation::None,
        (true, false) => Activation::Clip(f32::NEG_INFINITY, logit(high)),
        (false, true) => Activation::Clip(logit(low), f32::INFINITY),
        (false, false) => Activation::Clip(logit(low), logit(high)),
    };
    let possible = low < high && low < 1.0 && high > 0.0;
    possible.then_some((id, clamp))
}

/// 8-bit codes of probabilities from 0 to 1 end one step below 1.
const ALMOST_ONE: f32 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Shape;
    use crate::graph::reference::evaluate;

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
        assert_eq!(nodes(&[Relu, Tanh], 1), (3, Some(OutputFunction::None)));
        assert_eq!(
            nodes(&[Sigmoid, Tanh, Relu], 1).1,
            Some(OutputFunction::None)
        );
        assert_eq!(nodes(&[Tanh], 1), (2, None));
        // Clamped probabilities are those of clamped logits: ln(0.6 / 0.4) is 0.405465.
        let (graph, function) =
            take_off(network(&[Tanh, Sigmoid, Clip(0.5, 0.6), codes], 1), false);
        let Op::Activation(Clip(low, high)) = graph.nodes[graph.output].op else {
            panic!("{:?}", graph.nodes[graph.output].op)
        };
        assert!(
            low == 0.0 && (high - 0.405465).abs() < 1e-6,
            "{low} to {high}"
        );
        assert_eq!(function, Some(OutputFunction::Sigmoid));
        assert_eq!(nodes(&[Sigmoid, Clip(1.5, 2.0)], 1), (3, None));
        // The sigmoid of a map stays, and so do probabilities that come from something else.
        assert_eq!(nodes(&[Sigmoid], 2), (2, Some(OutputFunction::None)));
        assert_eq!(
            nodes(&[Activation::HardSigmoid], 1),
            (2, Some(OutputFunction::None))
        );
        assert_eq!(nodes(&[Sigmoid, Tanh], 1), (3, Some(OutputFunction::None)));
        assert_eq!(
            take_off(network(&[Relu], 1), true).1,
            Some(OutputFunction::Softmax)
        );
    }

    #[test]
    fn sigmoids_of_several_branches_are_one_sigmoid() {
        let mut graph = network(&[Activation::Tanh], 1);
        let tanh = graph.output;
        let branch = |graph: &mut Graph, name: &str| {
            let id = graph.push(name, Op::Activation(Activation::LeakyRelu(0.5)), &[tanh]);
            graph
                .push(
                    format!("{name}/s"),
                    Op::Activation(Activation::Sigmoid),
                    &[id.unwrap()],
                )
                .unwrap()
        };
        let (a, b) = (branch(&mut graph, "a"), branch(&mut graph, "b"));
        graph.push("labels", Op::Concat, &[a, b]).unwrap();
        let x = [0.5, -1.0, 2.0];
        let before = evaluate(&graph, &x);
        let (graph, function) = take_off(graph, false);
        assert_eq!(function, Some(OutputFunction::Sigmoid));
        let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
        let after: Vec<f32> = evaluate(&graph, &x).into_iter().map(sigmoid).collect();
        assert!(before.len() == 6 && before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
