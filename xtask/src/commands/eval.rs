//! `eval`: accuracy on labelled pictures.

use super::{parse, read};
use crate::{cli::Eval, output, progress::Bars, units};
use anyhow::Result;
use converter::dataset::Dataset;
use converter::evaluate::evaluate;
use serde_json::json;

pub fn run(args: &Eval, json: bool) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    let kind = args.backend;
    let dataset = Dataset::open(&args.data)?;
    let result = evaluate(
        &model,
        kind,
        &dataset,
        args.limit.map(|n| n as usize),
        &Bars::new(),
    )?;
    let value = json!({
        "images": result.images,
        "top1": result.top1,
        "top5": result.top5,
        "backend": kind.name(),
    });
    output::print(json, value, || {
        let (top1, top5) = (units::percent(result.top1), units::percent(result.top5));
        format!(
            "{} pictures on {}: top-1 {top1}, top-5 {top5}",
            result.images,
            kind.name()
        )
    });
    Ok(())
}
