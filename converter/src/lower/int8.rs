//! Writes an int8 model: the numbers of a [`QuantizedNetwork`], as the format lays them out.

use super::{About, LowerError, Lowering, depthwise_layout, head, is_depthwise};
use crate::quantize::{QuantizedHead, QuantizedNetwork, QuantizedOp};
use edge_runtime::head::Int8Layers;
use edge_runtime::head::file::{NewData, NewHead, Pool};
use edge_runtime::model::write::Writer;
use edge_runtime::model::{
    Activation, AlignedBytes, ConvData, DType, Layer, MapFunction, Op, Trunk,
};

/// The `.edge` file of a network in int8.
///
/// # Errors
/// If the network does not fit the format.
pub fn write(network: &QuantizedNetwork, about: &About<'_>) -> Result<AlignedBytes, LowerError> {
    let QuantizedNetwork { graph, quants, .. } = network;
    let lowering = Lowering::new(graph, network.split.clone(), DType::I8.size())?;
    let mut writer = Writer::default();
    for (&id, op) in lowering.split.layers.iter().zip(&network.layers) {
        let inputs = lowering.inputs(id)?;
        let depthwise = is_depthwise(&graph.nodes[id].op, graph.nodes[inputs[0]].shape.c);
        let op = layer_op(&mut writer, op, depthwise, lowering.is_swapped(id));
        writer.layer(&Layer {
            name: lowering.name(id),
            op,
            inputs: inputs
                .iter()
                .map(|&i| lowering.operand(i, quants.of(i)))
                .collect(),
            output: lowering.operand(id, quants.of(id)),
        });
    }
    let trunk = Trunk {
        dtype: DType::I8,
        input: lowering.operand(0, quants.of(0)),
        arena_bytes: lowering.plan.arena_bytes as u32,
        layers: 0,
        packing: None,
    };
    writer.output(
        &lowering.output(about.function),
        about.check.as_ref(),
        about.pruning.as_ref(),
    );
    let head = network
        .head
        .as_ref()
        .and_then(|head| new_head(head, network, &lowering, about.labels));
    Ok(writer.finish(&about.manifest, trunk, head)?)
}

/// The factory head.
fn new_head<'a>(
    head: &'a QuantizedHead,
    network: &QuantizedNetwork,
    lowering: &Lowering<'_>,
    labels: &'a str,
) -> Option<NewHead<'a>> {
    let pool = match head.pool {
        None => Pool::Flatten,
        Some((multiplier, shift)) => Pool::Avg { multiplier, shift },
    };
    let map = network.quants.of(lowering.split.output());
    let labels = head::matching_labels(labels, lowering);
    let (record, _) = head::record(lowering, pool, map, head.feature, labels)?;
    Some(NewHead {
        trunk_sha256: [0; 32],
        record,
        data: NewData::I8(Int8Layers {
            hidden: None,
            weights: &head.dense.weights,
            bias: &head.dense.bias,
            scale: &head.dense.accumulator_scale,
        }),
    })
}

