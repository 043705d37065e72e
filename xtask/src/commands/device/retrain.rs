//! `retrain-head`: sends pictures to the device, which computes their features and trains.

use super::samples::store;
use super::{Connection, input::InputRule};
use crate::commands::folder;
use crate::output::{self, Report, Text};
use crate::{cli::device::RetrainHead, progress::Bars, units};
use anyhow::{Result, bail};
use converter::dataset::{Dataset, LeftOut};
use converter::util::progress::Progress as _;
use edge_runtime::client::report::Training;
use edge_runtime::client::{judged, names};
use edge_runtime::device::protocol::{ClassMode, Progress, RetrainOptions};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// What became of the pictures in the device's sample store.
#[derive(Default)]
struct Stored {
    added: usize,
    evicted: usize,
    seconds: f64,
}

/// Opens class folders; an error if the device would refuse one of their names.
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
    output::warn(judged::lost(&lost));
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
    let training = Training::new(&new, lost);
    output::warn(&training.warnings);
    let report = DeviceRetrainReport {
        training,
        left_out: data.and_then(|d| d.left_out.as_ref()),
        stored,
        training_seconds: seconds,
        wanted_commit: !args.no_commit,
    };
    output::print(json, &report);
    Ok(())
}

/// Sends the pictures, in the same order as the host's `retrain-head` uses them.
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

#[derive(Serialize)]
struct DeviceRetrainReport<'d> {
    #[serde(flatten)]
    training: Training,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<&'d LeftOut>,
    #[serde(skip)]
    stored: Stored,
    #[serde(skip)]
    training_seconds: f64,
    #[serde(skip)]
    wanted_commit: bool,
}

impl Report for DeviceRetrainReport<'_> {
    fn text(&self, out: &mut Text) {
        let (new, stored) = (&self.training, &self.stored);
        let percent = |top1: Option<f32>| top1.map(|t| units::percent(t.into()));
        let held_out = match percent(new.held_out_top1) {
            Some(top1) => top1 + &judged::scope(&new.by_class),
            None => "none held out: too few samples a class (8 are needed)".into(),
        };
        let mut rows = vec![
            (
                "samples",
                format!(
                    "{} trained on, {} held out, {} classes",
                    new.samples, new.held_out, new.classes
                ),
            ),
            ("held-out top-1", held_out),
        ];
        if new.held_out > 0 {
            let by_class = judged::by_class(&new.by_class, units::percent);
            rows.push(("by class", by_class));
        }
        if let Some(present) = percent(new.present_top1) {
            rows.push(("the head before", format!("{present} on the same samples")));
        }
        let best = match new.best_epoch {
            0 => "no epoch better than the start".into(),
            best => format!("best epoch {best}"),
        };
        rows.extend([
            ("training RAM", units::bytes(new.training_ram_bytes.into())),
            (
                "time",
                format!(
                    "{:.1} s to send {} pictures and run the trunk, {:.1} s to train, {best}",
                    stored.seconds, stored.added, self.training_seconds
                ),
            ),
        ]);
        if stored.evicted > 0 {
            let evicted = stored.evicted;
            rows.push((
                "store",
                format!("full: {evicted} older samples of the largest classes made room"),
            ));
        }
        rows.extend([("SHA-256", new.head_sha256.clone()), ("head", self.fate())]);
        out.pairs(rows);
    }
}

impl DeviceRetrainReport<'_> {
    /// What becomes of the new head.
    fn fate(&self) -> String {
        match self.training.head_sequence {
            Some(sequence) => format!("committed as head {sequence}"),
            None if !self.wanted_commit => "waits for `commit`".into(),
            None => {
                "not committed: it is worse than the present head; `commit` takes it all the same"
                    .into()
            }
        }
    }
}
