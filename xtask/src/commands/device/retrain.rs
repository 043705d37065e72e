//! `retrain-head`: pictures to the device, features and training there.

use super::samples::store;
use super::{Connection, input::InputRule};
use crate::commands::folder;
use crate::{cli::device::RetrainHead, output, progress::Bars, units};
use anyhow::{Result, bail};
use converter::dataset::Dataset;
use converter::util::progress::Progress as _;
use edge_runtime::client;
use edge_runtime::client::report::Training;
use edge_runtime::client::{judged, names};
use edge_runtime::device::protocol::{ClassMode, Progress, RetrainOptions};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// What the store did with the pictures.
#[derive(Default)]
struct Stored {
    added: usize,
    evicted: usize,
    seconds: f64,
}

/// Class folders whose names a device takes.
pub fn open(dir: &Path) -> Result<Dataset> {
    let dataset = folder::open(dir)?;
    if dataset.classes.is_empty() {
        bail!(
            "{}: training needs class folders (DIR/daisy/*.jpg, DIR/rose/*.jpg, ...)",
            dir.display()
        );
    }
    dataset
        .classes
        .iter()
        .try_for_each(|name| names::check(name))?;
    names::check_distinct(&dataset.classes)?;
    Ok(dataset)
}

pub fn run(
    client: &mut Connection,
    args: &RetrainHead,
    data: Option<&Dataset>,
    json: bool,
) -> Result<()> {
    if client.model(|m| m.random_weights)? {
        bail!("the weights of the device's model are random; a head on it would learn nothing");
    }
    let defaults = RetrainOptions::default();
    let options = RetrainOptions {
        classes: match (args.keep_classes, args.drop_classes || args.clear) {
            (true, _) => ClassMode::Add,
            (false, true) => ClassMode::Replace,
            (false, false) => ClassMode::Keep,
        },
        pool: args.pool,
        hidden: args.hidden,
        epochs: args.epochs.unwrap_or(defaults.epochs),
        learning_rate: args.learning_rate.unwrap_or(defaults.learning_rate),
        seed: args.seed,
        commit: !args.no_commit,
        force: args.force,
        ..defaults
    };
    let new = data.map_or(&[][..], |d| &d.classes);
    let lost = client.check_training(new, args.clear, &options)?;
    output::warn(&judged::lost(&lost));
    let bars = Bars::new();
    let stored = match data {
        Some(data) => send(client, args, data, &bars)?,
        None => Stored::default(),
    };
    bars.stage("training", options.epochs as usize + 1);
    let start = Instant::now();
    let new = client.train(options, &mut |progress| {
        if let Progress::Epoch { .. } = progress {
            bars.step();
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    drop(bars);
    let report = Training::new(&new, lost);
    output::warn(&report.warnings);
    let mut value = json!(report);
    if let Some(left_out) = data.and_then(|d| d.left_out.as_ref()) {
        value["left_out"] = json!(left_out);
    }
    output::print(json, value, || text(&new, args, &stored, seconds));
    Ok(())
}

/// Sends the pictures, in the order in which the host's `retrain-head` takes them.
fn send(
    client: &mut Connection,
    args: &RetrainHead,
    data: &Dataset,
    bars: &Bars,
) -> Result<Stored> {
    let start = Instant::now();
    let rule = InputRule::ask(client)?;
    if args.clear {
        client.clear_samples(None)?;
    }
    bars.stage("sending pictures", data.items.len());
    let mut stored = Stored::default();
    for item in &data.items {
        let class = item.class.and_then(|c| data.classes.get(c));
        let Some(class) = class else { continue };
        let added = store(client, &rule, &item.path, class, args.pool)?;
        stored.added += 1;
        stored.evicted += usize::from(added.evicted.is_some());
        bars.step();
    }
    stored.seconds = start.elapsed().as_secs_f64();
    Ok(stored)
}

fn text(new: &client::Training, args: &RetrainHead, stored: &Stored, seconds: f64) -> String {
    let (new, classes) = (&new.retrained, &new.classes);
    let percent = |top1: Option<f32>| top1.map(|t| units::percent(t.into()));
    let fate = match (new.committed, args.no_commit) {
        (Some(sequence), _) => format!("committed as head {sequence}"),
        (None, true) => "waits for `commit`".into(),
        (None, false) => {
            "not committed: it is worse than the present head; `commit` takes it all the same"
                .into()
        }
    };
    let mut rows = vec![
        (
            "samples",
            format!(
                "{} trained on, {} held out, {} classes",
                new.samples, new.held_out, new.classes
            ),
        ),
        (
            "held-out top-1",
            percent(new.held_out_top1)
                .map(|top1| top1 + &judged::scope(classes))
                .unwrap_or_else(|| "none held out: too few samples a class (8 are needed)".into()),
        ),
    ];
    if new.held_out > 0 {
        rows.push(("by class", judged::by_class(classes, units::percent)));
    }
    if let Some(present) = percent(new.present_top1) {
        rows.push(("the head before", format!("{present} on the same samples")));
    }
    rows.push(("training RAM", units::bytes(new.training_bytes.into())));
    rows.push((
        "time",
        format!(
            "{:.1} s to send {} pictures and run the trunk, {seconds:.1} s to train, {}",
            stored.seconds,
            stored.added,
            match new.epoch {
                0 => "no epoch better than the start".into(),
                best => format!("best epoch {best}"),
            }
        ),
    ));
    if stored.evicted > 0 {
        rows.push((
            "store",
            format!(
                "full: {} older samples of the largest classes made room",
                stored.evicted
            ),
        ));
    }
    rows.push(("SHA-256", units::hex(&new.sha256)));
    rows.push(("head", fate));
    output::pairs(&rows)
}
