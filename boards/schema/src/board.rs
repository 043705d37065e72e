//! What `board.toml` says. Sizes and lengths are in bytes, addresses are the processor's.
//!
//! Plain data: [`super::check`](mod@super::check) says what is consistent.

use serde::{Deserialize, Serialize};

/// A board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Name that commands take: lower case, digits, `-`, `.`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// What runs there.
    pub kind: Kind,
    /// Where the facts come from.
    pub facts_from: FactsFrom,
    /// Documents, one a line.
    pub sources: Vec<String>,
    /// The processor.
    pub cpu: Cpu,
    /// Processors besides the CPU that could run a model.
    #[serde(default, rename = "accelerator")]
    pub accelerators: Vec<Accelerator>,
    /// How power is measured.
    pub power: Power,
    /// How a program gets there.
    pub deploy: Deploy,
    /// Operators (as `inspect` names them) that the board's program lacks.
    #[serde(default)]
    pub unsupported_operators: Vec<String>,
    /// Memories of a microcontroller.
    #[serde(default, rename = "memory")]
    pub memories: Vec<Memory>,
    /// What the memories are used for.
    #[serde(default, rename = "region")]
    pub regions: Vec<Region>,
    /// What the program has on Linux.
    pub linux: Option<Linux>,
}

/// What runs on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Firmware on a microcontroller: int8 models, memory in fixed regions.
    Mcu,
    /// A program on Linux: int8 and float models, stores in files.
    Linux,
}

/// Where the facts of a description come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactsFrom {
    /// Data sheets and the like; nobody has held the file against the board.
    Documents,
    /// The source of the emulator that is the board.
    Emulator,
    /// The board itself.
    Measurement,
    /// There are no facts: the machine is not known.
    Nowhere,
}

/// The processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Core, e.g. `cortex-m7`.
    pub core: String,
    /// How many of them.
    pub cores: Option<u32>,
    /// Highest clock in Hz.
    pub clock_hz: Option<u64>,
    /// Instructions that kernels can use: `dsp`, `mve`, `neon`, `dotprod`, `fp16`, `fpu`, ...
    #[serde(default)]
    pub features: Vec<String>,
    /// Rust's name of the target.
    pub target: Option<String>,
}

/// A processor besides the CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accelerator {
    /// What it is.
    pub kind: AcceleratorKind,
    /// Its name.
    pub name: String,
    /// What programs it: `vulkan`, `cuda`, ...
    #[serde(default)]
    pub apis: Vec<String>,
}

/// What an accelerator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcceleratorKind {
    /// Graphics processor.
    Gpu,
    /// Neural network processor.
    Npu,
}

/// How power is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "sensor", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Power {
    /// Not at all.
    None {
        /// What one can do.
        note: Option<String>,
    },
    /// An INA219 or INA260 on I2C, wired by the user.
    Ina219 {
        /// Number of the bus.
        bus: u32,
        /// 7-bit address.
        address: u32,
        /// Shunt in microohm.
        shunt_microohm: u32,
        /// What it measures.
        note: Option<String>,
    },
    /// An INA3221 on I2C, read through Linux.
    Ina3221 {
        /// Number of the bus.
        bus: u32,
        /// 7-bit address.
        address: u32,
        /// Channel, from 1.
        channel: u32,
        /// Name of the rail.
        rail: String,
        /// Folder of the driver's files.
        sysfs: String,
        /// What it measures.
        note: Option<String>,
    },
    /// The power management chip of a Raspberry Pi 5.
    RaspberryPiPmic {
        /// Command that prints the rails.
        command: String,
        /// What it measures.
        note: Option<String>,
    },
    /// The energy counters of x86-64 processors.
    Rapl {
        /// What it measures.
        note: Option<String>,
    },
}

impl Power {
    /// The sensor's name in the file.
    pub fn sensor(&self) -> &'static str {
        match self {
            Power::None { .. } => "none",
            Power::Ina219 { .. } => "ina219",
            Power::Ina3221 { .. } => "ina3221",
            Power::RaspberryPiPmic { .. } => "raspberry-pi-pmic",
            Power::Rapl { .. } => "rapl",
        }
    }

    /// What the file says besides.
    pub fn note(&self) -> Option<&str> {
        match self {
            Power::None { note }
            | Power::Ina219 { note, .. }
            | Power::Ina3221 { note, .. }
            | Power::RaspberryPiPmic { note, .. }
            | Power::Rapl { note } => note.as_deref(),
        }
    }
}