/// The operator's record; its numbers go to the file. `swapped`: the plan has its two inputs change places.
fn layer_op(writer: &mut Writer, op: &QuantizedOp, depthwise: bool, swapped: bool) -> Op {
    match op {
        QuantizedOp::Conv(conv) => {
            let weights = if depthwise {
                &depthwise_layout(&conv.weights, conv.bias.len())
            } else {
                &conv.weights
            };
            let data = ConvData::I8 {
                weights: writer.blob(weights),
                bias: writer.blob(&conv.bias),
                multiplier: writer.blob(&conv.multiplier),
                shift: writer.blob(&conv.shift),
                clamp: conv.clamp,
            };
            let (window, groups) = (conv.window, conv.groups as u32);
            if depthwise {
                Op::DepthwiseConv { window, data }
            } else {
                Op::Conv {
                    window,
                    groups,
                    data,
                }
            }
        }
        QuantizedOp::Table(table) => Op::Map {
            function: MapFunction::Table(writer.blob(&table[..])),
        },
        QuantizedOp::MaxPool { window } => Op::MaxPool { window: *window },
        QuantizedOp::AvgPool {
            window,
            count_padding,
            multipliers,
            shift,
        } => Op::AvgPool {
            window: *window,
            count_padding: *count_padding,
            multipliers: writer.blob(multipliers),
            shift: *shift,
        },
        QuantizedOp::Add {
            multipliers: [first, second],
            shift,
            clamp,
        } => Op::Add {
            multipliers: match swapped {
                true => [*second, *first],
                false => [*first, *second],
            },
            shift: *shift,
            clamp: *clamp,
            activation: Activation::None,
        },
        QuantizedOp::Concat { rescale } => Op::Concat {
            rescale: rescale.iter().copied().collect(),
        },
        QuantizedOp::Slice { start, step } => Op::Slice {
            start: *start,
            step: *step,
        },
        QuantizedOp::Pad { before, after } => Op::Pad {
            before: *before,
            after: *after,
        },
        QuantizedOp::Mul { multiplier, shift } => Op::Mul {
            multiplier: *multiplier,
            shift: *shift,
        },
        QuantizedOp::PRelu {
            slopes,
            positive,
            shift,
        } => Op::PRelu {
            slopes: writer.blob(slopes),
            positive: *positive,
            shift: *shift,
        },
        QuantizedOp::LocalResponseNorm { size, table } => Op::LocalResponseNorm {
            size: *size,
            float: [0.0; 3],
            table: writer.blob(&table.factors),
            index_shift: table.octaves.index_shift(),
            shift: table.shift,
        },
        QuantizedOp::Shuffle { groups } => Op::Shuffle { groups: *groups },
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::about;
    use super::*;
    use crate::graph::{ConvWeights, Graph, NodeId, Op as Node, Quant, Shape, Window};
    use crate::quantize::assign::Quants;
    use crate::quantize::quantize;
    use edge_runtime::model::Model;

    fn conv(out_channels: usize, groups: usize) -> Node {
        let weights = (0..4 * 3 * out_channels / groups).map(|i| (i as f32).sin());
        Node::Conv(ConvWeights {
            window: Window {
                kernel: [2; 2],
                pad_after: [1; 2],
                ..Window::POINT
            },
            groups,
            out_channels,
            weights: weights.collect(),
            bias: vec![0.25; out_channels],
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        })
    }

    /// The file of a network of three-channel maps; node `i` has the scale `scales[i]`.
    fn file(
        layers: &[(&str, Node, &[NodeId])],
        scales: &[f32],
    ) -> (QuantizedNetwork, AlignedBytes) {
        let mut graph = Graph::new(Shape::new(8, 8, 3));
        for (name, op, inputs) in layers {
            graph.push(*name, op.clone(), inputs).unwrap();
        }
        let quant = |&scale| Quant {
            scale,
            zero_point: 0,
        };
        let quants = Quants::new(scales.iter().map(quant).collect());
        let means = vec![vec![]; graph.nodes.len()];
        let network = quantize(graph, quants, &means).unwrap();
        let bytes = write(&network, &about()).unwrap();
        (network, bytes)
    }

    #[test]
    fn factors_follow_the_inputs_that_the_plan_swaps() {
        let add = || Node::Add(Activation::None);
        let layers: [(&str, Node, &[NodeId]); 4] = [
            ("a", conv(3, 1), &[0]),
            ("b", conv(3, 1), &[1]),
            // Only `b` can be written over: `a` is read again.
            ("sum", add(), &[1, 2]),
            ("last", add(), &[3, 1]),
        ];
        let (network, bytes) = file(&layers, &[1.0, 0.5, 0.125, 0.5, 0.5]);
        let QuantizedOp::Add { multipliers, .. } = network.layers[2] else {
            panic!("the third layer is a sum")
        };
        let model = Model::parse(&bytes).unwrap();
        let sum = model.layers().nth(2).unwrap();
        let tensors: Vec<u32> = sum.inputs.iter().map(|i| i.tensor).collect();
        assert_eq!((sum.name, &tensors[..]), ("sum", &[2, 1][..]));
        let Op::Add { multipliers: m, .. } = sum.op else {
            panic!("{:?}", sum.op)
        };
        assert_eq!(multipliers[0], 4 * multipliers[1]);
        assert_eq!(m, [multipliers[1], multipliers[0]]);
    }

    #[test]
    fn depthwise_weights_lie_channel_by_channel() {
        let layers: [(&str, Node, &[NodeId]); 1] = [("depthwise", conv(3, 3), &[0])];
        let (network, bytes) = file(&layers, &[1.0, 0.5]);
        let QuantizedOp::Conv(conv) = &network.layers[0] else {
            panic!("the layer is a convolution")
        };
        let model = Model::parse(&bytes).unwrap();
        let layer = model.layers().next().unwrap();
        let Op::DepthwiseConv { data, .. } = layer.op else {
            panic!("{:?}", layer.op)
        };
        let ConvData::I8 { weights, bias, .. } = data else {
            panic!("{data:?}")
        };
        let written = model.i8s(weights);
        assert_eq!(
            written[..3],
            [conv.weights[0], conv.weights[4], conv.weights[8]]
        );
        assert_eq!(model.i32s(bias), conv.bias);
    }
}
