//! What the importers of whole networks give.

use crate::graph::Graph;
use edge_runtime::model::OutputFunction;

/// A network of a file as a graph.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network, NHWC; its output is what enters the final softmax or sigmoid, if there is one.
    pub graph: Graph,
    /// The file's name for the input.
    pub input_name: String,
    /// The file's name for the output.
    pub output_name: String,
    /// The softmax (or its logarithm) or sigmoid at the network's end, which is no node of the graph; `None` if the
    /// file ends in plain numbers.
    pub output: Option<OutputFunction>,
    /// Version of the operator set (ONNX) or of the schema (TensorFlow Lite).
    pub version: i64,
    /// What wrote the file, as it says.
    pub producer: String,
    /// How pictures enter, where the file implies it: a quantized input counts in steps of pixels.
    pub pixels: Option<PixelRule>,
    /// What a user should know, one line each.
    pub warnings: Vec<String>,
}

impl Imported {
    /// True if the network ended in a softmax, which was left out.
    pub fn ends_in_softmax(&self) -> bool {
        self.output == Some(OutputFunction::Softmax)
    }
}

/// A pixel `p` from 0 to 255 enters the network as `(p - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelRule {
    /// Mean, on the scale of pixels.
    pub mean: f32,
    /// Standard deviation, on the scale of pixels.
    pub std: f32,
}
