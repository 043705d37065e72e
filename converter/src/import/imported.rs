//! The result of importing a whole network.

use super::pixels::Pixels;
use crate::graph::Graph;
use edge_runtime::model::OutputFunction;

/// A network from a file, as a graph.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network in NHWC. Its output is the input of the final softmax or sigmoid, if there is one.
    pub graph: Graph,
    /// The file's name for the input.
    pub input_name: String,
    /// The file's name for the output.
    pub output_name: String,
    /// What turns the graph's output into probabilities: the softmax (or its logarithm) or the sigmoid at the
    /// end of the network, which is no node of the graph, or nothing if the values lie between 0 and 1.
    /// `None` if the output is plain numbers.
    pub output: Option<OutputFunction>,
    /// Version of the operator set (ONNX) or of the schema (TensorFlow Lite).
    pub version: i64,
    /// The program that wrote the file, as the file says.
    pub producer: String,
    /// What the file says about the normalization of pixels.
    pub pixels: Pixels,
    /// Warnings for the user, one line each.
    pub warnings: Vec<String>,
}

impl Imported {
    /// True if the network ends in a softmax (which the graph leaves out).
    pub fn ends_in_softmax(&self) -> bool {
        self.output == Some(OutputFunction::Softmax)
    }
}
