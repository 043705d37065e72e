//! What `bench` prints of a board in QEMU.

use super::cycles::Kernel;
use crate::output::{Report, Table, Text};
use crate::units;
use converter::jobs::report::LayerReport;
use serde::Serialize;

/// Instructions and memory of one inference. Sizes are bytes.
#[derive(Serialize)]
pub struct QemuReport<'b> {
    pub board: &'b str,
    pub core: &'b str,
    pub model: &'b str,
    pub backend: String,
    /// What counted the instructions.
    pub clock: &'static str,
    pub clock_hz: Option<u64>,
    pub instructions: u64,
    pub macs: u64,
    pub instructions_per_mac: f64,
    pub cycles_estimated: Option<u64>,
    pub flash_bytes: u64,
    pub code_bytes: u64,
    pub model_bytes: u64,
    pub ram_bytes: u64,
    pub arena_bytes: u64,
    /// Vectors that the head computes.
    pub head_bytes: u64,
    pub stack_bytes: u64,
    pub static_bytes: u64,
    pub layers: Vec<CountedLayer<'b>>,
    pub head: Option<CountedHead>,
    #[serde(skip)]
    pub board_title: &'b str,
}

/// A layer that was counted.
#[derive(Serialize)]
pub struct CountedLayer<'b> {
    name: &'b str,
    op: &'static str,
    window: &'b str,
    layout: &'static str,
    macs: u64,
    instructions: u64,
    pub cycles_estimated: Option<u64>,
}

#[derive(Serialize)]
pub struct CountedHead {
    pub instructions: u64,
}

impl<'b> CountedLayer<'b> {
    /// `core`: name of the board's processor core.
    pub fn new(core: &str, layer: &'b LayerReport, instructions: u64) -> Self {
        Self {
            name: &layer.name,
            op: layer.op,
            window: &layer.window,
            layout: layer.layout,
            macs: layer.macs,
            instructions,
            cycles_estimated: Kernel::of(layer.layout).cycles(core, instructions),
        }
    }

    fn cells(&self) -> [String; 6] {
        let per_mac = match self.macs {
            0 => String::new(),
            macs => format!("{:.3}", self.instructions as f64 / macs as f64),
        };
        [
            self.name.into(),
            format!("{} {}", self.op, self.window).trim_end().into(),
            self.layout.into(),
            self.macs.to_string(),
            self.instructions.to_string(),
            per_mac,
        ]
    }
}

impl Report for QemuReport<'_> {
    fn text(&self, out: &mut Text) {
        out.line(format_args!(
            "{} on {} ({})",
            self.model, self.board_title, self.backend
        ));
        let header = [
            "layer",
            "operator",
            "layout",
            "MACs",
            "instructions",
            "per MAC",
        ];
        let mut table = Table::new(header).optional(&[5, 2]).wraps(&[0]);
        self.layers.iter().for_each(|l| table.row(l.cells()));
        if let Some(head) = &self.head {
            let count = head.instructions.to_string();
            table.row(["head", "", "", "", &count, ""].map(String::from));
        }
        out.table(&table);
        out.blank();
        out.pairs(self.rows());
    }
}

impl QemuReport<'_> {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            (
                "instructions",
                format!(
                    "{} of one inference, {:.3} per MAC (counted in QEMU)",
                    self.instructions, self.instructions_per_mac
                ),
            ),
            ("MACs", units::count(self.macs)),
        ];
        rows.extend(self.cycles_estimated.map(|cycles| {
            let cycles = units::count(cycles);
            ("cycles", format!("about {cycles} (estimated)"))
        }));
        let (code, model) = (self.code_bytes, self.model_bytes);
        let (arena, head) = (self.arena_bytes, self.head_bytes);
        let (stack, statics) = (self.stack_bytes, self.static_bytes);
        rows.extend([
            (
                "flash",
                format!("{} bytes: code {code}, model {model}", self.flash_bytes),
            ),
            (
                "RAM",
                format!(
                    "{} bytes: arena {arena}, head {head}, stack {stack}, static variables {statics}",
                    self.ram_bytes
                ),
            ),
        ]);
        rows
    }
}
