//! The memories of a microcontroller, what they are used for, and the stores in them. Sizes and lengths are in
//! bytes, addresses are the processor's.

use serde::{Deserialize, Serialize};

/// A memory of a microcontroller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Its name, which regions refer to.
    pub name: String,
    /// Flash or RAM.
    pub kind: MemoryKind,
    /// First address.
    pub base: u64,
    /// Length.
    pub size: u64,
    /// How many bytes are erased together. RAM that has `erase` and `write` is used as flash.
    pub erase: Option<u64>,
    /// How many bytes are programmed together.
    pub write: Option<u64>,
}

/// What kind a memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// Flash: keeps its content without power, must be erased before it is programmed, can be read like RAM.
    Flash,
    /// RAM on the chip, or as fast as that.
    Ram,
    /// RAM on a slower bus.
    Psram,
}

/// A part of a memory with one use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// What it is used for.
    #[serde(rename = "use")]
    pub purpose: Use,
    /// Name of the memory that it is in.
    pub memory: String,
    /// First address.
    pub base: u64,
    /// Length.
    pub size: u64,
}

/// What a region is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// The program.
    Firmware,
    /// The `.edge` file, which is read in place.
    Model,
    /// The two head slots, each one half.
    Heads,
    /// The sample store.
    Samples,
    /// The RAM of the device application: its buffers, and either the activations or the workspace of training.
    Arena,
    /// The stack and the static variables of the program.
    Stack,
}

impl Use {
    /// All uses, in the order of tables.
    pub const ALL: [Use; 6] = [
        Use::Firmware,
        Use::Model,
        Use::Heads,
        Use::Samples,
        Use::Arena,
        Use::Stack,
    ];

    /// The name that `board.toml` has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Use::Firmware => "firmware",
            Use::Model => "model",
            Use::Heads => "heads",
            Use::Samples => "samples",
            Use::Arena => "arena",
            Use::Stack => "stack",
        }
    }

    /// True if the device erases and programs the region, so that its memory needs `erase` and `write`.
    pub const fn is_programmed(self) -> bool {
        matches!(self, Use::Model | Use::Heads | Use::Samples)
    }

    /// True if the region holds variables, so that it must be RAM.
    pub const fn is_ram(self) -> bool {
        matches!(self, Use::Arena | Use::Stack)
    }
}

/// Where a model, head slots or samples are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Length.
    pub len: u64,
    /// How many bytes are erased together.
    pub erase: u64,
    /// How many bytes are programmed together.
    pub write: u64,
}

/// [`Store::erase`] of the files on Linux: a write to disk takes a page of this length anyway.
pub const LINUX_ERASE: u64 = 4096;

/// [`Store::write`] of the files on Linux.
pub const LINUX_WRITE: u64 = 16;

/// The largest `write` of a memory. `edge_runtime::flash::MAX_WRITE_SIZE` is the same number.
pub const MAX_WRITE: u64 = 32;

/// The smallest `erase` of a memory. `edge_runtime::flash::MIN_ERASE_SIZE` is the same number.
pub const MIN_ERASE: u64 = 512;
