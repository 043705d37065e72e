//! `retrain-head`: new classes for a frozen trunk.

use super::{beside, folder, parse, read};
use crate::{cli::RetrainHead, output, progress::Bars, units};
use anyhow::{Result, bail};
use converter::jobs::evaluate::{EvaluateOptions, evaluate};
use converter::jobs::retrain::retrain;
use edge_runtime::client::judged;
use edge_runtime::head::train::TrainOptions;
use serde_json::json;
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
    let bars = Bars::new();
    let new = retrain(&model, &bytes, args.backend, &dataset, &options, &bars)?;
    converter::util::output::write(&out, &new.bytes)?;
    let seconds = start.elapsed().as_secs_f64();
    let new_model = parse(&out, &new.bytes)?;
    let val_left_out = val.as_ref().and_then(|v| v.left_out.clone());
    let measured = val
        .map(|v| {
            evaluate(
                &new_model,
                args.backend,
                &v,
                EvaluateOptions::default(),
                &bars,
            )
        })
        .transpose()?;
    drop(bars);
    let warnings = new.warnings();
    output::warn(&warnings);

    let value = json!({
        "out": out.display().to_string(),
        "classes": dataset.classes.len(),
        "labels": dataset.classes,
        "train_images": new.trained_on + new.held_out,
        "held_out_images": new.held_out,
        "held_out_top1": new.held_out_top1,
        "held_out_balanced": judged::balanced(&new.classes),
        "by_class": new.classes,
        "lost_classes": new.lost,
        "warnings": warnings,
        "val_images": measured.map(|m| m.images),
        "val_top1": measured.map(|m| m.top1),
        "hidden": args.hidden,
        "epochs": new.best.number,
        "seconds": seconds,
        "training_ram_bytes": new.training_bytes,
        "seed": args.seed,
        "left_out": dataset.left_out,
        "val_left_out": val_left_out,
    });
    output::print(json, value, || {
        let held_out = match new.held_out_top1 {
            Some(top1) => units::percent(top1 as f64) + &judged::scope(&new.classes),
            None => "none held out: too few pictures a class (8 are needed)".into(),
        };
        let mut rows = vec![
            (
                "classes",
                format!("{} ({})", dataset.classes.len(), dataset.classes.join(", ")),
            ),
            ("hidden layer", hidden_layer(args.hidden)),
            (
                "pictures",
                format!(
                    "{} trained on, {} held out to stop in time",
                    new.trained_on, new.held_out
                ),
            ),
            (
                "best epoch",
                match new.best.number {
                    0 => format!(
                        "none of at most {} was better than the start, the means of the classes",
                        options.epochs
                    ),
                    best => format!("{best} of at most {}", options.epochs),
                },
            ),
            ("held-out top-1", held_out),
        ];
        if new.held_out > 0 {
            rows.push(("by class", judged::by_class(&new.classes, units::percent)));
        }
        if let Some(m) = measured {
            rows.push((
                "val top-1",
                format!(
                    "{} of {} pictures of --val",
                    units::percent(m.top1),
                    m.images
                ),
            ));
        }
        rows.push((
            "training memory",
            format!(
                "{} on a device, besides the stored features",
                units::bytes(new.training_bytes as u64)
            ),
        ));
        rows.push(("time", format!("{seconds:.1} s")));
        rows.push(("written", out.display().to_string()));
        format!(
            "New head for {}\n{}",
            new_model.manifest().name,
            output::pairs(&rows)
        )
    });
    Ok(())
}

fn hidden_layer(units: u16) -> String {
    match units {
        0 => "none".into(),
        units => format!("{units} units"),
    }
}
