//! Folds batch norms and zero padding into convolutions.

use super::replace;
use crate::graph::{BatchNorm, ChannelStatistics, ConvWeights, Graph, Op, Window};
use edge_runtime::model::Activation;

/// Folds every batch norm into the convolution before it; where that is not possible, it becomes a depthwise
/// 1x1 convolution.
pub fn batch_norms(mut graph: Graph) -> Graph {
    let mut uses = graph.uses();
    for id in 0..graph.nodes.len() {
        let Op::BatchNorm(norm) = &graph.nodes[id].op else {
            continue;
        };
        let (scale, shift, statistics) = affine(norm);
        let before = graph.nodes[id].inputs[0];
        if let Op::Conv(conv) = &mut graph.nodes[before].op
            && uses[before] == 1
            && conv.activation == Activation::None
        {
            apply(conv, &scale, &shift);
            conv.statistics = statistics.or_else(|| moved(conv.statistics.take(), &scale, &shift));
            replace(&mut graph, id, before);
            uses[before] = uses[id];
        } else {
            graph.nodes[id].op = Op::Conv(ConvWeights {
                window: Window::POINT,
                groups: scale.len(),
                out_channels: scale.len(),
                weights: scale,
                bias: shift,
                activation: Activation::None,
                statistics,
                weight_scales: None,
            });
        }
    }
    graph
}

/// A batch norm as `y = scale * x + shift`, and the mean and standard deviation of y. Importers also use the
/// operator, with an epsilon of 0, for a factor and an offset per channel: those say nothing of y.
fn affine(n: &BatchNorm) -> (Vec<f32>, Vec<f32>, Option<Vec<ChannelStatistics>>) {
    let factor = |c: usize| n.gamma[c] as f64 / (n.variance[c] as f64 + n.epsilon as f64).sqrt();
    let channels = 0..n.gamma.len();
    let scale = channels.clone().map(|c| factor(c) as f32).collect();
    let shift = channels
        .clone()
        .map(|c| (n.beta[c] as f64 - n.mean[c] as f64 * factor(c)) as f32);
    let statistics = channels.clone().map(|c| ChannelStatistics {
        mean: n.beta[c],
        std: n.gamma[c].abs(),
    });
    (
        scale,
        shift.collect(),
        (n.epsilon > 0.0).then(|| statistics.collect()),
    )
}

/// Mean and standard deviation after another factor and offset.
fn moved(
    statistics: Option<Vec<ChannelStatistics>>,
    scale: &[f32],
    shift: &[f32],
) -> Option<Vec<ChannelStatistics>> {
    let move_one = |(c, s): (usize, ChannelStatistics)| ChannelStatistics {
        mean: s.mean * scale[c] + shift[c],
        std: s.std * scale[c].abs(),
    };
    Some(statistics?.into_iter().enumerate().map(move_one).collect())
}

fn apply(conv: &mut ConvWeights, scale: &[f32], shift: &[f32]) {
    let per_channel = conv.weights.len() / conv.out_channels;
    for (c, filter) in conv.weights.chunks_exact_mut(per_channel).enumerate() {
        filter.iter_mut().for_each(|w| *w *= scale[c]);
        conv.bias[c] = conv.bias[c] * scale[c] + shift[c];
    }
    // int8 weights of the source keep their codes; their scale changes.
    for (step, by) in conv.weight_scales.iter_mut().flatten().zip(scale) {
        *step *= by.abs();
    }
}

/// Makes zeros around rows and columns the padding of a convolution, if nothing else reads them.
pub fn paddings(mut graph: Graph) -> Graph {
    let uses = graph.uses();
    for id in 0..graph.nodes.len() {
        let before = graph.nodes[id].inputs.first().copied().unwrap_or(0);
        let Op::Pad {
            before: b,
            after: a,
        } = graph.nodes[before].op
        else {
            continue;
        };
        let Op::Conv(conv) = &mut graph.nodes[id].op else {
            continue;
        };
        if uses[before] != 1 || b[2] != 0 || a[2] != 0 {
            continue;
        }
        for axis in 0..2 {
            conv.window.pad_before[axis] += b[axis];
            conv.window.pad_after[axis] += a[axis];
        }
        graph.nodes[id].inputs[0] = graph.nodes[before].inputs[0];
    }
    graph
}
