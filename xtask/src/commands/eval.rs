//! `eval`: accuracy on labelled pictures.

use super::{folder, parse, read};
use crate::{cli::Eval, output, progress::Bars, units};
use anyhow::Result;
use converter::jobs::evaluate::{EvaluateOptions, evaluate};
use serde_json::json;

pub fn run(args: &Eval, json: bool) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    let kind = args.backend;
    let dataset = folder::open(&args.data)?;
    let result = evaluate(
        &model,
        kind,
        &dataset,
        EvaluateOptions {
            limit: args.limit.map(|n| n as usize),
            class_offset: args.class_offset.map(|n| n as usize),
        },
        &Bars::new(),
    )?;
    let value = json!({
        "images": result.images,
        "top1": result.top1,
        "top5": result.top5,
        "class_offset": result.class_offset,
        "folders_by_order": result.folders_by_order,
        "backend": kind.name(),
        "left_out": dataset.left_out,
    });
    output::print(json, value, || {
        let (top1, top5) = (units::percent(result.top1), units::percent(result.top5));
        let offset = match result.class_offset {
            0 => String::new(),
            n => format!(
                "\n  note: class i of the pictures is taken as class i + {n} of the model (--class-offset)"
            ),
        };
        let order = match result.folders_by_order {
            true => {
                "\n  note: the folders do not have the names of the model's classes; in alphabetical order they were taken as its classes"
            }
            false => "",
        };
        format!(
            "{} pictures on {}: top-1 {top1}, top-5 {top5}{offset}{order}",
            result.images,
            kind.name()
        )
    });
    Ok(())
}
