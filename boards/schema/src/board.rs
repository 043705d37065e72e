//! A board as a whole. Sizes and lengths are in bytes.

use crate::{Deploy, LINUX_ERASE, LINUX_WRITE, Memory, Power, Region, Store, Use};
use serde::{Deserialize, Serialize};

/// A board: what its `board.toml` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// The name that commands take: lower-case letters, digits, `-` and `.`.
    pub name: String,
    /// The name that people know.
    pub title: String,
    /// Microcontroller or Linux.
    pub kind: Kind,
    /// Where the facts in this file come from.
    pub facts_from: FactsFrom,
    /// Those documents, one each.
    pub sources: Vec<String>,
    /// The processor.
    pub cpu: Cpu,
    /// Other processors that could run a model.
    #[serde(default, rename = "accelerator")]
    pub accelerators: Vec<Accelerator>,
    /// How the board's power is measured.
    pub power: Power,
    /// How a program gets to the board.
    pub deploy: Deploy,
    /// Operators that the board's program cannot run, named as `inspect` names them.
    #[serde(default)]
    pub unsupported_operators: Vec<String>,
    /// The memories of a microcontroller; empty on Linux.
    #[serde(default, rename = "memory")]
    pub memories: Vec<Memory>,
    /// What a microcontroller uses its memories for, one region for each [`Use`]; empty on Linux.
    #[serde(default, rename = "region")]
    pub regions: Vec<Region>,
    /// What a Linux board gives the device program; `None` on a microcontroller.
    pub linux: Option<Linux>,
}

/// What runs on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A microcontroller with firmware: int8 models, memory in fixed regions.
    Mcu,
    /// A computer with Linux and the device program: int8 and float models, heads and samples in files.
    Linux,
}

/// Where the facts of a `board.toml` come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactsFrom {
    /// Data sheets and the like. Nobody has checked them on the board.
    Documents,
    /// The source code of the emulator that stands in for the board.
    Emulator,
    /// Measurements on the board itself.
    Measurement,
    /// Nothing is known about the machine.
    Nowhere,
}

/// The processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// The core, e.g. `cortex-m7`.
    pub core: String,
    /// Number of cores.
    pub cores: Option<u32>,
    /// Highest clock in Hz.
    pub clock_hz: Option<u64>,
    /// Instructions that kernels can use: `dsp`, `mve`, `neon`, `dotprod`, `fp16`, `fpu`, ...
    #[serde(default)]
    pub features: Vec<String>,
    /// Rust's name of the compilation target.
    pub target: Option<String>,
}

/// A processor besides the CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accelerator {
    /// GPU or NPU.
    pub kind: AcceleratorKind,
    /// Its name.
    pub name: String,
    /// The interfaces that programs can use: `vulkan`, `cuda`, ...
    #[serde(default)]
    pub apis: Vec<String>,
}

/// What kind of processor an accelerator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcceleratorKind {
    /// A graphics processor.
    Gpu,
    /// A neural network processor.
    Npu,
}

/// What a Linux board gives the device program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linux {
    /// RAM of the machine. `None` if it is not known; then nothing is said about it.
    pub ram: Option<u64>,
    /// How much of the RAM the system needs for itself.
    #[serde(default)]
    pub reserved: u64,
    /// Length of the file with the two head slots.
    pub heads: u64,
    /// Length of the file with the samples.
    pub samples: u64,
}

impl Board {
    /// The region for a use, if there is one.
    pub fn region(&self, purpose: Use) -> Option<&Region> {
        self.regions.iter().find(|r| r.purpose == purpose)
    }

    /// The memory with this name.
    pub fn memory(&self, name: &str) -> Option<&Memory> {
        self.memories.iter().find(|m| m.name == name)
    }

    /// Where the board keeps heads, samples or the model: a region on a microcontroller, a file on Linux (where
    /// the model has no store). `None` for other uses of a Linux board, and for memory that cannot be programmed.
    pub fn store(&self, purpose: Use) -> Option<Store> {
        if let Some(linux) = &self.linux {
            let len = match purpose {
                Use::Heads => linux.heads,
                Use::Samples => linux.samples,
                _ => return None,
            };
            return Some(Store {
                len,
                erase: LINUX_ERASE,
                write: LINUX_WRITE,
            });
        }
        let region = self.region(purpose)?;
        let memory = self.memory(&region.memory)?;
        Some(Store {
            len: region.size,
            erase: memory.erase?,
            write: memory.write?,
        })
    }
}
