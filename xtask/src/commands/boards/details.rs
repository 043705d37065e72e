//! One board: its processor, its memories and where each fact comes from.

use super::{clock, cores};
use crate::output::{Report, Table, Text};
use crate::units;
use converter::board::schema::{Board, FactsFrom, Linux};
use serde::Serialize;

/// What `boards NAME` prints: the board's file, as JSON or as text.
#[derive(Serialize)]
#[serde(transparent)]
pub struct BoardReport<'b>(pub &'b Board);

impl Report for BoardReport<'_> {
    fn text(&self, out: &mut Text) {
        let board = self.0;
        let mut rows = vec![
            ("board", format!("{} ({})", board.title, board.name)),
            ("cpu", cpu(board)),
        ];
        rows.extend(board.cpu.target.iter().map(|t| ("target", t.clone())));
        rows.extend(board.accelerators.iter().map(|a| {
            let apis = a.apis.join(", ");
            ("accelerator", format!("{} ({apis})", a.name))
        }));
        let note = board.power.note();
        let note = note.map_or(String::new(), |n| format!(": {n}"));
        rows.push(("power sensor", board.power.sensor().to_string() + &note));
        rows.push(("deploy", board.deploy.to_string()));
        rows.extend(board.linux.iter().flat_map(linux));
        if !board.unsupported_operators.is_empty() {
            rows.push(("lacks operators", board.unsupported_operators.join(", ")));
        }
        rows.push(("facts from", facts_from(board.facts_from).into()));
        rows.extend(board.sources.iter().map(|s| ("", s.clone())));
        out.pairs(rows);
        if board.linux.is_none() {
            out.blank();
            out.table(&memory_map(board));
        }
    }
}

fn cpu(board: &Board) -> String {
    let mut cpu = cores(board);
    if let Some(hz) = board.cpu.clock_hz {
        cpu += &format!(", {}", clock(hz));
    }
    if !board.cpu.features.is_empty() {
        cpu += &format!(", {}", board.cpu.features.join(", "));
    }
    cpu
}

fn linux(linux: &Linux) -> Vec<(&'static str, String)> {
    let bytes = units::bytes;
    let ram = linux.ram.map(|ram| {
        let system = bytes(linux.reserved);
        (
            "RAM",
            format!("{}, {system} of it for the system", bytes(ram)),
        )
    });
    let files = [
        ("head slots", format!("file of {}", bytes(linux.heads))),
        ("sample store", format!("file of {}", bytes(linux.samples))),
    ];
    ram.into_iter().chain(files).collect()
}

fn facts_from(source: FactsFrom) -> &'static str {
    match source {
        FactsFrom::Documents => "documents; not measured on the board",
        FactsFrom::Emulator => "the emulator's source",
        FactsFrom::Measurement => "the board itself",
        FactsFrom::Nowhere => "nowhere: the machine is not known",
    }
}

/// Memories with their regions, by address.
fn memory_map(board: &Board) -> Table {
    let mut table = Table::new(["memory", "use", "base", "size", "erase", "write"]);
    let address = |base: u64| format!("{base:#010x}");
    let unit = |n: Option<u64>| n.map_or(String::new(), units::bytes);
    let mut memories: Vec<_> = board.memories.iter().collect();
    memories.sort_by_key(|m| m.base);
    for memory in memories {
        table.row([
            memory.name.clone(),
            String::new(),
            address(memory.base),
            units::bytes(memory.size),
            unit(memory.erase),
            unit(memory.write),
        ]);
        let regions = board.regions.iter();
        let mut regions: Vec<_> = regions.filter(|r| r.memory == memory.name).collect();
        regions.sort_by_key(|r| r.base);
        for region in regions {
            table.row([
                String::new(),
                region.purpose.name().into(),
                address(region.base),
                units::bytes(region.size),
                String::new(),
                String::new(),
            ]);
        }
    }
    table
}
