//! The layers of a model, and memory over time.

use crate::output::Table;
use crate::units;
use converter::jobs::report;
use edge_runtime::model::Model;
use serde::Serialize;

/// Characters of the longest bar.
const BAR: u64 = 24;

/// All layers, in the order in which they run.
#[derive(Serialize)]
#[serde(transparent)]
pub struct LayersReport(Vec<LayerEntry>);

#[derive(Serialize)]
struct LayerEntry {
    name: String,
    op: &'static str,
    window: String,
    /// Height, width, channels of the output.
    shape: [u32; 3],
    macs: u64,
    weight_bytes: u64,
    /// Of the output in the arena.
    offset: u32,
    /// All tensors that are alive while the layer runs.
    live_bytes: u64,
    /// What its kernel uses besides.
    scratch_bytes: u64,
    /// How its weights are packed, or empty.
    layout: &'static str,
}

impl LayersReport {
    pub fn new(model: &Model<'_>) -> Self {
        let entry = |l: report::LayerReport| LayerEntry {
            name: l.name,
            op: l.op,
            window: l.window,
            shape: [l.shape.h, l.shape.w, l.shape.c],
            macs: l.macs,
            weight_bytes: l.weight_bytes,
            offset: l.offset,
            live_bytes: l.live_bytes,
            scratch_bytes: l.scratch_bytes,
            layout: l.layout,
        };
        Self(report::layers(model).into_iter().map(entry).collect())
    }

    /// Bytes of the tensors that are alive at once, at most.
    pub fn most_live_bytes(&self) -> u64 {
        let live = self.0.iter().map(|l| l.live_bytes);
        live.max().unwrap_or(0)
    }

    /// The same with what the kernels use besides.
    pub fn most_bytes_with_scratch(&self) -> u64 {
        let all = self.0.iter().map(|l| l.live_bytes + l.scratch_bytes);
        all.max().unwrap_or(0)
    }

    /// How many layers are packed, and how many there are.
    pub fn packed(&self) -> (usize, usize) {
        let packed = self.0.iter().filter(|l| !l.layout.is_empty());
        (packed.count(), self.0.len())
    }

    pub fn table(&self) -> Table {
        let header = [
            "#",
            "layer",
            "op",
            "window",
            "output",
            "MACs",
            "weights",
            "offset",
            "live",
            "scratch",
            "layout",
            "memory over time",
        ];
        let mut table = Table::new(header)
            .optional(&[11, 10, 9, 7, 6, 3])
            .wraps(&[1]);
        let most = self.most_live_bytes().max(1);
        for (number, l) in self.0.iter().enumerate() {
            let [h, w, c] = l.shape;
            let unless_zero = |n: u64, show: fn(u64) -> String| match n {
                0 => String::new(),
                n => show(n),
            };
            table.row([
                number.to_string(),
                l.name.clone(),
                l.op.into(),
                l.window.clone(),
                format!("{h}x{w}x{c}"),
                unless_zero(l.macs, units::count),
                unless_zero(l.weight_bytes, units::bytes),
                l.offset.to_string(),
                units::bytes(l.live_bytes),
                unless_zero(l.scratch_bytes, units::bytes),
                l.layout.into(),
                "#".repeat((BAR * l.live_bytes).div_ceil(most) as usize),
            ]);
        }
        table
    }
}
