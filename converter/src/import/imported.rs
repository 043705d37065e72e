//! What the importers of whole networks give.

use super::pixels::Pixels;
use crate::graph::Graph;

/// A network of a file as a graph.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network, NHWC; its output is what enters the final softmax, if there is one.
    pub graph: Graph,
    /// The file's name for the input.
    pub input_name: String,
    /// The file's name for the output.
    pub output_name: String,
    /// True if the network ended in a softmax (or its logarithm), which was left out.
    pub softmax: bool,
    /// Version of the operator set (ONNX) or of the schema (TensorFlow Lite).
    pub version: i64,
    /// What wrote the file, as it says.
    pub producer: String,
    /// What the file says of how pixels enter.
    pub pixels: Pixels,
    /// What a user should know, one line each.
    pub warnings: Vec<String>,
}
