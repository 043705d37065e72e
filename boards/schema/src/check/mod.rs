//! What makes a board's description consistent: regions inside their memories, on erase blocks, apart from
//! each other, and none missing. Stops at the first contradiction.

use super::schema::{Board, Deploy, Kind, LINUX_ERASE, Memory, MemoryKind, Use};
use super::sizes::{MAX_WRITE, MIN_ERASE};

/// Most memories, regions, accelerators, sources or operators.
pub const MAX_ITEMS: usize = 64;

/// Longest text of a field in bytes.
pub const MAX_TEXT: usize = 300;

/// Alignment of what is read or computed in place.
const ALIGNMENT: u64 = 16;

/// Largest store file on Linux.
const MAX_FILE: u64 = 1 << 31;

/// A contradiction in a board's description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A name that commands cannot take.
    #[error("the name '{}' must be 1 to 40 of a-z, 0-9, '-' and '.'", .0.escape_debug())]
    Name(String),
    /// A text that would not print as one line.
    #[error("'{0}' must be one line of 1 to {MAX_TEXT} bytes without control characters")]
    Text(&'static str),
    /// A list is too long.
    #[error("there are {count} entries in '{list}', and at most {MAX_ITEMS} are taken")]
    Items {
        /// The key.
        list: &'static str,
        /// How many.
        count: usize,
    },
    /// A number that no board has.
    #[error("{what} is {value}; it must be from {least} to {most}")]
    Range {
        /// What it says.
        what: &'static str,
        /// The number.
        value: u64,
        /// Smallest that makes sense.
        least: u64,
        /// Largest that makes sense.
        most: u64,
    },
    /// The kind and the tables do not go together.
    #[error("a board of kind '{kind}' {rule}")]
    Tables {
        /// The kind.
        kind: &'static str,
        /// What it must have or not have.
        rule: &'static str,
    },
    /// A memory is wrong by itself.
    #[error("memory '{memory}': {problem}")]
    Memory {
        /// Its name.
        memory: String,
        /// What is wrong.
        problem: MemoryProblem,
    },
    /// Two memories share addresses.
    #[error("memories '{first}' and '{second}' overlap at {at:#x}")]
    MemoriesOverlap {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// First address of both.
        at: u64,
    },
    /// A region is wrong by itself.
    #[error("region '{purpose}': {problem}")]
    Region {
        /// Its use.
        purpose: &'static str,
        /// What is wrong.
        problem: RegionProblem,
    },
    /// Two regions share addresses.
    #[error("regions '{first}' and '{second}' overlap at {at:#x}")]
    RegionsOverlap {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// First address of both.
        at: u64,
    },
}

/// What is wrong with a memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryProblem {
    /// Two of one name.
    #[error("another one has the same name")]
    Repeated,
    /// Nothing, or more than a microcontroller can address.
    #[error("it must have at least one byte, and end within 32 bits of addresses")]
    Addresses,
    /// Flash without its units, or half of them.
    #[error(
        "flash needs `erase` and `write`; RAM has both, if it stands in for flash, or none of them"
    )]
    Units,
    /// A unit of programming that the stores cannot work with.
    #[error("`write` is {0}; it must be a power of two up to {MAX_WRITE}")]
    Write(u64),
    /// A unit of erasing that the stores cannot work with.
    #[error(
        "`erase` is {0}; it must be a multiple of {MAX_WRITE}, at least {MIN_ERASE}, and divide base and size"
    )]
    Erase(u64),
}

/// What is wrong with a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionProblem {
    /// It is needed.
    #[error("it is missing; a microcontroller needs one")]
    Missing,
    /// There may be one.
    #[error("there are several; merge them into one")]
    Repeated,
    /// No such memory.
    #[error("there is no memory '{0}'")]
    NoMemory(String),
    /// Not in its memory.
    #[error("it must have at least one byte and lie inside memory '{0}'")]
    Outside(String),
    /// Its memory is no RAM.
    #[error("it holds variables, and memory '{0}' is flash")]
    NotRam(String),
    /// Its memory cannot be programmed.
    #[error("it is erased and programmed, and memory '{0}' does not say how (`erase`, `write`)")]
    NotFlash(String),
    /// Not on the boundaries of erase blocks.
    #[error("base and size must be multiples of the {0} bytes of an erase block")]
    EraseBlocks(u64),
    /// Not aligned.
    #[error("base and size must be multiples of {ALIGNMENT}")]
    Misaligned,
    /// The stores are in two memories.
    #[error("it must be in memory '{0}', where 'heads' is: one flash driver serves both stores")]
    Apart(String),
    /// The head slots cannot be parted.
    #[error("it has two slots of whole erase blocks, so it takes an even number of them")]
    Slots,
}

