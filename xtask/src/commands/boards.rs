//! `boards`: what Graft knows of the boards.

use crate::{cli::Boards, output, units};
use anyhow::Result;
use converter::board::schema::{Board, FactsFrom, Use};
use converter::board::{all, find};
use serde_json::json;

pub fn run(args: &Boards, json: bool) -> Result<()> {
    if let Some(name) = &args.board {
        let board = find(name)?;
        output::print(json, serde_json::to_value(&board)?, || details(&board));
        return Ok(());
    }
    output::print(json, json!({ "boards": all() }), table);
    Ok(())
}

fn table() -> String {
    let header = [
        "name", "board", "cores", "clock", "model", "arena", "stores", "power", "deploy",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    for board in all() {
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
        rows.push(vec![
            board.name.clone(),
            board.title.clone(),
            cores(board),
            board.cpu.clock_hz.map_or("-".into(), clock),
            region(Use::Model),
            region(Use::Arena),
            stores.join(" + "),
            board.power.sensor().into(),
            board.deploy.to_string(),
        ]);
    }
    output::table(&rows)
        + "\n"
        + "`cargo xtask boards NAME` shows one with its sources; docs/boards.md says how to describe another.\n"
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

fn details(board: &Board) -> String {
    let mut rows = vec![("board", format!("{} ({})", board.title, board.name))];
    let mut cpu = cores(board);
    if let Some(hz) = board.cpu.clock_hz {
        cpu += &format!(", {}", clock(hz));
    }
    if !board.cpu.features.is_empty() {
        cpu += &format!(", {}", board.cpu.features.join(", "));
    }
    rows.push(("cpu", cpu));
    if let Some(target) = &board.cpu.target {
        rows.push(("target", target.clone()));
    }
    for a in &board.accelerators {
        rows.push(("accelerator", format!("{} ({})", a.name, a.apis.join(", "))));
    }
    let note = board
        .power
        .note()
        .map_or(String::new(), |n| format!(": {n}"));
    rows.push(("power sensor", board.power.sensor().to_string() + &note));
    rows.push(("deploy", board.deploy.to_string()));
    if let Some(linux) = &board.linux {
        if let Some(ram) = linux.ram {
            let of = format!(
                "{}, {} of it left to the system",
                units::bytes(ram),
                units::bytes(linux.reserved)
            );
            rows.push(("RAM", of));
        }
        rows.push((
            "head slots",
            format!("file of {}", units::bytes(linux.heads)),
        ));
        rows.push((
            "sample store",
            format!("file of {}", units::bytes(linux.samples)),
        ));
    }
    if !board.unsupported_operators.is_empty() {
        rows.push(("lacks operators", board.unsupported_operators.join(", ")));
    }
    let facts = match board.facts_from {
        FactsFrom::Documents => "documents; not measured on the board",
        FactsFrom::Emulator => "the emulator's source",
        FactsFrom::Measurement => "the board itself",
        FactsFrom::Nowhere => "nowhere: the machine is not known",
    };
    rows.push(("facts from", facts.into()));
    rows.extend(board.sources.iter().map(|s| ("", s.clone())));
    let mut out = output::pairs(&rows);
    if board.linux.is_none() {
        out += "\n";
        out += &output::table(&map(board));
    }
    out
}

/// Memories with their regions, by address.
fn map(board: &Board) -> Vec<Vec<String>> {
    let header = ["memory", "use", "base", "size", "erase", "write"];
    let mut rows = vec![header.map(String::from).to_vec()];
    let mut memories: Vec<_> = board.memories.iter().collect();
    memories.sort_by_key(|m| m.base);
    for memory in memories {
        let unit = |n: Option<u64>| n.map_or(String::new(), units::bytes);
        rows.push(vec![
            memory.name.clone(),
            String::new(),
            format!("{:#010x}", memory.base),
            units::bytes(memory.size),
            unit(memory.erase),
            unit(memory.write),
        ]);
        let mut regions: Vec<_> = board
            .regions
            .iter()
            .filter(|r| r.memory == memory.name)
            .collect();
        regions.sort_by_key(|r| r.base);
        for region in regions {
            rows.push(vec![
                String::new(),
                region.purpose.name().into(),
                format!("{:#010x}", region.base),
                units::bytes(region.size),
                String::new(),
                String::new(),
            ]);
        }
    }
    rows
}
