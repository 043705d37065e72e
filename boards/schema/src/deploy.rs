//! How a program gets to a board.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a program gets to a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deploy {
    /// The board is the machine that runs the command.
    Local,
    /// `deploy` copies and installs it over ssh.
    Ssh,
    /// `flash` programs it through a debug probe.
    ProbeRs {
        /// The name of the chip in probe-rs.
        chip: String,
        /// A part of the USB product name of the serial port that leads to the firmware's UART.
        serial: Option<String>,
        /// Speed of the UART in bits per second.
        baud: Option<u32>,
    },
    /// `flash` starts it in QEMU.
    Qemu {
        /// The name of the machine in QEMU.
        machine: String,
        /// Properties that differ from QEMU's defaults; each is an argument of `-global`.
        #[serde(default)]
        globals: Vec<String>,
    },
}

impl fmt::Display for Deploy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deploy::Local => f.write_str("local"),
            Deploy::Ssh => f.write_str("ssh"),
            Deploy::ProbeRs { chip, .. } => write!(f, "probe-rs {chip}"),
            Deploy::Qemu { machine, .. } => write!(f, "qemu {machine}"),
        }
    }
}