/// Checks a whole board.
pub fn check(board: &Board) -> Result<(), Problem> {
    texts(board)?;
    let range = |what, value: u64, least, most| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(Problem::Range {
            what,
            value,
            least,
            most,
        })
    };
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
    let kind = match board.kind {
        Kind::Mcu => "mcu",
        Kind::Linux => "linux",
    };
    match (board.kind, &board.linux) {
        (Kind::Mcu, None) => {
            memories(board)?;
            regions(board)
        }
        (Kind::Mcu, Some(_)) => Err(Problem::Tables {
            kind,
            rule: "has memories and regions, and no [linux]",
        }),
        (Kind::Linux, Some(linux)) if board.memories.is_empty() && board.regions.is_empty() => {
            if let Some(ram) = linux.ram {
                range("the RAM in bytes", ram, 1 << 20, 1 << 50)?;
                range("the reserved RAM in bytes", linux.reserved, 0, ram - 1)?;
            }
            range(
                "the length of the head slots",
                linux.heads,
                2 * LINUX_ERASE,
                MAX_FILE,
            )?;
            range(
                "the length of the sample store",
                linux.samples,
                2 * LINUX_ERASE,
                MAX_FILE,
            )?;
            let blocks = [(linux.heads, 2 * LINUX_ERASE), (linux.samples, LINUX_ERASE)];
            match blocks.iter().all(|(len, unit)| len.is_multiple_of(*unit)) {
                true => Ok(()),
                false => Err(Problem::Tables {
                    kind,
                    rule: "has `samples` in multiples of 4096 and `heads` in multiples of 8192 bytes",
                }),
            }
        }
        (Kind::Linux, _) => Err(Problem::Tables {
            kind,
            rule: "has a table [linux], and no memories and regions",
        }),
    }
}

