//! A classifier of one sigmoid as one of two classes.

use crate::graph::{Graph, Op};
use edge_runtime::model::OutputFunction;

/// Gives a network that ends in one number and a sigmoid a second class: a softmax of `[0, x]` is
/// `[1 - sigmoid(x), sigmoid(x)]`. So names, evaluation and new heads work as for any classifier. Done where the last
/// layer is fully connected, so that a row of zeros makes the other number, and where its activation leaves a zero
/// as it is; `true` then.
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
    // The zeros are whole multiples of any step.
    if let Some(scales) = &mut dense.weight_scales {
        scales.insert(0, scales[0]);
    }
    dense.statistics = None;
    graph.nodes[last].shape.c = 2;
    true
}
