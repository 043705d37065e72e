//! How fast models run on this computer.
//!
//! Several models take turns, round by round, so that a busy or slow minute of the machine hits all of them. Compare
//! the ratios of one run; times of different runs or machines differ.

use crate::output::{Report, Table, Text};
use crate::units;
use crate::{cli::Bench, output, progress::Bars};
use anyhow::{Result, bail};
use converter::dataset::{dead_leaves, preprocess};
use converter::jobs::report::{LayerReport, layers};
use converter::util::progress::Progress;
use edge_runtime::backend::{BackendKind, Prepared, Session, Values};
use edge_runtime::kernels;
use edge_runtime::model::{AlignedBytes, DType, Model};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// How often the models take turns.
const ROUNDS: usize = 5;

/// Times all models, and prints.
pub fn run(args: &Bench, files: &[(&PathBuf, AlignedBytes)], json: bool) -> Result<()> {
    let mut subjects = vec![];
    for (path, bytes) in files {
        let model = super::parse(path, bytes)?;
        subjects.push(Subject::new(model, args.backend)?);
    }
    let bars = Bars::new();
    bars.stage("rounds", ROUNDS * subjects.len());
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            subject.round(args.runs.into())?;
            bars.step();
        }
    }
    let mut models = vec![];
    for subject in subjects {
        models.push(subject.finish(args.layers, args.runs.into())?);
    }
    drop(bars);
    let first = models.first().map_or(0.0, |m: &Timed| m.median_ms);
    for timed in &mut models {
        timed.ratio = timed.median_ms / first;
    }
    let report = HostReport {
        cpu: cpu(),
        kernels: kernels::native().name(),
        threads: 1,
        rounds: ROUNDS,
        runs: args.runs.into(),
        models,
    };
    output::print(json, &report);
    Ok(())
}

/// A picture as the input of a model.
enum Input {
    I8(Vec<i8>),
    F32(Vec<f32>),
}

impl Input {
    fn of(model: &Model<'_>) -> Result<Self> {
        let spec = model.manifest().input;
        let picture = dead_leaves::picture(spec.width, spec.height, 0);
        let crop = preprocess::crop(&picture, &spec)?;
        Ok(match model.dtype() {
            DType::I8 => Self::I8(preprocess::to_i8(&crop, &spec, model.input().quant)),
            DType::F32 => Self::F32(preprocess::to_f32(&crop, &spec)),
        })
    }

    fn values(&self) -> Values<'_> {
        match self {
            Self::I8(v) => Values::I8(v),
            Self::F32(v) => Values::F32(v),
        }
    }
}

/// A model that is timed.
struct Subject<'m> {
    model: Model<'m>,
    backend: BackendKind,
    prepared: Arc<dyn Prepared<'m> + 'm>,
    session: Box<dyn Session + 'm>,
    input: Input,
    prepare_ms: f64,
    first_ms: f64,
    times: Vec<f64>,
}

impl<'m> Subject<'m> {
    fn new(model: Model<'m>, backend: Option<BackendKind>) -> Result<Self> {
        let backend = backend.unwrap_or(BackendKind::fastest_for(&model));
        let input = Input::of(&model)?;
        let start = Instant::now();
        let prepared = backend.runtime().prepare(&model)?;
        let mut session = prepared.clone().session()?;
        let prepare_ms = milliseconds(start);
        let start = Instant::now();
        session.run(input.values())?;
        Ok(Self {
            first_ms: milliseconds(start),
            model,
            backend,
            prepared,
            session,
            input,
            prepare_ms,
            times: vec![],
        })
    }

    /// One inference to warm the caches, and `runs` that count.
    fn round(&mut self, runs: usize) -> Result<()> {
        self.session.run(self.input.values())?;
        for _ in 0..runs {
            let start = Instant::now();
            self.session.run(self.input.values())?;
            self.times.push(milliseconds(start));
        }
        Ok(())
    }

    fn finish(mut self, with_layers: bool, runs: usize) -> Result<Timed> {
        let layers = match with_layers {
            true => Some(self.layers(runs)?),
            false => None,
        };
        self.times.sort_by(f64::total_cmp);
        let at = |share: f64| self.times[((self.times.len() - 1) as f64 * share).round() as usize];
        Ok(Timed {
            model: self.model.manifest().name.into(),
            dtype: match self.model.dtype() {
                DType::I8 => "int8",
                DType::F32 => "float32",
            },
            backend: self.backend.name(),
            macs: self.model.manifest().macs,
            prepare_ms: self.prepare_ms,
            first_ms: self.first_ms,
            median_ms: at(0.5),
            min_ms: at(0.0),
            p95_ms: at(0.95),
            ratio: 1.0,
            layers,
        })
    }

