//! What would fit instead: networks of the catalog for a board, and boards for a model.
//!
//! Both are judged as a board runs them: packed for its processor. A network's needs are computed from its
//! layers: the arena is the one that converting it to int8 for the board gives, unless a layer's weights keep
//! it from being packed; the length of the file is an upper estimate. Weights play no part, so they are random.

use super::fit::{Needs, OwnHead, Request, judge};
use super::schema::{Board, Use};
use super::sizes;
use crate::graph::ConvWeights;
use crate::graph::{Graph, Op};
use crate::lower::split::Split;
use crate::lower::{is_depthwise, plan, split};
use crate::pack::{self, Lives};
use crate::passes;
use crate::zoo::{self, CatalogEntry, Weights, catalog};
use edge_runtime::head::HeadSize;
use edge_runtime::model::{ChannelRecord, Family, Layout, Shape, align, header};

/// Most networks that are suggested.
const NETWORKS: usize = 3;

/// Most boards that are suggested.
const BOARDS: usize = 4;

/// Networks with more parameters are not built to be judged: that would take long, and what has room for
/// them is no small device.
const MOST_PARAMETERS: u64 = 32_000_000;

/// Bytes of a layer's record in the file, at most in practice: name, shapes, offsets, quantization.
const LAYER_RECORD: usize = 192;

/// Bytes of the manifest, the trunk's record and the head's without its labels, at most in practice.
const RECORDS: usize = 1024;

/// A network of the catalog that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Length of its int8 file, at most.
    pub model_bytes: u64,
    /// Length of its int8 arena, with the scratch of the board's kernels.
    pub arena_bytes: u64,
}

/// The largest networks of the catalog that fit the board as int8, at most three.
pub fn networks(board: &Board, request: &Request) -> Vec<Network> {
    let room = match (board.region(Use::Model), &board.linux) {
        (Some(region), _) => region.size,
        (None, Some(linux)) => linux.ram.unwrap_or(u64::MAX),
        (None, None) => 0,
    };
    let mut entries: Vec<&CatalogEntry> = catalog::all()
        .iter()
        // A parameter takes a byte.
        .filter(|e| e.parameters <= room.min(MOST_PARAMETERS))
        .collect();
    entries.sort_by_key(|e| std::cmp::Reverse(e.parameters));
    let fitting = entries.into_iter().filter_map(|entry| {
        let graph = zoo::build(entry, Weights::Random { seed: 0 }).ok()?;
        let labels = entry.labels().iter().map(|l| l.len() + 1).sum();
        let needs = needs_of(graph, labels, pack::family_of(board))?;
        judge(&needs, board, request).fits().then(|| Network {
            name: entry.name.clone(),
            model_bytes: needs.model_bytes,
            arena_bytes: needs.arena_bytes,
        })
    });
    fitting.take(NETWORKS).collect()
}

/// Names of other boards that the model fits, those of the same kind first, at most four. `needs` says what it
/// needs packed for a family of processors, or not packed; `None` where it cannot be packed.
pub fn boards(
    needs: &dyn Fn(Option<Family>) -> Option<Needs>,
    board: &Board,
    request: &Request,
) -> Vec<String> {
    // Few families, many boards: each is packed for once.
    let mut known: Vec<(Option<Family>, Option<Needs>)> = vec![];
    let mut fitting = |b: &&Board| {
        let family = pack::family_of(b);
        if !known.iter().any(|(f, _)| *f == family) {
            known.push((family, needs(family)));
        }
        let needs = known.iter().find(|(f, _)| *f == family);
        let needs = needs.and_then(|(_, needs)| needs.as_ref());
        let other = b.name != board.name && b.name != "host";
        other && needs.is_some_and(|needs| judge(needs, b, request).fits())
    };
    let mut found: Vec<&Board> = super::all().iter().filter(|b| fitting(b)).collect();
    found.sort_by_key(|b| b.kind != board.kind);
    found.iter().take(BOARDS).map(|b| b.name.clone()).collect()
}

/// What a float graph will need as an int8 model whose labels have so many bytes, packed for a family.
fn needs_of(graph: Graph, label_bytes: usize, family: Option<Family>) -> Option<Needs> {
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
    let (mut bytes, mut operators) = (header::LEN + RECORDS, std::collections::BTreeSet::new());
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

/// Length of the int8 arena with the scratch of a family's kernels.
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

/// The node as a family packs it, if it does.
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
    /// Bytes of its numbers in the file.
    fn numbers(&self) -> usize {
        let weights = self
            .layout
            .weights_len(&self.conv.window, self.input, self.output);
        let records = self.layout.records(self.output) as usize;
        align(weights as usize) + align(records * size_of::<ChannelRecord>())
    }

    fn scratch(&self) -> usize {
        let (window, layout) = (&self.conv.window, self.layout);
        layout.scratch_len(window, self.input, self.output) as usize
    }
}

/// Bytes of an operator's numbers in an int8 file that is not packed, at most.
fn numbers(op: &Op) -> usize {
    match op {
        // Bias, multiplier and shift of each channel besides the weights.
        Op::Conv(c) => align(c.weights.len()) + 3 * align(4 * c.out_channels),
        Op::PRelu(slopes) => 3 * align(4 * slopes.len()),
        // Tables of 256 numbers, and multipliers of a window's areas.
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
    use crate::board::find;

    /// EfficientNet-Lite0's arena, exactly, and its file, closely: what `convert` says, with and without
    /// `--board`.
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

    #[test]
    fn what_would_fit() {
        let request = Request::default();
        let found = networks(&find("qemu-m7").unwrap(), &request);
        assert!(!found.is_empty() && found.len() <= NETWORKS);
        for name in ["nucleo-h743zi2", "qemu-m7"] {
            let board = find(name).unwrap();
            for n in networks(&board, &request) {
                assert!(n.model_bytes <= board.region(Use::Model).unwrap().size);
                assert!(n.arena_bytes <= board.region(Use::Arena).unwrap().size);
            }
        }
        let entry = catalog::find("efficientnet-lite0").unwrap();
        let graph = zoo::build(entry, Weights::Random { seed: 0 }).unwrap();
        let needs = |family| needs_of(graph.clone(), 0, family);
        let found = boards(&needs, &find("nucleo-h743zi2").unwrap(), &request);
        assert_eq!(found, ["qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55"]);
        let found = boards(&needs, &find("raspberry-pi-4").unwrap(), &request);
        assert_eq!(found.len(), BOARDS);
        assert_eq!(found[0], "raspberry-pi-5");
        // What cannot be packed runs where nothing is.
        let unpacked = |family: Option<_>| family.is_none().then(|| needs(None)).flatten();
        let found = boards(&unpacked, &find("raspberry-pi-4").unwrap(), &request);
        assert_eq!(found[1..], ["jetson-nano", "jetson-orin-nano"]);
    }
}
