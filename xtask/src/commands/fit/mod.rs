//! `fit`: whether a model fits a board, and what to change if not.

mod report;

use super::{parse, read};
use crate::{cli, output};
use anyhow::{Result, bail};
use converter::board::{self, Fit, Request};
pub use report::FitReport;
use report::ModelOnBoard;

pub fn run(args: &cli::Fit, json: bool) -> Result<()> {
    let board = board::find(&args.board)?;
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    let request = Request {
        classes: args.classes as usize,
        hidden: args.hidden.into(),
        samples: args.samples,
    };
    let fit = board::fit(&model, bytes.len(), &board, &request)?;
    let report = ModelOnBoard {
        model: model.manifest().name,
        fit: FitReport::new(&fit),
        board: &board,
    };
    output::print(json, &report);
    verdict(&fit)
}

/// An error if the model does not fit; the report has said why.
pub fn verdict(fit: &Fit) -> Result<()> {
    if !fit.fits() {
        bail!(
            "the model does not fit {}: {}",
            fit.board,
            fit.misfits().join(", ")
        );
    }
    Ok(())
}

/// An error of one line, with numbers, if the model does not fit.
pub fn require(fit: &Fit) -> Result<()> {
    let lines = fit.lines.iter().filter(|l| !l.fits);
    let misfits: Vec<String> = lines
        .map(|l| match (l.needs, l.has, l.item.unit()) {
            (Some(needs), Some(has), Some(unit)) => {
                format!("{} needs {needs} {unit} and there are {has}", l.item.name())
            }
            _ => l.item.name().into(),
        })
        .collect();
    if misfits.is_empty() {
        return Ok(());
    }
    bail!(
        "the model does not fit {}: {}; `cargo xtask fit` says what to change",
        fit.board,
        misfits.join(", ")
    )
}
