//! On hardware: the device application times inferences on its own clock. Not run here for want of a board;
//! the requests are the same that `device bench` sends to a simulated one. A device does not say what board it
//! is, only what its flash is like: a simulation of the very board passes for it.

use crate::cli::Bench;
use crate::commands::device::{port::Port, session};
use crate::{output, progress::Bars, units};
use anyhow::{Context, Result, bail};
use converter::board::fit::judge;
use converter::board::schema::Use;
use converter::board::{Board, Needs, Request};
use converter::util::progress::Progress as _;
use edge_runtime::client::{Client, Patience};
use edge_runtime::device::protocol::{self, StateInfo};
use edge_runtime::model::Model;
use serde_json::json;
use std::time::Duration;

/// An inference of a large network may take a second.
const PATIENCE: Patience = Patience {
    timeout: Duration::from_secs(2),
    attempts: 10,
};

pub fn run(board: &Board, model: &Model<'_>, args: &Bench, json: bool) -> Result<()> {
    let port = args.port.clone().unwrap_or(Port::Board(board.name.clone()));
    let mut client = Client::new(port.open(None)?, session(), PATIENCE);
    let flash_it = || {
        format!(
            "{} does not run this model; `cargo xtask flash --board {0} {}`",
            board.name,
            args.model.display()
        )
    };
    client
        .connect(Some(*model.trunk_sha256()))
        .with_context(flash_it)?;
    is_the_board(board, model, &client.state()?)?;
    let bars = Bars::new();
    bars.stage("inferences", args.runs.into());
    let bench = client.bench(args.runs, &mut |_| bars.step())?;
    drop(bars);
    let found = Found {
        bench,
        hz: board.cpu.clock_hz,
    };
    let value = json!({
        "board": board.name,
        "core": board.cpu.core,
        "model": model.manifest().name,
        "clock": "device",
        "clock_hz": board.cpu.clock_hz,
        "runs": bench.runs,
        "median_microseconds": bench.median,
        "min_microseconds": bench.min,
        "max_microseconds": bench.max,
        "cycles": found.counted(),
        "cycles_from_time": found.cycles(),
        "microwatts": bench.microwatts,
        "microjoules": found.microjoules(),
        "macs": model.manifest().macs,
        "arena_bytes": model.arena_bytes(),
    });
    output::print(json, value, || found.text(board));
    Ok(())
}

/// Refuses a device that keeps its samples otherwise than the board would: its time is not the board's.
fn is_the_board(board: &Board, model: &Model<'_>, state: &StateInfo) -> Result<()> {
    let store = board.store(Use::Samples);
    let erase = store.map_or(0, |s| s.erase);
    let needs = Needs::of(model, 0);
    let samples = judge(&needs, board, &Request::default()).sample_capacity;
    let (has, keeps) = (
        u64::from(state.flash.erase_size),
        u64::from(state.max_samples),
    );
    if (has, keeps) != (erase, samples) {
        bail!(
            "the device on the line is no {}: it keeps {keeps} samples in erase blocks of {has} bytes, and that board {samples} in blocks of {erase}; name the board that it is",
            board.name
        );
    }
    Ok(())
}

struct Found {
    bench: protocol::Bench,
    hz: Option<u64>,
}

impl Found {
    /// Fewest cycles that the processor counted itself, if no run can have outlasted its 32 bits.
    fn counted(&self) -> Option<u32> {
        let most = u128::from(self.bench.max) * u128::from(self.hz?) / 1_000_000;
        self.bench.cycles.filter(|_| most <= u128::from(u32::MAX))
    }

    /// The median time in cycles of the processor's highest clock.
    fn cycles(&self) -> Option<u64> {
        let cycles = u128::from(self.bench.median) * u128::from(self.hz?) / 1_000_000;
        u64::try_from(cycles).ok()
    }

    /// Energy of one inference, if there is a sensor.
    fn microjoules(&self) -> Option<f64> {
        let microwatts = self.bench.microwatts?;
        Some(f64::from(microwatts) * self.bench.median as f64 / 1e6)
    }

    fn text(&self, board: &Board) -> String {
        let ms = |micros: u64| format!("{:.2}", micros as f64 / 1e3);
        let b = &self.bench;
        let time = format!(
            "median {} ms, {} to {} ms",
            ms(b.median),
            ms(b.min),
            ms(b.max)
        );
        let mut rows = vec![("time", time)];
        let counted = self.counted().map(|cycles| {
            let cycles = units::count(cycles.into());
            format!("{cycles} at least, counted by the processor")
        });
        let computed = self.cycles().map(|cycles| {
            let cycles = units::count(cycles);
            format!("{cycles}, from the time at the highest clock")
        });
        rows.extend(counted.or(computed).map(|text| ("cycles", text)));
        rows.push(match self.microjoules() {
            Some(energy) => ("energy", format!("{energy:.0} µJ an inference")),
            None => ("energy", "no power sensor".into()),
        });
        format!(
            "{} inferences on {}\n{}",
            b.runs,
            board.title,
            output::pairs(&rows)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_becomes_cycles_and_energy() {
        let bench = protocol::Bench {
            runs: 3,
            min: 9_000,
            median: 10_000,
            max: 11_000,
            cycles: Some(4_700_000),
            microwatts: Some(500_000),
        };
        let found = Found {
            bench,
            hz: Some(480_000_000),
        };
        assert_eq!(found.cycles(), Some(4_800_000));
        assert_eq!(found.microjoules(), Some(5000.0));
        assert_eq!(found.counted(), Some(4_700_000));
        let long = protocol::Bench {
            max: 10_000_000,
            ..bench
        };
        let hz = found.hz;
        assert_eq!(Found { bench: long, hz }.counted(), None);
        let none = Found { hz: None, ..found };
        assert_eq!(none.cycles(), None);
    }
}
