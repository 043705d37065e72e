//! `add-sample`, `samples`, `clear-samples`.

use super::{Connection, input::InputRule};
use crate::cli::device::{AddSample, ClearSamples};
use crate::output::{self, Report, Table, Text};
use anyhow::{Context, Result};
use edge_runtime::client::names;
use edge_runtime::client::report::SampleCounts;
use edge_runtime::device::samples::Added;
use edge_runtime::head::PoolKind;
use serde::Serialize;
use std::path::Path;

/// Stores a picture as a sample of a class.
pub fn store(
    client: &mut Connection,
    rule: &InputRule,
    picture: &Path,
    class: &str,
    pool: Option<PoolKind>,
) -> Result<Added> {
    rule.send(client, picture)?;
    client
        .add_sample(class, pool)
        .with_context(|| picture.display().to_string())
}

pub fn add(client: &mut Connection, args: &AddSample, json: bool) -> Result<()> {
    names::check(&args.class)?;
    let rule = InputRule::ask(client)?;
    let mut samples = vec![];
    for picture in &args.pictures {
        let added = store(client, &rule, picture, &args.class, args.pool)?;
        samples.push(AddedSample {
            image: picture.display().to_string(),
            id: added.id,
            held_out: added.held_out,
            evicted: added.evicted,
        });
    }
    let report = AddReport {
        class: &args.class,
        added: samples.len(),
        held_out: samples.iter().filter(|s| s.held_out).count(),
        evicted: samples.iter().filter(|s| s.evicted.is_some()).count(),
        samples,
    };
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
struct AddReport<'a> {
    class: &'a str,
    added: usize,
    held_out: usize,
    evicted: usize,
    samples: Vec<AddedSample>,
}

#[derive(Serialize)]
struct AddedSample {
    image: String,
    id: u32,
    held_out: bool,
    /// The sample whose place it took.
    evicted: Option<u32>,
}

impl Report for AddReport<'_> {
    fn text(&self, out: &mut Text) {
        out.line(format_args!(
            "{} samples of '{}' stored, {} of them held out to judge the training; {} older ones made room",
            self.added, self.class, self.held_out, self.evicted
        ));
    }
}

pub fn list(client: &mut Connection, json: bool) -> Result<()> {
    let samples = SampleCounts::from(&client.samples()?[..]);
    output::print(json, &SamplesReport(samples));
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct SamplesReport(SampleCounts);

impl Report for SamplesReport {
    fn text(&self, out: &mut Text) {
        if self.0.classes.is_empty() {
            out.line("no samples; `add-sample` and `retrain-head --data` add some");
            return;
        }
        let mut table = Table::new(["class", "samples", "held out"]).wraps(&[0]);
        for c in &self.0.classes {
            table.row([
                c.class.escape_debug().to_string(),
                c.samples.to_string(),
                c.held_out.to_string(),
            ]);
        }
        out.table(&table);
    }
}

pub fn clear(client: &mut Connection, args: &ClearSamples, json: bool) -> Result<()> {
    let cleared = client.clear_samples(args.class.as_deref())?;
    let class = args.class.as_deref();
    output::print(json, &ClearReport { cleared, class });
    Ok(())
}

#[derive(Serialize)]
struct ClearReport<'a> {
    cleared: u32,
    class: Option<&'a str>,
}

impl Report for ClearReport<'_> {
    fn text(&self, out: &mut Text) {
        out.line(format_args!("{} samples deleted", self.cleared));
    }
}
