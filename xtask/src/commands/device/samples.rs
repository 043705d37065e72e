//! `add-sample`, `samples`, `clear-samples`.

use super::{Connection, input::InputRule};
use crate::cli::device::{AddSample, ClearSamples};
use crate::output;
use anyhow::{Context, Result};
use edge_runtime::client::names;
use edge_runtime::client::report::SampleCounts;
use edge_runtime::device::samples::Added;
use edge_runtime::head::PoolKind;
use serde_json::json;
use std::path::Path;

/// Makes a picture a sample.
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
    let mut all = vec![];
    for picture in &args.pictures {
        all.push(store(client, &rule, picture, &args.class, args.pool)?);
    }
    let held_out = all.iter().filter(|a| a.held_out).count();
    let evicted = all.iter().filter(|a| a.evicted.is_some()).count();
    let samples = args.pictures.iter().zip(&all).map(|(picture, a)| {
        json!({
            "image": picture.display().to_string(), "id": a.id,
            "held_out": a.held_out, "evicted": a.evicted,
        })
    });
    let value = json!({
        "class": args.class,
        "added": all.len(),
        "held_out": held_out,
        "evicted": evicted,
        "samples": samples.collect::<Vec<_>>(),
    });
    output::print(json, value, || {
        format!(
            "{} samples of '{}' stored, {held_out} of them held out to judge the training; {evicted} older ones made room",
            all.len(),
            args.class
        )
    });
    Ok(())
}

pub fn list(client: &mut Connection, json: bool) -> Result<()> {
    let samples = SampleCounts::from(&client.samples()?[..]);
    output::report(json, &samples, || {
        if samples.classes.is_empty() {
            return "no samples; `add-sample` and `retrain-head --data` add some".into();
        }
        let mut rows = vec![["class", "samples", "held out"].map(String::from).to_vec()];
        rows.extend(samples.classes.iter().map(|c| {
            vec![
                c.class.escape_debug().to_string(),
                c.samples.to_string(),
                c.held_out.to_string(),
            ]
        }));
        output::table(&rows)
    });
    Ok(())
}

pub fn clear(client: &mut Connection, args: &ClearSamples, json: bool) -> Result<()> {
    let samples = client.clear_samples(args.class.as_deref())?;
    let value = json!({"cleared": samples, "class": args.class});
    output::print(json, value, || format!("{samples} samples deleted"));
    Ok(())
}
