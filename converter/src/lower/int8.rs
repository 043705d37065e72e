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
        writer.layer(&Layer {
            name: lowering.name(id),
            op: layer_op(&mut writer, op, depthwise, lowering.is_swapped(id)),
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
    writer.output(&lowering.output(about.function), about.check.as_ref());
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
    let labels = head::fitting(labels, lowering);
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
