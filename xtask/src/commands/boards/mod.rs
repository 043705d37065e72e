//! `boards`: what Graft knows of the boards.

mod details;

use crate::cli::Boards;
use crate::output::{self, Report, Table, Text};
use crate::units;
use anyhow::Result;
use converter::board::schema::{Board, Use};
use converter::board::{all, find};
use details::BoardReport;
use serde::Serialize;

pub fn run(args: &Boards, json: bool) -> Result<()> {
    match &args.board {
        Some(name) => output::print(json, &BoardReport(&find(name)?)),
        None => output::print(json, &BoardsReport { boards: all() }),
    }
    Ok(())
}

#[derive(Serialize)]
struct BoardsReport {
    boards: &'static [Board],
}

impl Report for BoardsReport {
    fn text(&self, out: &mut Text) {
        let header = [
            "name", "board", "cores", "clock", "model", "arena", "stores", "power", "deploy",
        ];
        let mut table = Table::new(header)
            .optional(&[8, 7, 3, 2, 6])
            .wraps(&[1, 2, 8]);
        self.boards.iter().for_each(|board| table.row(cells(board)));
        out.table(&table);
        out.blank();
        out.line("`cargo xtask boards NAME` shows one with its sources.");
        out.line("docs/reference/boards.md says how to describe another.");
    }
}

fn cells(board: &Board) -> [String; 9] {
    let region = |purpose| match (board.region(purpose), &board.linux) {
        (Some(region), _) => units::bytes(region.size),
        (None, Some(linux)) if purpose == Use::Arena => {
            linux.ram.map_or("-".into(), |r| units::bytes(r) + " RAM")
        }
        (None, _) => "-".into(),
    };
    let stores = [Use::Heads, Use::Samples].map(|u| {
        let store = board.store(u);
        store.map_or("-".into(), |s| units::bytes(s.len))
    });
    [
        board.name.clone(),
        board.title.clone(),
        cores(board),
        board.cpu.clock_hz.map_or("-".into(), clock),
        region(Use::Model),
        region(Use::Arena),
        stores.join(" + "),
        board.power.sensor().into(),
        board.deploy.to_string(),
    ]
}

fn cores(board: &Board) -> String {
    match board.cpu.cores {
        Some(n) => format!("{n} x {}", board.cpu.core),
        None => board.cpu.core.clone(),
    }
}

fn clock(hz: u64) -> String {
    units::count(hz) + "Hz"
}
