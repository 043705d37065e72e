//! `inspect`: what is in a model.
//!
//! - [`report`]: the model as a whole;
//! - [`layers`]: its layers, and memory over time;
//! - [`head`]: its head.

mod head;
mod layers;
mod report;

use super::{parse, read, read_as_is};
use crate::{cli::Inspect, output};
use anyhow::Result;
use converter::board::{self, Board};
use converter::pack;
use edge_runtime::model::{AlignedBytes, DType};
use report::InspectReport;
use std::path::Path;

pub fn run(args: &Inspect, json: bool) -> Result<()> {
    let board = args.board.as_deref().map(board::find).transpose()?;
    let bytes = match &board {
        None => read_as_is(&args.model)?,
        Some(board) => for_board(&args.model, board)?,
    };
    let model = parse(&args.model, &bytes)?;
    let report = InspectReport::new(&model, bytes.len(), board.as_ref());
    output::print(json, &report);
    Ok(())
}

/// The model as `convert --board` packs it; as it is for a board without packed kernels, and if float.
fn for_board(path: &Path, board: &Board) -> Result<AlignedBytes> {
    let bytes = read(path)?;
    let model = parse(path, &bytes)?;
    match board::family(board) {
        Some(family) if model.dtype() == DType::I8 => Ok(pack::pack(&model, family)?),
        _ => Ok(bytes),
    }
}
