//! Writes a float model.

use super::{About, LowerError, Lowering, depthwise_layout, head, is_depthwise};
use crate::graph::split::split;
use crate::graph::{Graph, Op as Node};
use edge_runtime::head::file::{NewData, NewHead, Pool};
use edge_runtime::model::write::Writer;
use edge_runtime::model::{
    AlignedBytes, Blob, ConvData, DType, Layer, MapFunction, Op, Quant, Trunk,
};

/// The `.edge` file of a simplified graph in float.
///
/// # Errors
/// If the network does not fit the format.
pub fn write(graph: &Graph, about: &About<'_>) -> Result<AlignedBytes, LowerError> {
    let lowering = Lowering::new(graph, split(graph), DType::F32.size())?;
    let mut writer = Writer::default();
    for &id in &lowering.split.layers {
        let node = &graph.nodes[id];
        let inputs = lowering.inputs(id)?;
        let op = layer_op(
            &mut writer,
            &node.op,
            graph.nodes[inputs[0]].shape.c,
            inputs.len(),
        );
        writer.layer(&Layer {
            name: lowering.name(id),
            op,
            inputs: inputs
                .iter()
                .map(|&i| lowering.operand(i, Quant::NONE))
                .collect(),
            output: lowering.operand(id, Quant::NONE),
        });
    }
    let trunk = Trunk {
        dtype: DType::F32,
        input: lowering.operand(0, Quant::NONE),
        arena_bytes: lowering.plan.arena_bytes as u32,
        layers: 0,
        packing: None,
    };
    let pooled = lowering.split.head.is_some_and(|h| h.pool.is_some());
    let pool = if pooled {
        Pool::Avg {
            multiplier: 0,
            shift: 1,
        }
    } else {
        Pool::Flatten
    };
    let labels = head::matching_labels(about.labels, &lowering);
    let head =
        head::record(&lowering, pool, Quant::NONE, Quant::NONE, labels).map(|(record, dense)| {
            NewHead {
                trunk_sha256: [0; 32],
                record,
                data: NewData::F32 {
                    weights: &dense.weights,
                    bias: &dense.bias,
                },
            }
        });
    writer.output(
        &lowering.output(about.function),
        about.check.as_ref(),
        about.pruning.as_ref(),
    );
    Ok(writer.finish(&about.manifest, trunk, head)?)
}

fn layer_op(writer: &mut Writer, op: &Node, in_channels: u32, inputs: usize) -> Op {
    match op {
        Node::Conv(conv) if is_depthwise(op, in_channels) => Op::DepthwiseConv {
            window: conv.window,
            data: ConvData::F32 {
                weights: writer.blob(&depthwise_layout(&conv.weights, conv.out_channels)),
                bias: writer.blob(&conv.bias),
                activation: conv.activation,
            },
        },
        Node::Conv(conv) => Op::Conv {
            window: conv.window,
            groups: conv.groups as u32,
            data: ConvData::F32 {
                weights: writer.blob(&conv.weights),
                bias: writer.blob(&conv.bias),
                activation: conv.activation,
            },
        },
        Node::Activation(activation) => Op::Map {
            function: MapFunction::Activation(*activation),
        },
        Node::MaxPool(window) => Op::MaxPool { window: *window },
        Node::AvgPool {
            window,
            count_padding,
        } => Op::AvgPool {
            window: *window,
            count_padding: *count_padding,
            multipliers: Blob { offset: 0, len: 0 },
            shift: 1,
        },
        Node::Add(activation) => Op::Add {
            multipliers: [0; 2],
            shift: 1,
            clamp: [i8::MIN, i8::MAX],
            activation: *activation,
        },
        Node::Concat => Op::Concat {
            rescale: core::iter::repeat_n(edge_runtime::model::Rescale::ONE, inputs).collect(),
        },
        Node::Slice { start, step, .. } => Op::Slice {
            start: *start,
            step: *step,
        },
        Node::Pad { before, after } => Op::Pad {
            before: *before,
            after: *after,
        },
        Node::Mul => Op::Mul {
            multiplier: 0,
            shift: 1,
        },
        Node::PRelu(slopes) => Op::PRelu {
            slopes: writer.blob(slopes),
            positive: 0,
            shift: 1,
        },
        Node::LocalResponseNorm(norm) => Op::LocalResponseNorm {
            size: norm.size,
            float: [norm.alpha, norm.beta, norm.bias],
            table: Blob { offset: 0, len: 0 },
            index_shift: 8,
            shift: 1,
        },
        Node::Shuffle { groups } => Op::Shuffle { groups: *groups },
        Node::Input | Node::BatchNorm(_) => {
            unreachable!("{} is not a layer of a simplified graph", op.name())
        }
    }
}