fn texts(board: &Board) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if !(1..=40).contains(&board.name.len()) || !board.name.chars().all(plain) {
        return Err(Problem::Name(board.name.chars().take(40).collect()));
    }
    let lists = [
        ("sources", board.sources.len()),
        ("accelerator", board.accelerators.len()),
        ("unsupported_operators", board.unsupported_operators.len()),
        ("memory", board.memories.len()),
        ("region", board.regions.len()),
        ("cpu.features", board.cpu.features.len()),
    ];
    for (list, count) in lists {
        if count > MAX_ITEMS {
            return Err(Problem::Items { list, count });
        }
    }
    let mut all: Vec<(&'static str, &str)> = vec![
        ("title", &board.title),
        ("cpu.core", &board.cpu.core),
        ("cpu.target", board.cpu.target.as_deref().unwrap_or("-")),
        ("power.note", board.power.note().unwrap_or("-")),
    ];
    all.extend(board.sources.iter().map(|s| ("sources", s.as_str())));
    all.extend(
        board
            .cpu
            .features
            .iter()
            .map(|s| ("cpu.features", s.as_str())),
    );
    let operators = board.unsupported_operators.iter();
    all.extend(operators.map(|s| ("unsupported_operators", s.as_str())));
    for a in &board.accelerators {
        all.push(("accelerator.name", &a.name));
        all.extend(a.apis.iter().map(|s| ("accelerator.apis", s.as_str())));
    }
    all.extend(
        board
            .memories
            .iter()
            .map(|m| ("memory.name", m.name.as_str())),
    );
    all.extend(
        board
            .regions
            .iter()
            .map(|r| ("region.memory", r.memory.as_str())),
    );
    match &board.power {
        super::schema::Power::Ina3221 { rail, sysfs, .. } => {
            all.extend([("power.rail", rail.as_str()), ("power.sysfs", sysfs)]);
        }
        super::schema::Power::RaspberryPiPmic { command, .. } => {
            all.push(("power.command", command));
        }
        _ => {}
    }
    match &board.deploy {
        super::schema::Deploy::ProbeRs { chip, serial, .. } => {
            all.push(("deploy.chip", chip));
            all.extend(serial.iter().map(|s| ("deploy.serial", s.as_str())));
        }
        super::schema::Deploy::Qemu { machine, globals } => {
            all.push(("deploy.machine", machine));
            all.extend(globals.iter().map(|g| ("deploy.globals", g.as_str())));
        }
        _ => {}
    }
    let sound = |s: &str| (1..=MAX_TEXT).contains(&s.len()) && !s.contains(char::is_control);
    match all.iter().find(|(_, text)| !sound(text)) {
        Some((key, _)) => Err(Problem::Text(key)),
        None => Ok(()),
    }
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
        match board
            .regions
            .iter()
            .filter(|r| r.purpose == purpose)
            .count()
        {
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

/// First address that two ranges (base, size) share; neither reaches beyond 64 bits.
fn overlap(a: (u64, u64), b: (u64, u64)) -> Option<u64> {
    let (start, end) = (a.0.max(b.0), (a.0 + a.1).min(b.0 + b.1));
    (start < end).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::find;

    /// A change to a sound board, and words of the error that must follow.
    type Case = (fn(&mut Board), &'static [&'static str]);

    fn region(board: &mut Board, purpose: Use) -> &mut crate::board::schema::Region {
        board
            .regions
            .iter_mut()
            .find(|r| r.purpose == purpose)
            .unwrap()
    }

    fn refused(name: &str, cases: &[Case]) {
        let sound = find(name).unwrap();
        for (change, words) in cases {
            let mut board = sound.clone();
            change(&mut board);
            let e = check(&board).expect_err(words[0]).to_string();
            assert_eq!(e.lines().count(), 1, "{e}");
            for word in *words {
                assert!(e.contains(word), "no '{word}' in: {e}");
            }
        }
        assert_eq!(check(&sound), Ok(()));
    }

    #[test]
    fn contradictions_of_microcontrollers() {
        refused(
            "nucleo-h743zi2",
            &[
                (|b| b.name = "A b\n".into(), &["name", "a-z"]),
                (|b| b.title = "two\nlines".into(), &["title", "one line"]),
                (|b| b.sources = vec!["x".into(); 65], &["sources", "65"]),
                (|b| b.cpu.cores = Some(0), &["cores", "0"]),
                (|b| b.cpu.clock_hz = Some(1), &["clock"]),
                (
                    |b| {
                        b.deploy = Deploy::ProbeRs {
                            chip: "STM32H743ZITx".into(),
                            serial: None,
                            baud: Some(300),
                        };
                    },
                    &["baud", "300", "9600"],
                ),
                (|b| b.kind = Kind::Linux, &["linux", "[linux]"]),
                (|b| b.memories[0].size = 0, &["'flash'", "32 bits"]),
                (|b| b.memories[1].base = u64::MAX, &["'itcm'", "32 bits"]),
                (
                    |b| b.memories[1].name = "flash".into(),
                    &["'flash'", "same name"],
                ),
                (|b| b.memories[0].write = None, &["'flash'", "`write`"]),
                (|b| b.memories[0].write = Some(24), &["24", "power of two"]),
                (|b| b.memories[0].write = Some(64), &["64"]),
                (|b| b.memories[0].erase = Some(0), &["`erase` is 0"]),
                (|b| b.memories[0].erase = Some(3000), &["3000"]),
                (
                    |b| b.memories[2].base = 0x8000,
                    &["'itcm'", "'dtcm'", "0x8000"],
                ),
                (|b| b.regions.clear(), &["'firmware'", "missing"]),
                (
                    |b| b.regions.push(b.regions[1].clone()),
                    &["'model'", "several"],
                ),
                (
                    |b| region(b, Use::Arena).memory = "sdram".into(),
                    &["'arena'", "'sdram'"],
                ),
                (
                    |b| region(b, Use::Arena).size += 16,
                    &["'arena'", "inside", "'axi-sram'"],
                ),
                (
                    |b| region(b, Use::Arena).size = u64::MAX,
                    &["'arena'", "inside"],
                ),
                (|b| region(b, Use::Arena).base += 8, &["'arena'"]),
                (
                    |b| region(b, Use::Heads).size -= 0x2_0000,
                    &["'heads'", "even number"],
                ),
                (
                    |b| region(b, Use::Model).size -= 0x1000,
                    &["'model'", "131072"],
                ),
                (
                    |b| region(b, Use::Model).base -= 0x2_0000,
                    &["'firmware'", "'model'", "0x8020000"],
                ),
            ],
        );
        refused(
            "nucleo-h743zi2",
            &[
                (
                    |b| {
                        let flash = region(b, Use::Samples).clone();
                        let arena = region(b, Use::Arena);
                        (arena.memory, arena.base, arena.size) =
                            (flash.memory, flash.base, flash.size);
                    },
                    &["'arena'", "variables", "flash"],
                ),
                (
                    |b| {
                        let heads = region(b, Use::Heads);
                        (heads.memory, heads.base) = ("sram123".into(), 0x3000_0000);
                    },
                    &["'heads'", "`erase`"],
                ),
            ],
        );
    }

    #[test]
    fn the_stores_share_a_flash() {
        refused(
            "qemu-m4",
            &[(
                |b| {
                    region(b, Use::Model).size -= 0x10_0000;
                    let samples = region(b, Use::Samples);
                    (samples.memory, samples.base) = ("psram".into(), 0x21f0_0000);
                    samples.size = 0x10_0000;
                },
                &["'samples'", "'ssram1'", "driver"],
            )],
        );
    }

    #[test]
    fn contradictions_of_linux_boards() {
        fn linux(board: &mut Board) -> &mut crate::board::schema::Linux {
            board.linux.as_mut().unwrap()
        }
        refused(
            "raspberry-pi-5",
            &[
                (|b| b.linux = None, &["[linux]"]),
                (|b| b.kind = Kind::Mcu, &["'mcu'", "no [linux]"]),
                (|b| linux(b).ram = Some(0), &["RAM", "0"]),
                (|b| linux(b).reserved = u64::MAX, &["reserved"]),
                (|b| linux(b).heads = 4096, &["head slots"]),
                (|b| linux(b).heads = 12288, &["8192"]),
                (|b| linux(b).samples = u64::MAX, &["sample store"]),
                (
                    |b| b.memories = find("rp2350").unwrap().memories,
                    &["no memories"],
                ),
            ],
        );
    }
}
