//! A whole network in int8.

use super::assign::Quants;
use super::error::QuantizeError;
use super::idle_clamps;
use super::layer::{QuantizedOp, mean, quantize_layer};
use super::weights::{QuantizedWeights, quantize_weights};
use crate::graph::split::{HeadNodes, Split, split};
use crate::graph::{Graph, Op, Quant};

/// A network whose numbers are all integers, so that nothing is left to decide but where its bytes lie.
#[derive(Clone, Debug)]
pub struct QuantizedNetwork {
    /// Names, shapes and connections of the layers.
    pub graph: Graph,
    /// Where its trunk ends.
    pub split: Split,
    /// Quantization of every node's result.
    pub quants: Quants,
    /// Entry `i` is layer `split.layers[i]`.
    pub layers: Vec<QuantizedOp>,
    /// The classifier, if the network ends in one.
    pub head: Option<QuantizedHead>,
}

/// A classifier in int8, whose logits are float.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedHead {
    /// Multiplier and shift of the global average pool before the classifier, if there is one.
    pub pool: Option<(i32, u8)>,
    /// Quantization of the feature vector.
    pub feature: Quant,
    /// The fully connected layer.
    pub dense: QuantizedWeights,
}

/// Makes all numbers of a simplified network integers. `means` are those of every node's channels, as
/// calibration saw them: one vector per node, empty where nothing was observed.
///
/// # Errors
/// If a number does not fit the format; the error names the layer.
pub fn quantize(
    graph: Graph,
    quants: Quants,
    means: &[Vec<f32>],
) -> Result<QuantizedNetwork, QuantizeError> {
    let graph = idle_clamps::remove(graph, &quants);
    let split = split(&graph);
    let layers = split.layers.iter();
    let layers = layers
        .map(|&id| quantize_layer(&graph, &quants, means, id))
        .collect::<Result<_, _>>()?;
    let head = split
        .head
        .map(|nodes| quantize_head(&graph, &split, nodes, &quants, means))
        .transpose()?;
    Ok(QuantizedNetwork {
        graph,
        split,
        quants,
        layers,
        head,
    })
}

fn quantize_head(
    graph: &Graph,
    split: &Split,
    nodes: HeadNodes,
    quants: &Quants,
    means: &[Vec<f32>],
) -> Result<QuantizedHead, QuantizeError> {
    let map = quants.of(split.output());
    let (pool, feature) = match nodes.pool {
        None => (None, map),
        Some(id) => {
            let shape = graph.nodes[split.output()].shape;
            let pool = mean(map, quants.of(id), (shape.h * shape.w) as usize);
            (
                Some(pool.map_err(|problem| problem.at(graph, id))?),
                quants.of(id),
            )
        }
    };
    let node = &graph.nodes[nodes.dense];
    let Op::Conv(dense) = &node.op else {
        unreachable!("a head is a fully connected layer, not {}", node.op.name())
    };
    let dense = quantize_weights(dense, feature, &means[node.inputs[0]])
        .map_err(|problem| problem.at(graph, nodes.dense))?;
    Ok(QuantizedHead {
        pool,
        feature,
        dense,
    })
}
