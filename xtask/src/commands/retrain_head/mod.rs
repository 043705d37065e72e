//! `retrain-head`: new classes for a frozen trunk.

mod report;

use super::{beside, folder, parse, read};
use crate::{cli::RetrainHead, output, progress::Bars};
use anyhow::{Result, bail};
use converter::jobs::evaluate::{EvaluateOptions, evaluate};
use converter::jobs::retrain::retrain;
use edge_runtime::backend::BackendKind;
use edge_runtime::client::judged;
use edge_runtime::head::train::TrainOptions;
use report::RetrainReport;
use std::time::Instant;

pub fn run(args: &RetrainHead, json: bool) -> Result<()> {
    let start = Instant::now();
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    let dataset = folder::open(&args.data)?;
    // Known before minutes of work: whether there is something to measure on, and where to write.
    let val = args.val.as_deref().map(folder::open).transpose()?;
    if let Some(unknown) = val
        .iter()
        .flat_map(|v| &v.classes)
        .find(|c| !dataset.classes.contains(c))
    {
        bail!("--val has a class folder '{unknown}' that --data does not have");
    }
    let out = args
        .output
        .clone()
        .unwrap_or_else(|| beside(&args.model, "retrained"));
    converter::util::output::check(&out, &[&args.model])?;
    let defaults = TrainOptions::default();
    let options = TrainOptions {
        hidden: args.hidden,
        seed: args.seed,
        epochs: args.epochs.unwrap_or(defaults.epochs),
        learning_rate: args.learning_rate.unwrap_or(defaults.learning_rate),
        weight_decay: args.weight_decay.unwrap_or(defaults.weight_decay),
        ..defaults
    };
    let backend = args.backend.unwrap_or(BackendKind::fastest_for(&model));
    let bars = Bars::new();
    let new = retrain(&model, &bytes, backend, &dataset, &options, &bars)?;
    converter::util::output::write(&out, &new.bytes)?;
    let seconds = start.elapsed().as_secs_f64();
    let new_model = parse(&out, &new.bytes)?;
    let warnings = new.warnings();
    let mut report = RetrainReport {
        out: out.display().to_string(),
        classes: dataset.classes.len(),
        labels: &dataset.classes,
        train_images: new.trained_on + new.held_out,
        held_out_images: new.held_out,
        held_out_top1: new.held_out_top1,
        held_out_balanced: judged::balanced(&new.classes),
        by_class: &new.classes,
        lost_classes: &new.lost,
        warnings: &warnings,
        val_images: None,
        val_top1: None,
        hidden: args.hidden,
        epochs: new.best.number,
        seconds,
        training_ram_bytes: new.training_bytes,
        seed: args.seed,
        left_out: dataset.left_out.as_ref(),
        val_left_out: val.as_ref().and_then(|v| v.left_out.as_ref()),
        model: new_model.manifest().name,
        most_epochs: options.epochs,
    };
    if let Some(val) = &val {
        let all = EvaluateOptions::default();
        report.measured(&evaluate(&new_model, backend, val, all, &bars)?);
    }
    drop(bars);
    output::warn(&warnings);
    output::print(json, &report);
    Ok(())
}
