//! `eval`: accuracy on labelled pictures.

use super::{Opened, folder};
use crate::output::{self, Report, Text};
use crate::{cli::Eval, progress::Bars, units};
use anyhow::Result;
use converter::dataset::LeftOut;
use converter::jobs::evaluate::{EvaluateOptions, evaluate};
use edge_runtime::backend::BackendKind;
use serde::Serialize;

pub fn run(args: &Eval, json: bool) -> Result<()> {
    let file = Opened::open(&args.model)?;
    let model = file.model(&args.model)?;
    let kind = args.backend.unwrap_or(BackendKind::fastest_for(&model));
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
    output::print(
        json,
        &EvalReport {
            images: result.images,
            top1: result.top1,
            top5: result.top5,
            class_offset: result.class_offset,
            folders_by_order: result.folders_by_order,
            backend: kind.name(),
            left_out: dataset.left_out.as_ref(),
        },
    );
    Ok(())
}

#[derive(Serialize)]
struct EvalReport<'d> {
    images: usize,
    /// Fraction of the pictures whose class comes first.
    top1: f64,
    /// Fraction of the pictures whose class is among the first five.
    top5: f64,
    class_offset: usize,
    /// The folders were taken as the model's classes in alphabetical order.
    folders_by_order: bool,
    backend: &'static str,
    left_out: Option<&'d LeftOut>,
}

impl Report for EvalReport<'_> {
    fn text(&self, out: &mut Text) {
        let [top1, top5] = [self.top1, self.top5].map(units::percent);
        let (images, backend) = (self.images, self.backend);
        out.line(format_args!(
            "{images} pictures on {backend}: top-1 {top1}, top-5 {top5}"
        ));
        if self.class_offset > 0 {
            out.note(format_args!(
                "class i of the pictures is taken as class i + {} of the model (--class-offset)",
                self.class_offset
            ));
        }
        if self.folders_by_order {
            out.note("the folders do not have the names of the model's classes; in alphabetical order they were taken as its classes");
        }
    }
}
