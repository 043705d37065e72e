//! `retrain-head`: pictures to samples, and a head trained on all samples.

use super::infer::{input_rule, send_picture};
use crate::cli::RetrainHead;
use crate::device::Job;
use crate::error::Error;
use crate::output::{Output, kib, pairs, percent, warn};
use crate::progress::Steps;
use edge_runtime::client;
use edge_runtime::client::judged;
use edge_runtime::client::report::Training;
use edge_runtime::client::{Client, Pipe};
use edge_runtime::device::protocol::{ClassMode, RetrainOptions};
use edge_runtime::head::PoolKind;
use edge_runtime::picture::{Dataset, LeftOut};
use serde::Serialize;
use std::path::Path;

impl Job for &RetrainHead {
    fn run<P: Pipe>(self, client: &mut Client<P>, output: Output) -> Result<(), Error> {
        if self.no_commit && self.target.connect.is_none() {
            return Err(Error::NoWaitingHead);
        }
        // Whatever is wrong with the folder is known before anything is deleted.
        let dataset = self.data.as_deref().map(labelled).transpose()?;
        let defaults = RetrainOptions::default();
        let options = RetrainOptions {
            classes: match (self.keep_classes, self.drop_classes || self.clear) {
                (true, _) => ClassMode::Add,
                (false, true) => ClassMode::Replace,
                (false, false) => ClassMode::Keep,
            },
            pool: self.pool,
            hidden: self.hidden,
            epochs: self.epochs.unwrap_or(defaults.epochs),
            learning_rate: self.learning_rate.unwrap_or(defaults.learning_rate),
            seed: self.seed,
            commit: !self.no_commit,
            force: self.force,
            ..defaults
        };
        let new = dataset.as_ref().map_or(&[][..], |d| &d.classes);
        let lost = client.check_training(new, self.clear, &options)?;
        warn(&judged::lost(&lost));
        if self.clear {
            client.clear_samples(None)?;
        }
        if let Some(dataset) = &dataset {
            add(client, dataset, self.pool)?;
        }
        let mut steps = Steps::new();
        let trained = client.train(options, &mut |progress| steps.training(progress))?;
        drop(steps);
        let report = Training::new(&trained, lost);
        warn(&report.warnings);
        let result = Trained {
            training: report,
            left_out: dataset.and_then(|d| d.left_out),
        };
        output.print(&result, || self.text(&trained))
    }
}

/// The result, and what of the folder was not trained on.
#[derive(Serialize)]
struct Trained {
    #[serde(flatten)]
    training: Training,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOut>,
}

impl RetrainHead {
    fn text(&self, training: &client::Training) -> String {
        let trained = &training.retrained;
        let top1 = |top1: Option<f32>| top1.map_or("not known".into(), percent);
        let committed = match trained.committed {
            Some(sequence) => format!("as number {sequence}"),
            None if self.no_commit => "no; `edge commit` does it".into(),
            None => "no: worse than the head before; --force commits it all the same".into(),
        };
        let by_class = match trained.held_out {
            0 => "not known".into(),
            _ => judged::by_class(&training.classes, |p| percent(p as f32)),
        };
        pairs(&[
            ("classes", trained.classes.to_string()),
            ("samples", trained.samples.to_string()),
            ("held out", trained.held_out.to_string()),
            (
                "held-out top-1",
                top1(trained.held_out_top1) + &judged::scope(&training.classes),
            ),
            ("by class", by_class),
            ("head before", top1(trained.present_top1)),
            ("committed", committed),
            ("sha256", hex::encode(trained.sha256)),
            ("training memory", kib(trained.training_bytes)),
        ])
    }
}

/// Makes pictures samples.
fn add<P: Pipe>(
    client: &mut Client<P>,
    dataset: &Dataset,
    pool: Option<PoolKind>,
) -> Result<(), Error> {
    let rule = input_rule(client)?;
    let (mut steps, of) = (Steps::new(), dataset.items.len());
    for (i, item) in dataset.items.iter().enumerate() {
        let class = item.class.and_then(|c| dataset.classes.get(c));
        send_picture(client, &item.path, &rule)?;
        client.add_sample(class.map_or("", String::as_str), pool)?;
        let what = format_args!("features of picture {} of {of}", i + 1);
        steps.step(i + 1 == of, what);
    }
    Ok(())
}

fn labelled(dir: &Path) -> Result<Dataset, Error> {
    let dataset = Dataset::open(dir)?;
    if dataset.classes.is_empty() {
        return Err(Error::NoClasses(dir.into()));
    }
    if let Some(left_out) = &dataset.left_out {
        eprintln!("note: {left_out}");
    }
    Ok(dataset)
}
