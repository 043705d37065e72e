//! Makes a classifier of one sigmoid a classifier of two classes.

use crate::graph::{Graph, Op};
use edge_runtime::model::OutputFunction;

/// Gives a network that ends in one number and a sigmoid a second class, so that labels, evaluation and new
/// heads work as for any classifier. A softmax of `[0, x]` is `[1 - sigmoid(x), sigmoid(x)]`, so the first
/// class is a row of zeros in the last layer.
///
/// Returns whether it did. It needs a fully connected last layer whose activation leaves a zero as it is.
pub fn run(graph: &mut Graph, function: OutputFunction) -> bool {
    let last = graph.output;
    let shape = graph.nodes[last].shape;
    let Op::Conv(dense) = &mut graph.nodes[last].op else {
        return false;
    };
    let zero_stays = dense
        .activation
        .clamp_bounds()
        .is_some_and(|(low, high)| low <= 0.0 && high >= 0.0);
    if function != OutputFunction::Sigmoid
        || shape.len() != 1
        || dense.out_channels != 1
        || !zero_stays
    {
        return false;
    }
    dense.out_channels = 2;
    dense.weights.splice(0..0, vec![0.0; dense.weights.len()]);
    dense.bias.insert(0, 0.0);
    // Zeros are multiples of any scale.
    if let Some(scales) = &mut dense.weight_scales {
        scales.insert(0, scales[0]);
    }
    dense.statistics = None;
    graph.nodes[last].shape.c = 2;
    true
}
