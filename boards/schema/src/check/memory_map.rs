//! The memory map of a microcontroller: memories that do not overlap, and one region for each use inside them.

use super::problem::{MemoryProblem, RegionProblem};
use super::{ALIGNMENT, Problem};
use crate::{Board, MAX_WRITE, MIN_ERASE, Memory, MemoryKind, Use};

/// Checks the memories, then the regions.
pub fn check(board: &Board) -> Result<(), Problem> {
    memories(board)?;
    regions(board)
}

fn memories(board: &Board) -> Result<(), Problem> {
    for (i, memory) in board.memories.iter().enumerate() {
        let repeated = board.memories[..i].iter().any(|m| m.name == memory.name);
        memory_alone(memory, repeated).map_err(|problem| Problem::Memory {
            memory: memory.name.clone(),
            problem,
        })?;
        for other in &board.memories[..i] {
            if let Some(at) = overlap((other.base, other.size), (memory.base, memory.size)) {
                return Err(Problem::MemoriesOverlap {
                    first: other.name.clone(),
                    second: memory.name.clone(),
                    at,
                });
            }
        }
    }
    Ok(())
}

/// Checks a memory by itself; `repeated` says that one before it has the same name.
fn memory_alone(memory: &Memory, repeated: bool) -> Result<(), MemoryProblem> {
    if repeated {
        return Err(MemoryProblem::Repeated);
    }
    let end = memory.base.checked_add(memory.size);
    if memory.size == 0 || end.is_none_or(|end| end > 1 << 32) {
        return Err(MemoryProblem::Addresses);
    }
    let (erase, write) = match (memory.erase, memory.write, memory.kind) {
        (Some(erase), Some(write), _) => (erase, write),
        (None, None, MemoryKind::Ram | MemoryKind::Psram) => return Ok(()),
        _ => return Err(MemoryProblem::Units),
    };
    if !write.is_power_of_two() || write > MAX_WRITE {
        return Err(MemoryProblem::Write(write));
    }
    let whole = erase >= MIN_ERASE
        && erase.is_multiple_of(MAX_WRITE)
        && memory.base.is_multiple_of(erase)
        && memory.size.is_multiple_of(erase);
    whole.then_some(()).ok_or(MemoryProblem::Erase(erase))
}

fn regions(board: &Board) -> Result<(), Problem> {
    for purpose in Use::ALL {
        let fail = |problem| Problem::Region {
            purpose: purpose.name(),
            problem,
        };
        let regions = board.regions.iter().filter(|r| r.purpose == purpose);
        match regions.count() {
            0 => return Err(fail(RegionProblem::Missing)),
            1 => region_alone(board, purpose).map_err(fail)?,
            _ => return Err(fail(RegionProblem::Repeated)),
        }
    }
    for (i, region) in board.regions.iter().enumerate() {
        for other in &board.regions[..i] {
            if let Some(at) = overlap((other.base, other.size), (region.base, region.size)) {
                return Err(Problem::RegionsOverlap {
                    first: other.purpose.name(),
                    second: region.purpose.name(),
                    at,
                });
            }
        }
    }
    Ok(())
}

/// Checks the region of a use by itself and against its memory.
fn region_alone(board: &Board, purpose: Use) -> Result<(), RegionProblem> {
    let Some(region) = board.region(purpose) else {
        return Err(RegionProblem::Missing);
    };
    let name = || region.memory.clone();
    let memory = board
        .memory(&region.memory)
        .ok_or_else(|| RegionProblem::NoMemory(name()))?;
    let inside = region.size > 0
        && region.base >= memory.base
        && region
            .base
            .checked_add(region.size)
            .is_some_and(|end| end <= memory.base + memory.size);
    if !inside {
        return Err(RegionProblem::Outside(name()));
    }
    if purpose.is_ram() && memory.kind == MemoryKind::Flash {
        return Err(RegionProblem::NotRam(name()));
    }
    let aligned = |unit: u64| region.base.is_multiple_of(unit) && region.size.is_multiple_of(unit);
    if !aligned(ALIGNMENT) {
        return Err(RegionProblem::Misaligned);
    }
    if let (Use::Samples, Some(heads)) = (purpose, board.region(Use::Heads))
        && heads.memory != region.memory
    {
        return Err(RegionProblem::Apart(heads.memory.clone()));
    }
    match memory.erase {
        None if purpose.is_programmed() => Err(RegionProblem::NotFlash(name())),
        Some(erase) if !purpose.is_ram() && !aligned(erase) => {
            Err(RegionProblem::EraseBlocks(erase))
        }
        Some(erase) if purpose == Use::Heads && !(region.size / erase).is_multiple_of(2) => {
            Err(RegionProblem::Slots)
        }
        _ => Ok(()),
    }
}

/// The first address that two ranges (base, size) share. Neither may end beyond 64 bits.
fn overlap(a: (u64, u64), b: (u64, u64)) -> Option<u64> {
    let (start, end) = (a.0.max(b.0), (a.0 + a.1).min(b.0 + b.1));
    (start < end).then_some(start)
}
