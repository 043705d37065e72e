//! `run`: what is on these pictures.

use super::Opened;
use crate::output::{self, Report, Text};
use crate::{cli::Run, units};
use anyhow::Result;
use converter::dataset::load;
use converter::jobs::runner::{Runner, classes, output_function};
use edge_runtime::backend::BackendKind;
use edge_runtime::model::{Output, OutputFunction, WeightsOrigin};
use serde::Serialize;
use std::time::Instant;

pub fn run(args: &Run, json: bool) -> Result<()> {
    let file = Opened::open(&args.model)?;
    let model = file.model(&args.model)?;
    let kind = args.backend.unwrap_or(BackendKind::fastest_for(&model));
    classes(&model)?;
    let label = |class: usize| match model.head().and_then(|h| h.label(class)) {
        Some(label) => label.to_string(),
        None => format!("class {class}"),
    };
    // Decode everything before the first inference: a broken picture is known at once.
    let spec = model.manifest().input;
    let crops = args
        .images
        .iter()
        .map(|path| load(path, &spec))
        .collect::<Result<Vec<_>, _>>()?;
    let output = Output::new(output_function(&model), None);
    let numbers_only = output.function == OutputFunction::None;
    let mut runner = Runner::new(&model, kind)?;
    if let Some(crop) = crops.first() {
        // The first inference pays for caches and page faults; it is not timed.
        runner.logits(crop)?;
    }
    let mut results = vec![];
    for (path, crop) in args.images.iter().zip(&crops) {
        let start = Instant::now();
        let logits = runner.logits(crop)?;
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let mut probabilities = logits.clone();
        output.probabilities(&mut probabilities);
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        order.truncate(args.top as usize);
        let top = order.iter().map(|&class| LikelyClass {
            class,
            label: label(class),
            probability: (!numbers_only).then_some(probabilities[class]),
            logit: logits[class],
        });
        results.push(Classified {
            image: path.display().to_string(),
            milliseconds,
            top: top.collect(),
            logits: args.logits.then_some(logits),
        });
    }
    let report = RunReport {
        backend: kind.name(),
        threads: 1,
        random_weights: matches!(model.manifest().weights, WeightsOrigin::Random { .. }),
        activation: output.function.name(),
        results,
    };
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
struct RunReport {
    backend: &'static str,
    threads: usize,
    random_weights: bool,
    activation: &'static str,
    results: Vec<Classified>,
}

/// What is on one picture.
#[derive(Serialize)]
struct Classified {
    image: String,
    milliseconds: f64,
    /// The likeliest classes, the likeliest first.
    top: Vec<LikelyClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logits: Option<Vec<f32>>,
}

#[derive(Serialize)]
struct LikelyClass {
    class: usize,
    label: String,
    /// `None` if the network's numbers are no logits of classes.
    probability: Option<f32>,
    logit: f32,
}

impl Report for RunReport {
    fn text(&self, out: &mut Text) {
        for result in &self.results {
            let Classified {
                image,
                milliseconds,
                ..
            } = result;
            out.line(format_args!(
                "{image}  ({milliseconds:.1} ms on {}, 1 thread)",
                self.backend
            ));
            for LikelyClass {
                label,
                probability,
                logit,
                ..
            } in &result.top
            {
                let shown = match probability {
                    Some(probability) => units::percent((*probability).into()),
                    None => format!("{logit:.4}"),
                };
                out.line(format_args!("  {shown:>7}  {label}"));
            }
        }
        if self.random_weights {
            out.line("note: the weights of this model are random; the classes mean nothing");
        }
    }
}
