//! `models`: the catalog.

use crate::{output, units};
use anyhow::Result;
use converter::zoo::{Source, cache, catalog};
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
    for entry in catalog::load()? {
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
            "license": entry.license, "sources": entry.sources.iter().map(source).collect::<Vec<_>>(), "cached": cached,
        }));
    }
    output::print(json, json!({ "models": values }), || output::table(&rows));
    Ok(())
}

fn source(source: &Source) -> Value {
    let mut value = match source {
        Source::PyPi(p) => json!({
            "kind": "pypi", "package": p.package, "version": p.version, "member": p.member,
        }),
        Source::Https(h) => json!({
            "kind": "https", "url": h.url.to_string(), "host": h.url.host(),
        }),
    };
    value["file"] = source.file_name().into();
    // As many of the 64 digits as are known.
    value["sha256"] = source.pin().to_string().into();
    value["size"] = source.size().into();
    value
}
