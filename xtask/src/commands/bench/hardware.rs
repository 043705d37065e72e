//! Boards of hardware: the device application times inferences on its own clock.
//!
//! This was never run on a board; it sends the same requests as `device bench`, which is tested on simulated boards.
//! A device does not say which board it is, only how its flash is organized, so a simulation of the same board is
//! accepted, too.

use crate::cli::Bench;
use crate::commands::device::{port::Port, session};
use crate::output::{self, Report, Text};
use crate::{progress::Bars, units};
use anyhow::{Context, Result, bail};
use converter::board::fit::judge;
use converter::board::schema::Use;
use converter::board::{Board, Needs, Request};
use converter::util::progress::Progress as _;
use edge_runtime::client::{Client, Patience};
use edge_runtime::device::protocol::{self, StateInfo};
use edge_runtime::model::Model;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// An inference of a large network may take a second.
const PATIENCE: Patience = Patience {
    timeout: Duration::from_secs(2),
    attempts: 10,
};

pub fn run(board: &Board, model: &Model<'_>, file: &Path, args: &Bench, json: bool) -> Result<()> {
    let port = args.port.clone().unwrap_or(Port::Board(board.name.clone()));
    let mut client = Client::new(port.open(None)?, session(), PATIENCE);
    let flash_it = || {
        format!(
            "{} does not run this model; `cargo xtask flash --board {0} {}`",
            board.name,
            file.display()
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
    output::print(json, &HardwareReport::new(board, model, &bench));
    Ok(())
}

/// Refuses a device that stores its samples in another way than the board: it is another board.
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

/// Time of inferences on a board.
#[derive(Serialize)]
struct HardwareReport<'b> {
    board: &'b str,
    core: &'b str,
    model: &'b str,
    /// Whose clock it is.
    clock: &'static str,
    clock_hz: Option<u64>,
    runs: u16,
    median_microseconds: u64,
    min_microseconds: u64,
    max_microseconds: u64,
    /// Fewest cycles that the processor counted itself.
    cycles: Option<u32>,
    /// The median time in cycles of the processor's highest clock.
    cycles_from_time: Option<u64>,
    microwatts: Option<i32>,
    /// Of one inference.
    microjoules: Option<f64>,
    macs: u64,
    arena_bytes: usize,
    #[serde(skip)]
    title: &'b str,
}

impl<'b> HardwareReport<'b> {
    fn new(board: &'b Board, model: &Model<'b>, bench: &protocol::Bench) -> Self {
        let hz = board.cpu.clock_hz;
        Self {
            board: &board.name,
            core: &board.cpu.core,
            model: model.manifest().name,
            clock: "device",
            clock_hz: hz,
            runs: bench.runs,
            median_microseconds: bench.median,
            min_microseconds: bench.min,
            max_microseconds: bench.max,
            cycles: counted_cycles(bench, hz),
            cycles_from_time: cycles_from_time(bench, hz),
            microwatts: bench.microwatts,
            microjoules: microjoules(bench),
            macs: model.manifest().macs,
            arena_bytes: model.arena_bytes(),
            title: &board.title,
        }
    }
}

/// Cycles that the processor counted itself, if no run can have outlasted its 32 bits.
fn counted_cycles(bench: &protocol::Bench, hz: Option<u64>) -> Option<u32> {
    let most = u128::from(bench.max) * u128::from(hz?) / 1_000_000;
    bench.cycles.filter(|_| most <= u128::from(u32::MAX))
}

fn cycles_from_time(bench: &protocol::Bench, hz: Option<u64>) -> Option<u64> {
    let cycles = u128::from(bench.median) * u128::from(hz?) / 1_000_000;
    u64::try_from(cycles).ok()
}

/// Energy of one inference, if there is a sensor.
fn microjoules(bench: &protocol::Bench) -> Option<f64> {
    let microwatts = bench.microwatts?;
    Some(f64::from(microwatts) * bench.median as f64 / 1e6)
}

impl Report for HardwareReport<'_> {
    fn text(&self, out: &mut Text) {
        let [median, min, max] = [
            self.median_microseconds,
            self.min_microseconds,
            self.max_microseconds,
        ]
        .map(units::milliseconds);
        let mut rows = vec![("time", format!("median {median} ms, {min} to {max} ms"))];
        let counted = self.cycles.map(|cycles| {
            let cycles = units::count(cycles.into());
            format!("{cycles} at least, counted by the processor")
        });
        let computed = self.cycles_from_time.map(|cycles| {
            let cycles = units::count(cycles);
            format!("{cycles}, from the time at the highest clock")
        });
        rows.extend(counted.or(computed).map(|text| ("cycles", text)));
        let energy = match self.microjoules {
            Some(energy) => format!("{energy:.0} µJ an inference"),
            None => "no power sensor".into(),
        };
        rows.push(("energy", energy));
        out.line(format_args!("{} inferences on {}", self.runs, self.title));
        out.pairs(rows);
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
        let hz = Some(480_000_000);
        assert_eq!(cycles_from_time(&bench, hz), Some(4_800_000));
        assert_eq!(microjoules(&bench), Some(5000.0));
        assert_eq!(counted_cycles(&bench, hz), Some(4_700_000));
        let long = protocol::Bench {
            max: 10_000_000,
            ..bench
        };
        assert_eq!(counted_cycles(&long, hz), None);
        assert_eq!(cycles_from_time(&bench, None), None);
    }
}
