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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, ConvWeights, Shape, Window};

    fn conv(inputs: usize, outputs: usize) -> Op {
        Op::Conv(ConvWeights {
            window: Window::POINT,
            groups: 1,
            out_channels: outputs,
            weights: (0..inputs * outputs).map(|i| i as f32 - 1.0).collect(),
            bias: vec![0.5; outputs],
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        })
    }

    fn quant(scale: f32) -> Quant {
        Quant {
            scale,
            zero_point: -128,
        }
    }

    /// Two convolutions with a clamp between that changes no code, a global pool, and a classifier.
    fn network() -> (Graph, Quants) {
        let mut g = Graph::new(Shape::new(2, 2, 2));
        let first = g.push("first", conv(2, 2), &[0]).unwrap();
        let clamp = Op::Activation(Activation::Clip(0.0, 255.0));
        let clamp = g.push("clamp", clamp, &[first]).unwrap();
        let second = g.push("second", conv(2, 3), &[clamp]).unwrap();
        let window = Window {
            kernel: [2; 2],
            ..Window::POINT
        };
        let pool = Op::AvgPool {
            window,
            count_padding: false,
        };
        let pool = g.push("pool", pool, &[second]).unwrap();
        g.push("dense", conv(3, 4), &[pool]).unwrap();
        let scales = [0.5, 1.0, 1.0, 2.0, 0.5, 1.0];
        (g, Quants::new(scales.map(quant).into()))
    }

    #[test]
    fn layers_and_head_in_integers() {
        let (graph, quants) = network();
        let q = quantize(graph, quants, &vec![vec![]; 6]).unwrap();
        // The clamp is gone; the convolution behind it reads the one before.
        assert_eq!(q.split.layers, [1, 3]);
        assert_eq!(q.graph.nodes[3].inputs, [1]);
        let kinds = q.layers.iter().map(|l| matches!(l, QuantizedOp::Conv(_)));
        assert_eq!(kinds.collect::<Vec<_>>(), [true, true]);
        let head = q.head.unwrap();
        assert_eq!((head.feature, head.dense.bias.len()), (quant(0.5), 4));
        // Four values of a scale four times as large as the feature's: the mean times 4.
        let (multiplier, shift) = head.pool.unwrap();
        let factor = multiplier as f64 / 2f64.powi(shift as i32);
        assert!((factor - 1.0).abs() < 1e-6, "{factor}");
    }

    #[test]
    fn means_reach_the_biases_of_trunk_and_head() {
        let biases = |means: &[Vec<f32>]| {
            let (graph, quants) = network();
            let q = quantize(graph, quants, means).unwrap();
            let QuantizedOp::Conv(second) = &q.layers[1] else {
                panic!("the second layer is a convolution")
            };
            (second.bias.clone(), q.head.unwrap().dense.bias)
        };
        let mut means = vec![vec![]; 6];
        let (trunk, head) = biases(&means);
        // Some weights are no multiples of their channel's scale, such as 1 where the largest is 2.
        means[1] = vec![1000.0; 2];
        let (corrected, same) = biases(&means);
        assert!(corrected != trunk && same == head);
        means[4] = vec![1000.0; 3];
        assert_ne!(biases(&means).1, head);
    }

    #[test]
    fn the_error_names_the_layer() {
        let (mut graph, quants) = network();
        let Op::Conv(dense) = &mut graph.nodes[5].op else {
            panic!("the last layer is a convolution")
        };
        dense.weights[7] = f32::NAN;
        let error = quantize(graph, quants, &vec![vec![]; 6]).unwrap_err();
        assert_eq!((&error.node[..], error.channel), ("dense", Some(2)));
    }
}
