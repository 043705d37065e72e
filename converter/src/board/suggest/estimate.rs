//! What a network needs as an int8 model, estimated from its layers: weights play no part.
//!
//! The arena is exact, unless a layer's weights keep it from being packed. The length of the file is an upper bound.

use crate::board::Needs;
use crate::board::needs::OwnHead;
use crate::board::sizes;
use crate::graph::split::{self, Split};
use crate::graph::{ConvWeights, Graph, Op};
use crate::lower::{is_depthwise, plan};
use crate::pack::{self, Lives};
use crate::passes;
use edge_runtime::head::HeadSize;
use edge_runtime::model::{ChannelRecord, Family, Layout, Shape, align, header};
use std::collections::BTreeSet;

/// Upper bound in practice for the bytes of a layer's record in the file: name, shapes, offsets, quantization.
const LAYER_RECORD: usize = 192;

/// Upper bound in practice for the bytes of the manifest, the trunk's record and the head's, without the labels.
const RECORDS: usize = 1024;

/// What a float graph needs as an int8 model, packed for a family. `label_bytes` is the length of its labels. `None` if
/// the graph has no layer.
pub fn needs_of(graph: Graph, label_bytes: usize, family: Option<Family>) -> Option<Needs> {
    let graph = passes::simplify(graph);
    let split = split::split(&graph);
    if split.layers.is_empty() {
        return None;
    }
    let layers = split.layers.iter().map(|&id| {
        let (node, inputs) = (&graph.nodes[id], &graph.nodes[id].inputs);
        let depthwise = inputs
            .first()
            .is_some_and(|&i| is_depthwise(&node.op, graph.nodes[i].shape.c));
        let packed = packed(&graph, id, family).map_or(0, |p| p.numbers());
        (
            LAYER_RECORD + numbers(&node.op).max(packed),
            operator(&node.op, depthwise),
        )
    });
    let (mut bytes, mut operators) = (header::LEN + RECORDS, BTreeSet::new());
    for (len, name) in layers {
        bytes += len;
        operators.insert(name);
    }
    let dense = split.head.map(|h| &graph.nodes[h.dense].op);
    let mut features = graph.nodes[split.output()].shape.c as usize;
    let mut head = None;
    if let Some(op @ Op::Conv(conv)) = dense {
        let classes = conv.out_channels;
        features = conv.weights.len() / classes.max(1);
        head = Some(OwnHead {
            classes,
            bytes: sizes::head_len(&HeadSize::linear(features, classes)),
        });
        bytes += numbers(op) + label_bytes;
    }
    Some(Needs {
        int8: true,
        model_bytes: bytes as u64,
        arena_bytes: arena(&graph, &split, family) as u64,
        features,
        head,
        operators,
    })
}

/// Length of the int8 arena in bytes, with the scratch of a family's kernels.
fn arena(graph: &Graph, split: &Split, family: Option<Family>) -> usize {
    let plan = plan::plan(graph, split, 1);
    let nodes = std::iter::once(0).chain(split.layers.iter().copied());
    let lens = nodes.map(|id| graph.nodes[id].shape.len());
    let reads = split.layers.iter().map(|&id| {
        let inputs = graph.nodes[id].inputs.iter();
        inputs.map(|i| split.tensor_of(*i)).collect()
    });
    let lives = Lives::new(plan.offsets.iter().copied().zip(lens), reads);
    let ends = split.layers.iter().enumerate().map(|(layer, &id)| {
        let scratch = packed(graph, id, family).map_or(0, |p| p.scratch());
        match scratch {
            0 => 0,
            len => lives.gap(layer, len) + len,
        }
    });
    align(ends.max().unwrap_or(0).max(plan.arena_bytes))
}

/// A convolution in a family's layout.
struct Packed<'g> {
    layout: Layout,
    conv: &'g ConvWeights,
    input: Shape,
    output: Shape,
}

/// A node as a family packs it; `None` if the family does not pack it.
fn packed(graph: &Graph, id: usize, family: Option<Family>) -> Option<Packed<'_>> {
    let node = &graph.nodes[id];
    let (Op::Conv(conv), Some(&input)) = (&node.op, node.inputs.first()) else {
        return None;
    };
    let input = graph.nodes[input].shape;
    let depthwise = is_depthwise(&node.op, input.c);
    let layout = pack::layout_of(family?, depthwise);
    let holds = layout.holds(&conv.window, conv.groups as u32, depthwise);
    holds.then_some(Packed {
        layout,
        conv,
        input,
        output: node.shape,
    })
}

impl Packed<'_> {
    /// Bytes of its weights and numbers in the file.
    fn numbers(&self) -> usize {
        let weights = self
            .layout
            .weights_len(&self.conv.window, self.input, self.output);
        let records = self.layout.records(self.output) as usize;
        align(weights as usize) + align(records * size_of::<ChannelRecord>())
    }

    /// Bytes of scratch that its kernel needs.
    fn scratch(&self) -> usize {
        let (window, layout) = (&self.conv.window, self.layout);
        layout.scratch_len(window, self.input, self.output) as usize
    }
}

/// Upper bound for the bytes of an operator's weights and numbers in an int8 file that is not packed.
fn numbers(op: &Op) -> usize {
    match op {
        // The weights, and bias, multiplier and shift of each channel.
        Op::Conv(c) => align(c.weights.len()) + 3 * align(4 * c.out_channels),
        Op::PRelu(slopes) => 3 * align(4 * slopes.len()),
        // Tables of 256 numbers, or the multipliers for the areas of a window.
        _ => 2048,
    }
}

/// The name of the operator that a node becomes.
fn operator(op: &Op, depthwise: bool) -> &'static str {
    match op {
        Op::Conv(_) if depthwise => "depthwise-conv",
        Op::Conv(_) => "conv",
        Op::MaxPool(_) => "max-pool",
        Op::AvgPool { .. } => "avg-pool",
        Op::Add(_) => "add",
        Op::Concat => "concat",
        Op::Slice { .. } => "slice",
        Op::Pad { .. } => "pad",
        Op::Mul => "mul",
        Op::PRelu(_) => "prelu",
        Op::LocalResponseNorm(_) => "local-response-norm",
        Op::Shuffle { .. } => "shuffle",
        _ => "map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{self, Weights, catalog};

    /// Compares with what `convert` writes for EfficientNet-Lite0, with and without `--board`: the arena is exact, the
    /// length of the file is at most 2.5 % more.
    #[test]
    fn needs_without_weights() {
        let entry = catalog::find("efficientnet-lite0").unwrap();
        let graph = zoo::build(entry, Weights::Random { seed: 0 }).unwrap();
        let labels = entry.labels().iter().map(|l| l.len() + 1).sum();
        let needs = |family| needs_of(graph.clone(), labels, family).unwrap();
        for (family, arena, file) in [
            (None, 1_505_280, 4_821_632),
            (Some(Family::Dsp), 1_511_664, 4_924_384),
            (Some(Family::Mve), 1_538_128, 4_947_920),
        ] {
            let needs = needs(family);
            assert_eq!(needs.arena_bytes, arena, "{family:?}");
            let estimate = file..file + file / 40;
            assert!(
                estimate.contains(&needs.model_bytes),
                "{family:?}: {needs:?}"
            );
        }
        let needs = needs(None);
        assert_eq!((needs.features, needs.head.unwrap().classes), (1280, 1000));
        assert_eq!(
            needs.operators.into_iter().collect::<Vec<_>>(),
            ["add", "conv", "depthwise-conv"]
        );
    }
}
