//! The rules that make a board consistent: texts that print as one line, regions inside their memories and on erase
//! blocks, none missing, none that overlap. The first rule that is broken is reported.

mod memory_map;
mod problem;
#[cfg(test)]
mod tests;
mod texts;

pub use problem::{MemoryProblem, Problem, RegionProblem};

use crate::{Board, Deploy, Kind, LINUX_ERASE, Linux};

/// Most entries in a list.
pub const MAX_ITEMS: usize = 64;

/// Longest text of a field, in bytes.
pub const MAX_TEXT: usize = 300;

/// Regions start and end on multiples of this, so that models and arenas are aligned.
const ALIGNMENT: u64 = 16;

/// Longest file with heads or samples on Linux.
const MAX_FILE: u64 = 1 << 31;

/// Checks a whole board.
///
/// # Errors
/// The first rule that the board breaks.
pub fn check(board: &Board) -> Result<(), Problem> {
    texts::check(board)?;
    if let Some(cores) = board.cpu.cores {
        range("the number of cores", cores.into(), 1, 1024)?;
    }
    if let Some(clock) = board.cpu.clock_hz {
        range("the clock in Hz", clock, 1_000, 100_000_000_000)?;
    }
    if let Deploy::ProbeRs {
        baud: Some(baud), ..
    } = board.deploy
    {
        range("the baud rate", baud.into(), 9_600, 4_000_000)?;
    }
    let has_map = !board.memories.is_empty() || !board.regions.is_empty();
    match (board.kind, &board.linux) {
        (Kind::Mcu, None) => memory_map::check(board),
        (Kind::Mcu, Some(_)) => Err(Problem::Tables {
            kind: "mcu",
            rule: "has memories and regions, and no [linux]",
        }),
        (Kind::Linux, Some(linux)) if !has_map => check_linux(linux),
        (Kind::Linux, _) => Err(Problem::Tables {
            kind: "linux",
            rule: "has a table [linux], and no memories and regions",
        }),
    }
}

fn check_linux(linux: &Linux) -> Result<(), Problem> {
    if let Some(ram) = linux.ram {
        range("the RAM in bytes", ram, 1 << 20, 1 << 50)?;
        range("the reserved RAM in bytes", linux.reserved, 0, ram - 1)?;
    }
    let (heads, samples) = (linux.heads, linux.samples);
    let least = 2 * LINUX_ERASE;
    range("the length of the head slots", heads, least, MAX_FILE)?;
    range("the length of the sample store", samples, least, MAX_FILE)?;
    if !heads.is_multiple_of(2 * LINUX_ERASE) || !samples.is_multiple_of(LINUX_ERASE) {
        return Err(Problem::Tables {
            kind: "linux",
            rule: "has `samples` in multiples of 4096 and `heads` in multiples of 8192 bytes",
        });
    }
    Ok(())
}

/// Checks that a number is in a range, ends included.
fn range(what: &'static str, value: u64, least: u64, most: u64) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Problem::Range {
        what,
        value,
        least,
        most,
    })
}
