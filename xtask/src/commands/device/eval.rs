//! `eval`: accuracy on labelled pictures, each inference on the device.

use super::{Connection, head, input::InputRule};
use crate::{cli::device::Eval, output, progress::Bars, units};
use anyhow::{Context, Result, bail};
use converter::dataset::Dataset;
use converter::util::progress::Progress as _;
use edge_runtime::head::Head;
use serde_json::json;
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
    let top1 = right as f64 / images as f64;
    let mean = micros as f64 / 1e3 / images as f64;
    let seconds = start.elapsed().as_secs_f64();
    let value = json!({
        "images": images,
        "right": right,
        "top1": top1,
        "mean_inference_milliseconds": mean,
        "seconds": seconds,
        "left_out": data.left_out,
    });
    output::print(json, value, || {
        format!(
            "{images} pictures: top-1 {}; {mean:.1} ms an inference, {seconds:.1} s in all",
            units::percent(top1)
        )
    });
    Ok(())
}

/// The head's class for each class of the pictures: by name where there are names, else by number.
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
