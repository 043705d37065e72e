//! What `convert` prints.

use super::WARNING;
use super::check::CheckReport;
use super::prune::PruneReport;
use crate::commands::fit::FitReport;
use crate::output::{Report, Text};
use crate::units;
use converter::jobs::report::layers;
use edge_runtime::model::{Calibration, DType, Model};
use serde::Serialize;

/// A converted model.
#[derive(Serialize)]
pub struct ConvertReport<'c> {
    /// The file that was written.
    pub out: String,
    pub name: &'c str,
    pub bytes: usize,
    pub parameters: u64,
    pub macs: u64,
    pub arena_bytes: usize,
    pub packed_for: Option<&'static str>,
    /// Fraction of the pictures on which int8 and float give the same first class.
    pub agreement: Option<f32>,
    pub agreement_cosine: Option<f32>,
    /// Which pictures these were.
    pub agreement_on: Option<&'static str>,
    pub agreement_images: Option<u32>,
    pub check: Option<CheckReport>,
    pub peak_memory_bytes: Option<u64>,
    pub float_pass_images: Option<usize>,
    pub float_pass_seconds: Option<f64>,
    pub seconds: f64,
    pub random_weights: bool,
    /// Notes and warnings; warnings went to stderr as well.
    pub notes: &'c [String],
    pub fit: Option<FitReport<'c>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruning: Option<&'c PruneReport>,
    #[serde(skip)]
    pub shown: Shown<'c>,
}

/// What only the text shows.
pub struct Shown<'c> {
    pub int8: bool,
    /// What the int8 ranges follow from.
    pub ranges: Option<String>,
    /// How many layers are packed, and how many there are.
    pub packed_layers: (usize, usize),
    /// Which pictures the model was checked on.
    pub checked_on: &'static str,
    pub has_head: bool,
    /// Notes without the warnings.
    pub notes: Vec<&'c str>,
}

impl<'c> Shown<'c> {
    /// `notes` with the warnings among them; `checked_on`: which pictures the model was checked on.
    pub fn new(model: &Model<'_>, notes: &'c [String], checked_on: &'static str) -> Self {
        let layers = layers(model);
        let notes = notes.iter().map(String::as_str);
        Self {
            int8: model.dtype() == DType::I8,
            ranges: ranges(model),
            packed_layers: (
                layers.iter().filter(|l| !l.layout.is_empty()).count(),
                layers.len(),
            ),
            checked_on,
            has_head: model.head().is_some(),
            notes: notes.filter(|n| !n.starts_with(WARNING)).collect(),
        }
    }
}

/// What the int8 ranges follow from; `None` for a float model.
fn ranges(model: &Model<'_>) -> Option<String> {
    let quantization = model.manifest().quantization?;
    let method = quantization.method;
    Some(match quantization.calibration {
        Calibration::DataFree { images } => format!(
            "{method} on {images} generated pictures and batch-norm statistics; `--calib DIR` with pictures like yours does better"
        ),
        Calibration::Pictures { folder, images } => {
            format!("{method} on {images} pictures of {folder}")
        }
        Calibration::Source => "kept from the quantized source".into(),
    })
}

impl Report for ConvertReport<'_> {
    fn text(&self, out: &mut Text) {
        let dtype = if self.shown.int8 { "int8" } else { "float32" };
        let random = if self.random_weights {
            ", RANDOM WEIGHTS"
        } else {
            ""
        };
        out.line(format_args!("{} ({dtype}{random})", self.name));
        out.pairs(self.rows());
        self.shown.notes.iter().for_each(|note| out.note(note));
        self.next(out);
        if let Some(fit) = &self.fit {
            out.blank();
            out.line(format_args!("On {}:", fit.board));
            fit.text(out);
        }
    }
}

impl ConvertReport<'_> {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let arena = units::bytes(self.arena_bytes as u64);
        let before = |value: fn(&PruneReport) -> String| match self.pruning {
            Some(pruning) => format!("; {} before pruning", value(pruning)),
            None => String::new(),
        };
        let parameters = units::count(self.parameters);
        let parameters = parameters + &before(|p| units::count(p.before.parameters));
        let macs = units::count(self.macs) + &before(|p| units::count(p.before.macs));
        let file = units::bytes(self.bytes as u64);
        let file = file + &before(|p| units::bytes(p.before.bytes as u64));
        let arena_before = before(|p| units::bytes(p.before.arena_bytes as u64));
        let arena = format!("{arena} of RAM for all activations{arena_before}");
        let mut rows = vec![
            ("parameters", parameters),
            ("MACs", macs),
            ("file", file),
            ("arena", arena),
        ];
        rows.extend(self.pruning.iter().flat_map(|pruning| pruning.rows()));
        if let Some(family) = self.packed_for {
            let (packed, all) = self.shown.packed_layers;
            let text = format!(
                "for {family}: {packed} of {all} layers; commands on this computer unpack it"
            );
            rows.push(("packed", text));
        }
        rows.extend(self.shown.ranges.iter().map(|r| ("int8 ranges", r.clone())));
        if let Some(check) = &self.check {
            rows.extend(check.rows(self.shown.checked_on));
        }
        if let Some(peak) = self.peak_memory_bytes {
            rows.push((
                "peak memory",
                format!("{} while converting", units::bytes(peak)),
            ));
        }
        let mut time = format!("{:.1} s", self.seconds);
        if let (Some(images), Some(seconds)) = (self.float_pass_images, self.float_pass_seconds) {
            time += &format!("; one float pass over the {images} pictures takes {seconds:.1} s");
        }
        rows.push(("time", time));
        rows.push(("written", self.out.clone()));
        rows
    }

    /// What to do with the model.
    fn next(&self, out: &mut Text) {
        let file = &self.out;
        let mut commands = vec![format!("inspect {file}"), format!("run {file} PICTURE.jpg")];
        if !self.random_weights {
            commands.push(format!("eval {file} DIR_OF_LABELLED_PICTURES"));
        }
        if self.shown.int8 {
            commands.push(format!("verify {file}"));
        }
        if self.shown.int8 && self.shown.has_head {
            commands.push(format!("retrain-head {file} --data DIR_OF_CLASS_FOLDERS"));
        }
        out.next(commands);
    }
}
