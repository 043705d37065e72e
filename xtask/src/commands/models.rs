//! `models`: the catalog.

use crate::{output, units};
use anyhow::Result;
use converter::zoo::{cache, catalog};
use serde_json::{Value, json};

pub fn run(json: bool) -> Result<()> {
    let header = [
        "name",
        "task",
        "input",
        "parameters",
        "MACs",
        "published top-1",
        "license",
        "weights from",
        "cached",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    let mut values: Vec<Value> = vec![];
    for entry in catalog::all() {
        let cached = cache::is_cached(entry);
        let input = format!(
            "{}x{}x{}",
            entry.input.height,
            entry.input.width,
            entry.input.channels()
        );
        let sources: Vec<String> = entry.sources.iter().map(ToString::to_string).collect();
        rows.push(vec![
            entry.name.clone(),
            entry.task.clone(),
            input,
            units::count(entry.parameters),
            units::count(entry.macs),
            entry
                .published
                .as_ref()
                .map_or("not published".into(), |p| format!("{:.1} %", p.top1)),
            entry.license.clone(),
            sources.join(", "),
            if cached { "yes" } else { "no" }.into(),
        ]);
        values.push(json!({
            "name": entry.name, "task": entry.task, "definition": entry.definition,
            "input": [entry.input.height, entry.input.width, entry.input.channels()],
            "parameters": entry.parameters, "macs": entry.macs,
            "published_top1": entry.published.as_ref().map(|p| p.top1),
            "published_by": entry.published.as_ref().map(|p| &p.by),
            "license": entry.license, "sources": sources, "cached": cached,
        }));
    }
    output::print(json, json!({ "models": values }), || output::table(&rows));
    Ok(())
}
