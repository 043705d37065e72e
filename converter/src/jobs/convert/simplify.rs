//! Stages `check_input` and `simplify`: from the graph as imported to the graph that is calibrated and
//! written.

use super::ConvertError;
use crate::graph::Graph;
use crate::passes;
use crate::quantize::assign::input_values;
use edge_runtime::model::{InputSpec, OutputFunction};

/// A network of as few and as simple layers as compute the same.
pub struct Simplified {
    /// The layers.
    pub graph: Graph,
    /// The graph as it was imported, if its source is quantized: what its numbers say is compared with the
    /// result.
    pub original: Option<Graph>,
    /// What turns the output into probabilities.
    pub function: OutputFunction,
}

/// Checks that the input rule gives what the graph takes.
pub fn check_input(graph: &Graph, input: &InputSpec) -> Result<(), ConvertError> {
    let shape = graph.input_shape();
    let (height, width, channels) = (input.height, input.width, input.channels());
    if (shape.h, shape.w, shape.c) == (height, width, channels) {
        return Ok(());
    }
    Err(ConvertError::Input {
        graph: shape,
        height,
        width,
        channels,
    })
}

/// Runs all passes. `output` is what turns the graph's output into probabilities.
pub fn simplify(graph: Graph, input: &InputSpec, output: OutputFunction) -> Simplified {
    let original = graph.is_quantized().then(|| graph.clone());
    let graph = passes::clamp_input(graph, input_values(input));
    let mut graph = passes::simplify(graph);
    let function = match passes::two_classes(&mut graph, output) {
        true => OutputFunction::Softmax,
        false => output,
    };
    Simplified {
        graph,
        original,
        function,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{INPUT, network};
    use super::*;
    use crate::graph::{Activation, Op, Quant};

    #[test]
    fn pictures_must_have_the_size_of_the_input() {
        assert!(check_input(&network(3), &INPUT).is_ok());
        let other = InputSpec { width: 9, ..INPUT };
        let error = check_input(&network(3), &other).unwrap_err().to_string();
        assert!(
            error.contains("8x8x3") && error.contains("8x9x3"),
            "{error}"
        );
    }

    #[test]
    fn clamps_go_into_the_layers_before_them() {
        let simplified = simplify(network(3), &INPUT, OutputFunction::Softmax);
        let names = simplified.graph.nodes.iter().map(|n| n.name.as_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["input", "conv", "pool", "dense"]
        );
        let Op::Conv(conv) = &simplified.graph.nodes[1].op else {
            panic!("the first layer is a convolution")
        };
        assert_eq!(conv.activation, Activation::Relu);
        assert!(simplified.original.is_none());
    }

    #[test]
    fn one_sigmoid_becomes_two_classes() {
        let simplified = simplify(network(1), &INPUT, OutputFunction::Sigmoid);
        assert_eq!(simplified.function, OutputFunction::Softmax);
        assert_eq!(simplified.graph.nodes[3].shape.c, 2);
    }

    #[test]
    fn a_quantized_source_is_kept_to_compare_with() {
        let mut graph = network(3);
        let nodes = graph.nodes.len();
        graph.nodes[2].quant = Some(Quant {
            scale: 0.1,
            zero_point: -128,
        });
        let simplified = simplify(graph, &INPUT, OutputFunction::Softmax);
        assert_eq!(simplified.original.unwrap().nodes.len(), nodes);
        assert!(simplified.graph.nodes.len() < nodes);
    }
}