    /// The shortest time of each layer.
    fn layers(&self, runs: usize) -> Result<Vec<TimedLayer>> {
        let mut observer = self.prepared.clone().observer()?;
        let layers = layers(&self.model);
        let mut shortest = vec![f64::MAX; layers.len()];
        for _ in 0..runs + 1 {
            let mut last = Instant::now();
            observer.run(self.input.values(), &mut |layer, _| {
                shortest[layer] = shortest[layer].min(milliseconds(last));
                last = Instant::now();
            })?;
        }
        if shortest.contains(&f64::MAX) {
            bail!(
                "the {} backend does not show every layer",
                self.backend.name()
            );
        }
        Ok(layers
            .into_iter()
            .zip(shortest)
            .map(|(layer, ms)| TimedLayer::new(layer, ms))
            .collect())
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The name of the processor, as Linux tells it.
fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

/// What was measured on this computer.
#[derive(Serialize)]
struct HostReport {
    cpu: Option<String>,
    /// The family of kernels that int8 models run on.
    kernels: &'static str,
    threads: usize,
    rounds: usize,
    /// Inferences of each model in each round.
    runs: usize,
    models: Vec<Timed>,
}

/// One model's times, of an inference of the trunk.
#[derive(Serialize)]
struct Timed {
    model: String,
    dtype: &'static str,
    backend: &'static str,
    macs: u64,
    /// From the parsed file to a session: weights are packed here.
    prepare_ms: f64,
    first_ms: f64,
    median_ms: f64,
    min_ms: f64,
    p95_ms: f64,
    /// To the median of the first model.
    ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<TimedLayer>>,
}

/// One layer's time.
#[derive(Serialize)]
struct TimedLayer {
    name: String,
    op: &'static str,
    window: String,
    macs: u64,
    min_ms: f64,
    #[serde(skip)]
    shape: String,
}

impl TimedLayer {
    fn new(layer: LayerReport, min_ms: f64) -> Self {
        let s = layer.shape;
        Self {
            shape: format!("{}x{}x{}", s.h, s.w, s.c),
            name: layer.name,
            op: layer.op,
            window: layer.window,
            macs: layer.macs,
            min_ms,
        }
    }

    fn cells(&self) -> [String; 6] {
        let rate = match self.macs {
            0 => String::new(),
            macs => format!("{:.1}", macs as f64 / self.min_ms / 1e6),
        };
        [
            self.name.clone(),
            format!("{} {}", self.op, self.window).trim_end().into(),
            self.shape.clone(),
            units::count(self.macs),
            format!("{:.3}", self.min_ms),
            rate,
        ]
    }
}

impl Report for HostReport {
    fn text(&self, out: &mut Text) {
        let cpu = self.cpu.as_deref().unwrap_or("this computer");
        out.line(format_args!(
            "{cpu}, one thread, {} kernels for int8; {} rounds of {} inferences, without the head",
            self.kernels, self.rounds, self.runs
        ));
        let header = [
            "model",
            "type",
            "backend",
            "prepare",
            "first",
            "median ms",
            "min",
            "95 %",
            "ratio",
        ];
        let mut table = Table::new(header).wraps(&[0]);
        for m in &self.models {
            let ms = |v: f64| format!("{v:.2}");
            table.row([
                m.model.clone(),
                m.dtype.into(),
                m.backend.into(),
                ms(m.prepare_ms),
                ms(m.first_ms),
                ms(m.median_ms),
                ms(m.min_ms),
                ms(m.p95_ms),
                ms(m.ratio),
            ]);
        }
        out.table(&table);
        for m in &self.models {
            let Some(layers) = &m.layers else { continue };
            out.blank();
            out.line(format_args!("{} ({})", m.model, m.dtype));
            let header = ["layer", "operator", "output", "MACs", "min ms", "GMAC/s"];
            let mut table = Table::new(header).wraps(&[0]);
            layers.iter().for_each(|layer| table.row(layer.cells()));
            out.table(&table);
        }
    }
}
