//! How fast models run on this computer, and how fast peers run them.
//!
//! All take turns, round by round, so that a busy or slow minute of the machine hits all of them. Compare the ratios
//! of one run; times of different runs or machines differ.
//!
//! - [`own`]: models of ours;
//! - [`peer`]: onnxruntime, OpenVINO and LiteRT, in Python.

pub mod own;
mod peer;

use crate::commands::Opened;
use crate::output::{Report, Table, Text};
use crate::units;
use crate::{cli::Bench, output, progress::Bars};
use anyhow::{Result, bail};
use converter::jobs::report::LayerReport;
use converter::util::progress::Progress;
use edge_runtime::kernels;
use own::Own;
use peer::{Peer, Peers};
use serde::Serialize;
use std::path::Path;

/// How often all take turns.
const ROUNDS: usize = 5;

/// Times all files, and prints.
pub fn run(args: &Bench, json: bool) -> Result<()> {
    let peers = args.peers.as_deref().map(Peers::find).transpose()?;
    // Files of our models live as long as what runs them.
    let ours = args.models.iter().filter(|path| !is_of_a_peer(path));
    let ours = ours
        .map(|path| Ok((path, Opened::open(path)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut all: Vec<Box<dyn Round + '_>> = vec![];
    let each = args
        .models
        .iter()
        .flat_map(|m| args.threads.iter().map(move |t| (m, *t)));
    for (path, threads) in each {
        let threads = threads.into();
        if let Some((_, file)) = ours.iter().find(|(ours, _)| *ours == path) {
            all.push(Box::new(Own::new(
                file.model(path)?,
                args.backend,
                threads,
            )?));
            continue;
        }
        let Some(peers) = &peers else {
            bail!(
                "{}: `bench` times .edge models; convert it, or name a Python with a runtime for it (--peers)",
                path.display()
            );
        };
        for peer in peers.start(path, threads)? {
            all.push(Box::new(peer));
        }
    }
    let bars = Bars::new();
    bars.stage("rounds", ROUNDS * all.len());
    let (runs, mut times) = (usize::from(args.runs), vec![vec![]; all.len()]);
    for _ in 0..ROUNDS {
        for (one, times) in all.iter_mut().zip(&mut times) {
            // One inference to warm the caches, and those that count.
            one.run(1)?;
            times.extend(one.run(runs)?);
            bars.step();
        }
    }
    let mut models: Vec<Timed> = vec![];
    for (one, times) in all.iter().zip(times) {
        let first = models.first().map(|m| m.median_ms);
        let timed = one.describe(args.layers.then_some(runs))?;
        models.push(timed.measured(times, first));
    }
    drop(bars);
    let report = HostReport {
        cpu: cpu(),
        kernels: kernels::native().name(),
        peak_macs_per_s: args
            .layers
            .then(|| kernels::measured_peak(kernels::native()))
            .flatten(),
        rounds: ROUNDS,
        runs,
        models,
    };
    output::print(json, &report);
    Ok(())
}

/// True for files that only other runtimes read as they are.
fn is_of_a_peer(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ["onnx", "tflite"]
        .iter()
        .any(|peers| ending.eq_ignore_ascii_case(peers))
}

/// Something that is timed.
pub trait Round {
    /// Milliseconds of so many inferences.
    fn run(&mut self, count: usize) -> Result<Vec<f64>>;

    /// What it is; with the shortest times of its layers in so many runs, if they are asked for and it can tell.
    fn describe(&self, layers: Option<usize>) -> Result<Timed>;
}

impl Round for Peer {
    fn run(&mut self, count: usize) -> Result<Vec<f64>> {
        Peer::run(self, count)
    }

    fn describe(&self, _: Option<usize>) -> Result<Timed> {
        Ok(Timed {
            model: self.file.clone(),
            backend: self.name.clone(),
            threads: self.threads,
            prepare_ms: self.prepare_ms,
            first_ms: self.first_ms,
            ..Timed::default()
        })
    }
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
    /// Multiplications a second that these reach in registers, if layers are timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_macs_per_s: Option<f64>,
    rounds: usize,
    /// Inferences of each model in each round.
    runs: usize,
    models: Vec<Timed>,
}

/// The times of one model. Of ours, of an inference of the trunk.
#[derive(Default, Serialize)]
pub struct Timed {
    model: String,
    /// None if a peer runs it.
    dtype: Option<&'static str>,
    /// Ours, or the name of the peer and its version.
    backend: String,
    threads: usize,
    macs: Option<u64>,
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

impl Timed {
    /// With the times of its inferences, and the median of the first model.
    fn measured(mut self, mut times: Vec<f64>, first: Option<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let last = times.len().saturating_sub(1) as f64;
        let at = |share: f64| times.get((last * share).round() as usize).copied();
        let [min, median, p95] = [0.0, 0.5, 0.95].map(|share| at(share).unwrap_or_default());
        (self.min_ms, self.median_ms, self.p95_ms) = (min, median, p95);
        self.ratio = median / first.unwrap_or(median);
        self
    }
}

/// One layer's time.
#[derive(Serialize)]
pub struct TimedLayer {
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

    fn cells(&self, peak: Option<f64>) -> [String; 7] {
        let rate = match self.macs {
            0 => None,
            macs => Some(macs as f64 / self.min_ms * 1e3),
        };
        let share = rate.zip(peak).map(|(rate, peak)| rate / peak);
        [
            self.name.clone(),
            format!("{} {}", self.op, self.window).trim_end().into(),
            self.shape.clone(),
            units::count(self.macs),
            format!("{:.3}", self.min_ms),
            rate.map_or(String::new(), |rate| format!("{:.1}", rate / 1e9)),
            share.map_or(String::new(), |share| format!("{:.0}", share * 100.0)),
        ]
    }
}

impl Report for HostReport {
    fn text(&self, out: &mut Text) {
        let cpu = self.cpu.as_deref().unwrap_or("this computer");
        out.line(format_args!(
            "{cpu}, {} kernels for int8; {} rounds of {} inferences, without the head",
            self.kernels, self.rounds, self.runs
        ));
        let header = [
            "model",
            "type",
            "backend",
            "threads",
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
                m.dtype.unwrap_or_default().into(),
                m.backend.clone(),
                m.threads.to_string(),
                ms(m.prepare_ms),
                ms(m.first_ms),
                ms(m.median_ms),
                ms(m.min_ms),
                ms(m.p95_ms),
                ms(m.ratio),
            ]);
        }
        out.table(&table);
        if let Some(peak) = self.peak_macs_per_s {
            out.line(format_args!(
                "peak: {:.0} GMAC/s on one thread, in registers",
                peak / 1e9
            ));
        }
        for m in &self.models {
            let Some(layers) = &m.layers else { continue };
            out.blank();
            out.line(&m.model);
            let header = [
                "layer",
                "operator",
                "output",
                "MACs",
                "min ms",
                "GMAC/s",
                "% of peak",
            ];
            let mut table = Table::new(header).wraps(&[0]);
            // The kernels' instructions run int8 layers only, one thread of them.
            let peak = self.peak_macs_per_s.filter(|_| m.dtype == Some("int8"));
            let peak = peak.map(|peak| peak * m.threads as f64);
            layers.iter().for_each(|layer| table.row(layer.cells(peak)));
            out.table(&table);
        }
    }
}
