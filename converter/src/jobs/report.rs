//! What can be said of a model without running it: its layers, and the memory that each of them needs.

use edge_runtime::device::memory;
use edge_runtime::head::HeadSize;
use edge_runtime::model::{ConvData, Layer, Model, Op, Shape};

/// One layer, as `inspect` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// Name in the source network.
    pub name: String,
    /// Operator.
    pub op: &'static str,
    /// Kernel and stride, e.g. `3x3/2`, or empty.
    pub window: String,
    /// Shape of the output.
    pub shape: Shape,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Bytes of weights and other numbers in the file.
    pub weight_bytes: u64,
    /// First byte of the output in the arena.
    pub offset: u32,
    /// Bytes of all tensors that are needed while the layer runs.
    pub live_bytes: u64,
    /// Bytes of scratch that its kernel needs in the arena.
    pub scratch_bytes: u64,
    /// Name of the layout of its packed weights, or empty.
    pub layout: &'static str,
}

/// Describes every layer, in the order of the file.
pub fn layers(model: &Model<'_>) -> Vec<LayerReport> {
    let all: Vec<Layer<'_>> = model.layers().collect();
    let size = model.dtype().size() as u64;
    let mut last_use: Vec<usize> = (0..=all.len()).collect();
    for (i, layer) in all.iter().enumerate() {
        layer
            .inputs
            .iter()
            .for_each(|o| last_use[o.tensor as usize] = i + 1);
    }
    last_use[all.len()] = all.len() + 1;
    let shapes: Vec<Shape> = std::iter::once(model.input().shape)
        .chain(all.iter().map(|l| l.output.shape))
        .collect();
    let live = |step: usize| -> u64 {
        // Step `t` makes tensor `t`. An output that is written over the first input needs no bytes of its
        // own.
        let in_place = all[step - 1].op.in_place()
            && all[step - 1].inputs[0].offset == all[step - 1].output.offset;
        let alive = |t: &usize| *t <= step && last_use[*t] >= step && !(in_place && *t == step);
        (0..shapes.len())
            .filter(alive)
            .map(|t| shapes[t].len() as u64 * size)
            .sum()
    };
    let report = |(i, layer): (usize, &Layer<'_>)| LayerReport {
        name: layer.name.into(),
        op: layer.op.name(),
        window: window(&layer.op),
        shape: layer.output.shape,
        macs: layer.macs(),
        weight_bytes: weight_bytes(&layer.op),
        offset: layer.output.offset,
        live_bytes: live(i + 1),
        scratch_bytes: layer.scratch().map_or(0, |s| s.len as u64),
        layout: match layer.conv_data() {
            Some(ConvData::Packed { layout, .. }) => layout.name(),
            _ => "",
        },
    };
    all.iter().enumerate().map(report).collect()
}

fn window(op: &Op) -> String {
    match op {
        Op::Conv { window, .. }
        | Op::DepthwiseConv { window, .. }
        | Op::MaxPool { window }
        | Op::AvgPool { window, .. } => {
            let [h, w] = window.kernel;
            match window.stride {
                [1, 1] => format!("{h}x{w}"),
                [sh, sw] if sh == sw => format!("{h}x{w}/{sh}"),
                [sh, sw] => format!("{h}x{w}/{sh}x{sw}"),
            }
        }
        _ => String::new(),
    }
}

fn weight_bytes(op: &Op) -> u64 {
    let mut op = op.clone();
    let blobs = op.blobs_mut();
    blobs.iter().map(|b| b.len as u64).sum()
}

/// Bytes that a device needs to train a head of this size: workspace, new layers and labels.
pub fn training_bytes(size: &HeadSize) -> usize {
    memory::training_bytes(size)
}
