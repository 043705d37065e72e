//! The model as a whole: manifest, totals, and the parts.

use super::head::HeadReport;
use super::layers::LayersReport;
use crate::commands::convert::check::CheckReport;
use crate::output::{Report, Text};
use crate::units;
use converter::board::Board;
use edge_runtime::model::{
    Calibration, DType, InputSpec, Manifest, Model, Output, OutputFunction, Pruning, Quantization,
    WeightsOrigin,
};
use serde::Serialize;

/// What `inspect` prints.
#[derive(Serialize)]
pub struct InspectReport<'m> {
    name: &'m str,
    source: &'m str,
    license: &'m str,
    converter: &'m str,
    weights: String,
    dtype: &'static str,
    input: Input,
    quantization: Option<Ranges<'m>>,
    /// What it was before channels were removed; `None` if none were.
    pruning: Option<PrunedFrom>,
    output: OutputRule,
    check: Option<CheckReport>,
    parameters: u64,
    macs: u64,
    bytes: usize,
    arena_bytes: usize,
    /// Bytes of the tensors that are alive at once, at most.
    arena_lower_bound_bytes: u64,
    /// The same with what kernels use besides.
    peak_with_scratch_bytes: u64,
    board: Option<&'m str>,
    packed_for: Option<&'static str>,
    trunk_sha256: String,
    layers: LayersReport,
    head: Option<HeadReport<'m>>,
    /// Why the model is not packed for the board that was asked for.
    #[serde(skip)]
    not_packed: Option<String>,
}

#[derive(Serialize)]
struct Input {
    height: u32,
    width: u32,
    channels: u32,
    mean: [f32; 3],
    std: [f32; 3],
    scale: f32,
    zero_point: i8,
    #[serde(skip)]
    spec: InputSpec,
}

/// What a pruned network was before.
#[derive(Serialize)]
struct PrunedFrom {
    parameters: u64,
    macs: u64,
    /// What its weights were repaired on.
    pictures: String,
}

impl From<&Pruning<'_>> for PrunedFrom {
    fn from(pruning: &Pruning<'_>) -> Self {
        Self {
            parameters: pruning.parameters,
            macs: pruning.macs,
            pictures: calibration(&pruning.pictures),
        }
    }
}

impl PrunedFrom {
    /// `macs`: what is left of the operations.
    fn text(&self, macs: u64) -> String {
        let less = 1.0 - macs as f64 / self.macs.max(1) as f64;
        format!(
            "on {}: {} fewer MACs; before {} parameters, {} MACs",
            self.pictures,
            units::percent(less),
            units::count(self.parameters),
            units::count(self.macs)
        )
    }
}

/// Where the int8 ranges come from.
#[derive(Serialize)]
struct Ranges<'m> {
    method: &'m str,
    calibration: String,
    /// int8 against float, as measured when the model was converted.
    agreement: Option<Agreement>,
}

#[derive(Serialize)]
struct Agreement {
    images: u32,
    top1: f32,
    cosine: f32,
}

/// What the network's last numbers mean.
#[derive(Serialize)]
struct OutputRule {
    activation: &'static str,
    clamp: Option<[f32; 2]>,
    #[serde(skip)]
    rule: Output,
}

impl<'m> InspectReport<'m> {
    /// `bytes`: length of the file.
    pub fn new(model: &Model<'m>, bytes: usize, board: Option<&'m Board>) -> Self {
        let manifest = model.manifest();
        let layers = LayersReport::new(model);
        let packing = model.packing();
        let not_packed = board.filter(|_| packing.is_none());
        Self {
            name: manifest.name,
            source: manifest.source,
            license: manifest.license,
            converter: manifest.converter,
            weights: weights(manifest),
            dtype: match model.dtype() {
                DType::I8 => "int8",
                _ => "float32",
            },
            input: Input::new(model),
            quantization: manifest.quantization.as_ref().map(Ranges::from),
            pruning: model.pruning().as_ref().map(PrunedFrom::from),
            output: OutputRule::from(model.output_rule()),
            check: model.self_check().as_ref().map(CheckReport::from),
            parameters: manifest.parameters,
            macs: manifest.macs,
            bytes,
            arena_bytes: model.arena_bytes(),
            arena_lower_bound_bytes: layers.most_live_bytes(),
            peak_with_scratch_bytes: layers.most_bytes_with_scratch(),
            board: board.map(|b| b.name.as_str()),
            packed_for: packing.map(|p| p.family.name()),
            trunk_sha256: units::hex(model.trunk_sha256()),
            layers,
            head: model.head().map(HeadReport::from),
            not_packed: not_packed.map(|board| why_not_packed(model, board)),
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let license = match self.license {
            "" => "not stated",
            license => license,
        };
        let mut rows = vec![
            ("name", format!("{} ({})", self.name, self.dtype)),
            ("source", self.source.into()),
            ("weights", self.weights.clone()),
            ("license", license.into()),
            ("converter", self.converter.into()),
            ("input", self.input.text()),
        ];
        rows.extend(self.quantization.iter().flat_map(Ranges::rows));
        rows.extend(self.pruning.iter().map(|p| ("pruned", p.text(self.macs))));
        if self.output.rule != Output::SOFTMAX {
            rows.push(("output", self.output.text()));
        }
        rows.extend(self.check.iter().map(|c| ("self-check", c.verdict_text())));
        rows.extend([
            ("parameters", units::count(self.parameters)),
            ("MACs", units::count(self.macs)),
            ("file", units::bytes(self.bytes as u64)),
            ("arena", self.arena()),
        ]);
        rows.extend(self.packed().map(|text| ("packed", text)));
        rows.push(("trunk", self.trunk_sha256.clone()));
        rows
    }

    fn arena(&self) -> String {
        let least = self.arena_lower_bound_bytes;
        let over = 100.0 * (self.arena_bytes as f64 / least.max(1) as f64 - 1.0);
        let [arena, least] = [self.arena_bytes as u64, least].map(units::bytes);
        format!("{arena} (live tensors need {least}: {over:.1} % over)")
    }

    fn packed(&self) -> Option<String> {
        let Some(family) = self.packed_for else {
            return self.not_packed.clone();
        };
        let (packed, all) = self.layers.packed();
        let most = units::bytes(self.peak_with_scratch_bytes);
        Some(format!(
            "for {family}: {packed} of {all} layers; with the kernels' scratch the largest layer needs {most}"
        ))
    }
}

impl Report for InspectReport<'_> {
    fn text(&self, out: &mut Text) {
        out.pairs(self.rows());
        out.blank();
        out.table(&self.layers.table());
        if let Some(head) = &self.head {
            out.blank();
            out.pairs(head.rows());
        }
    }
}

