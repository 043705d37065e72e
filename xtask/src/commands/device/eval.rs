//! `eval`: accuracy on labelled pictures, each inference on the device.

use super::{Connection, head, input::InputRule};
use crate::output::{self, Report, Text};
use crate::{cli::device::Eval, progress::Bars, units};
use anyhow::{Context, Result, bail};
use converter::dataset::{Dataset, LeftOut};
use converter::util::progress::Progress as _;
use edge_runtime::head::Head;
use serde::Serialize;
use std::time::Instant;

pub fn run(client: &mut Connection, args: &Eval, data: Dataset, json: bool) -> Result<()> {
    if client.model(|m| m.random_weights)? {
        bail!("the weights of the device's model are random; it has no accuracy to measure");
    }
    let data = data.subset(args.limit.map_or(usize::MAX, |n| n as usize));
    let classes = classes(client, &data)?;
    let rule = InputRule::ask(client)?;
    let start = Instant::now();
    let bars = Bars::new();
    bars.stage("evaluating", data.items.len());
    let (mut right, mut micros) = (0usize, 0u64);
    for item in &data.items {
        let class = item.class.and_then(|c| classes.get(c));
        let class = class.with_context(|| {
            format!(
                "{}: its class is none of the device's head",
                item.path.display()
            )
        })?;
        rule.send(client, &item.path)?;
        let (time, top) = client.infer(1)?;
        right += usize::from(top.first().is_some_and(|t| t.class as usize == *class));
        micros += time;
        bars.step();
    }
    drop(bars);
    let images = data.items.len();
    let report = DeviceEvalReport {
        images,
        right,
        top1: right as f64 / images as f64,
        mean_inference_milliseconds: micros as f64 / 1e3 / images as f64,
        seconds: start.elapsed().as_secs_f64(),
        left_out: data.left_out.as_ref(),
    };
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
struct DeviceEvalReport<'d> {
    images: usize,
    /// Pictures whose class came first.
    right: usize,
    top1: f64,
    mean_inference_milliseconds: f64,
    /// With the time to send the pictures.
    seconds: f64,
    left_out: Option<&'d LeftOut>,
}

impl Report for DeviceEvalReport<'_> {
    fn text(&self, out: &mut Text) {
        out.line(format_args!(
            "{} pictures: top-1 {}; {:.1} ms an inference, {:.1} s in all",
            self.images,
            units::percent(self.top1),
            self.mean_inference_milliseconds,
            self.seconds
        ));
    }
}

/// The head's class for each class of the pictures: by name if both have names, else by number.
fn classes(client: &mut Connection, data: &Dataset) -> Result<Vec<usize>> {
    let bytes = head::fetch(client)?;
    let head = Head::parse_alone(&bytes)?;
    let labels: Vec<&str> = head.record().labels.lines().collect();
    if data.classes.is_empty() || labels.is_empty() {
        return Ok((0..head.classes()).collect());
    }
    let place = |name: &String| {
        let found = labels.iter().position(|l| l == name);
        found.with_context(|| {
            format!(
                "class folder '{name}' is not a class of the device's head; retrain it on these folders or rename them"
            )
        })
    };
    data.classes.iter().map(place).collect()
}
