//! What can be wrong with a board, each in one line.

use super::{ALIGNMENT, MAX_ITEMS, MAX_TEXT};
use crate::{MAX_WRITE, MIN_ERASE};

/// What is wrong with a board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The name has characters that commands cannot take, or is too long.
    #[error("the name '{}' must be 1 to 40 of a-z, 0-9, '-' and '.'", .0.escape_debug())]
    Name(String),
    /// A text is empty, too long, or would not print as one line.
    #[error("'{0}' must be one line of 1 to {MAX_TEXT} bytes without control characters")]
    Text(&'static str),
    /// A list has too many entries.
    #[error("there are {count} entries in '{list}', and at most {MAX_ITEMS} are taken")]
    Items {
        /// Its key.
        list: &'static str,
        /// Number of entries.
        count: usize,
    },
    /// A number is out of its range.
    #[error("{what} is {value}; it must be from {least} to {most}")]
    Range {
        /// What the number means.
        what: &'static str,
        /// The number.
        value: u64,
        /// The smallest that is allowed.
        least: u64,
        /// The largest that is allowed.
        most: u64,
    },
    /// The file lacks tables that its kind needs, or has tables of the other kind.
    #[error("a board of kind '{kind}' {rule}")]
    Tables {
        /// The board's kind.
        kind: &'static str,
        /// What a board of this kind must have or must not have.
        rule: &'static str,
    },
    /// A memory breaks a rule.
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
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// The first address that both have.
        at: u64,
    },
    /// A region breaks a rule.
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
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// The first address that both have.
        at: u64,
    },
}

/// What is wrong with a memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryProblem {
    /// Another memory has the same name.
    #[error("another one has the same name")]
    Repeated,
    /// It is empty, or ends beyond the 32 bits of a microcontroller's addresses.
    #[error("it must have at least one byte, and end within 32 bits of addresses")]
    Addresses,
    /// Flash lacks `erase` or `write`, or RAM has only one of them.
    #[error(
        "flash needs `erase` and `write`; RAM has both, if it stands in for flash, or none of them"
    )]
    Units,
    /// The stores cannot work with this `write`.
    #[error("`write` is {0}; it must be a power of two up to {MAX_WRITE}")]
    Write(u64),
    /// The stores cannot work with this `erase`.
    #[error(
        "`erase` is {0}; it must be a multiple of {MAX_WRITE}, at least {MIN_ERASE}, and divide base and size"
    )]
    Erase(u64),
}

/// What is wrong with a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionProblem {
    /// There is no region for this use.
    #[error("it is missing; a microcontroller needs one")]
    Missing,
    /// There are several regions for this use.
    #[error("there are several; merge them into one")]
    Repeated,
    /// It names a memory that does not exist.
    #[error("there is no memory '{0}'")]
    NoMemory(String),
    /// It is empty, or not inside its memory.
    #[error("it must have at least one byte and lie inside memory '{0}'")]
    Outside(String),
    /// It holds variables, and its memory is flash.
    #[error("it holds variables, and memory '{0}' is flash")]
    NotRam(String),
    /// The device programs it, and its memory lacks `erase` and `write`.
    #[error("it is erased and programmed, and memory '{0}' does not say how (`erase`, `write`)")]
    NotFlash(String),
    /// It does not start and end on erase blocks.
    #[error("base and size must be multiples of the {0} bytes of an erase block")]
    EraseBlocks(u64),
    /// It does not start and end on multiples of 16 bytes.
    #[error("base and size must be multiples of {ALIGNMENT}")]
    Misaligned,
    /// Heads and samples are in different memories.
    #[error("it must be in memory '{0}', where 'heads' is: one flash driver serves both stores")]
    Apart(String),
    /// Its erase blocks cannot be divided into two slots.
    #[error("it has two slots of whole erase blocks, so it takes an even number of them")]
    Slots,
}