impl Input {
    fn new(model: &Model<'_>) -> Self {
        let (spec, quant) = (model.manifest().input, model.input().quant);
        Self {
            height: spec.height,
            width: spec.width,
            channels: spec.channels(),
            mean: spec.mean,
            std: spec.std,
            scale: quant.scale,
            zero_point: quant.zero_point,
            spec,
        }
    }

    fn text(&self) -> String {
        let s = &self.spec;
        format!(
            "{}x{}x{} {:?}, {:?} {:?}, mean {:?}, std {:?}",
            self.height, self.width, self.channels, s.order, s.resize, s.filter, s.mean, s.std
        )
    }
}

impl<'m> From<&Quantization<'m>> for Ranges<'m> {
    fn from(quantization: &Quantization<'m>) -> Self {
        Self {
            method: quantization.method,
            calibration: calibration(&quantization.calibration),
            agreement: quantization.agreement.map(|a| Agreement {
                images: a.images,
                top1: a.top1,
                cosine: a.cosine,
            }),
        }
    }
}

impl Ranges<'_> {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let ranges = format!("{} on {}", self.method, self.calibration);
        let agreement = self.agreement.as_ref().map(|a| {
            let top1 = units::percent(a.top1.into());
            format!(
                "same first class on {top1} of {} pictures, cosine {:.4}",
                a.images, a.cosine
            )
        });
        let mut rows = vec![("ranges", ranges)];
        rows.extend(agreement.map(|text| ("int8 vs float", text)));
        rows
    }
}

impl From<Output> for OutputRule {
    fn from(rule: Output) -> Self {
        Self {
            activation: rule.function.name(),
            clamp: rule.clamp(),
            rule,
        }
    }
}

impl OutputRule {
    fn text(&self) -> String {
        let clamp = match self.clamp {
            Some([low, high]) => format!("cut to {low} to {high}, then "),
            None => String::new(),
        };
        let function = match self.rule.function {
            OutputFunction::Softmax => "softmax: one class of all",
            OutputFunction::Sigmoid => "sigmoid: every label by itself",
            OutputFunction::None => "shown as it is: the numbers are no logits of classes",
        };
        format!("{clamp}{function}")
    }
}

fn why_not_packed(model: &Model<'_>, board: &Board) -> String {
    let name = &board.name;
    match board.linux {
        Some(_) => format!("no: {name} runs the file as it is"),
        None if model.dtype() == DType::F32 => format!(
            "no: {name} runs int8 models, and this one is float; the figures are of this file, convert it with --int8"
        ),
        None => format!(
            "no: there are no kernels for the processor of {name}, it runs the file as it is"
        ),
    }
}

fn weights(manifest: &Manifest<'_>) -> String {
    match manifest.weights {
        WeightsOrigin::Pretrained { sha256 } => {
            format!("pretrained, SHA-256 {}", units::hex(&sha256))
        }
        WeightsOrigin::Random { seed } => {
            format!("RANDOM (seed {seed}): for latency and memory only")
        }
    }
}

fn calibration(c: &Calibration<'_>) -> String {
    match c {
        Calibration::Pictures { folder, images } => format!("{images} pictures of {folder}"),
        Calibration::DataFree { images } => {
            format!("{images} generated pictures and batch-norm statistics")
        }
        Calibration::Source => "nothing: the source was quantized, its ranges are kept".into(),
    }
}
