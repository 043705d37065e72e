//! Removes channels from a graph.

use super::channels::{Channels, mixes};
use crate::graph::{BatchNorm, ConvWeights, Graph, GraphError, NodeId, Op, Shape};

/// The same network without the units that `kept` does not have. Node `i` of the result is node `i` of `graph`.
///
/// # Errors
/// If a layer is left without channels.
pub fn remove(graph: &Graph, channels: &Channels, kept: &[bool]) -> Result<Graph, GraphError> {
    let stays = |id: NodeId| -> Vec<bool> {
        let units = channels.of_node(id).iter();
        units.map(|unit| kept[*unit as usize]).collect()
    };
    let mut smaller = Graph::new(graph.input_shape());
    smaller.nodes[0].name.clone_from(&graph.nodes[0].name);
    for (id, node) in graph.nodes.iter().enumerate().skip(1) {
        let (before, after) = (stays(node.inputs[0]), stays(id));
        let op = match &node.op {
            Op::Conv(conv) => Op::Conv(conv_without(conv, &before, &after, mixes(graph, id))),
            Op::BatchNorm(norm) => Op::BatchNorm(BatchNorm {
                gamma: pick(&norm.gamma, &after),
                beta: pick(&norm.beta, &after),
                mean: pick(&norm.mean, &after),
                variance: pick(&norm.variance, &after),
                epsilon: norm.epsilon,
            }),
            Op::PRelu(slopes) => Op::PRelu(pick(slopes, &after)),
            Op::Slice { start, step, shape } => Op::Slice {
                start: [start[0], start[1], count(&before[..start[2] as usize])],
                step: *step,
                shape: Shape {
                    c: count(&after),
                    ..*shape
                },
            },
            Op::Pad {
                before: lead,
                after: trail,
            } => {
                let end = after.len() - trail[2] as usize;
                Op::Pad {
                    before: [lead[0], lead[1], count(&after[..lead[2] as usize])],
                    after: [trail[0], trail[1], count(&after[end..])],
                }
            }
            other => other.clone(),
        };
        smaller.push(node.name.clone(), op, &node.inputs)?;
        smaller.nodes[id].quant = node.quant;
    }
    smaller.output = graph.output;
    Ok(smaller)
}

fn count(kept: &[bool]) -> u32 {
    kept.iter().filter(|k| **k).count() as u32
}

/// The elements that stay.
pub fn pick<T: Clone>(all: &[T], kept: &[bool]) -> Vec<T> {
    let pairs = all.iter().zip(kept);
    pairs.filter(|(_, k)| **k).map(|(v, _)| v.clone()).collect()
}

fn conv_without(conv: &ConvWeights, before: &[bool], after: &[bool], mixes: bool) -> ConvWeights {
    let ins = before.len() / conv.groups;
    let filter = conv.weights.len() / conv.out_channels;
    let mut weights = vec![];
    for (c, all) in conv.weights.chunks_exact(filter).enumerate() {
        if !after[c] {
            continue;
        }
        if !mixes {
            weights.extend_from_slice(all);
            continue;
        }
        let group = c / (conv.out_channels / conv.groups);
        let kept = &before[group * ins..][..ins];
        all.chunks_exact(ins)
            .for_each(|tap| weights.extend(pick(tap, kept)));
    }
    let out_channels = count(after) as usize;
    ConvWeights {
        window: conv.window,
        // A depthwise filter leaves with its channel; other groups get smaller.
        groups: match mixes {
            true => conv.groups,
            false => count(before) as usize,
        },
        out_channels,
        weights,
        bias: pick(&conv.bias, after),
        activation: conv.activation,
        statistics: conv.statistics.as_ref().map(|s| pick(s, after)),
        weight_scales: conv.weight_scales.as_ref().map(|s| pick(s, after)),
    }
}