/// How a program gets to the board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deploy {
    /// It is there.
    Local,
    /// Copied and installed over ssh.
    Ssh,
    /// Flashed through a debug probe.
    ProbeRs {
        /// probe-rs's name of the chip.
        chip: String,
        /// A part of the USB product name of the serial port that leads to the firmware's UART.
        serial: Option<String>,
        /// Bits a second on the serial line to the firmware.
        baud: Option<u32>,
    },
    /// Started in QEMU.
    Qemu {
        /// QEMU's name of the machine.
        machine: String,
        /// Properties of its parts that differ from QEMU's, each an argument of `-global`.
        #[serde(default)]
        globals: Vec<String>,
    },
}

impl std::fmt::Display for Deploy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Deploy::Local => f.write_str("local"),
            Deploy::Ssh => f.write_str("ssh"),
            Deploy::ProbeRs { chip, .. } => write!(f, "probe-rs {chip}"),
            Deploy::Qemu { machine, .. } => write!(f, "qemu {machine}"),
        }
    }
}

/// A memory of a microcontroller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: MemoryKind,
    /// First address.
    pub base: u64,
    /// Length.
    pub size: u64,
    /// Bytes that are erased together. A RAM that has this and `write` stands in for flash.
    pub erase: Option<u64>,
    /// Bytes that are programmed together.
    pub write: Option<u64>,
}

/// What a memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// Keeps its content, is erased before it is programmed, is read like RAM.
    Flash,
    /// On the chip, or as fast.
    Ram,
    /// RAM on a slower bus.
    Psram,
}

/// A part of a memory with one use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its use.
    #[serde(rename = "use")]
    pub purpose: Use,
    /// Name of its memory.
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
    /// The `.edge` file, read in place.
    Model,
    /// The two head slots, one half each.
    Heads,
    /// The sample store.
    Samples,
    /// The memory block of the device application: its buffers, and the activations or, in their place,
    /// the workspace of training.
    Arena,
    /// Stack and static variables of the program.
    Stack,
}

impl Use {
    /// All of them, in the order in which tables show them.
    pub const ALL: [Use; 6] = [
        Use::Firmware,
        Use::Model,
        Use::Heads,
        Use::Samples,
        Use::Arena,
        Use::Stack,
    ];

    /// The use's name in the file.
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

    /// True if it is erased and programmed: its memory must say how.
    pub const fn is_programmed(self) -> bool {
        matches!(self, Use::Model | Use::Heads | Use::Samples)
    }

    /// True if it holds variables.
    pub const fn is_ram(self) -> bool {
        matches!(self, Use::Arena | Use::Stack)
    }
}

/// What the device program has on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linux {
    /// RAM of the machine; absent: not known, and not judged.
    pub ram: Option<u64>,
    /// What of it the program must leave to the system.
    #[serde(default)]
    pub reserved: u64,
    /// Length of the file with the two head slots.
    pub heads: u64,
    /// Length of the file of the sample store.
    pub samples: u64,
}

/// Unit of erasing of the store files on Linux: what one write to disk takes anyway.
pub const LINUX_ERASE: u64 = 4096;

/// Unit of programming of the store files on Linux.
pub const LINUX_WRITE: u64 = 16;

/// Where head slots or samples are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Length.
    pub len: u64,
    /// Bytes that are erased together.
    pub erase: u64,
    /// Bytes that are programmed together.
    pub write: u64,
}

impl Board {
    /// The region of this use, if there is one.
    pub fn region(&self, purpose: Use) -> Option<&Region> {
        self.regions.iter().find(|r| r.purpose == purpose)
    }

    /// The memory of this name.
    pub fn memory(&self, name: &str) -> Option<&Memory> {
        self.memories.iter().find(|m| m.name == name)
    }

    /// The head slots or the sample store: a region, or a file on Linux.
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
