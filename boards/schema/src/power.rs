//! How the power of a board is measured.

use serde::{Deserialize, Serialize};

/// The sensor that measures a board's power. `note` says in words what it measures, or what to do without one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "sensor", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Power {
    /// The board has no sensor.
    None {
        /// A remark for people.
        note: Option<String>,
    },
    /// An INA219 or INA260 on I2C, which the user has wired.
    Ina219 {
        /// Number of the I2C bus.
        bus: u32,
        /// 7-bit address on the bus.
        address: u32,
        /// Resistance of the shunt in microohm.
        shunt_microohm: u32,
        /// A remark for people.
        note: Option<String>,
    },
    /// An INA3221 on I2C, which a Linux driver reads.
    Ina3221 {
        /// Number of the I2C bus.
        bus: u32,
        /// 7-bit address on the bus.
        address: u32,
        /// Channel, from 1.
        channel: u32,
        /// Name of the supply rail.
        rail: String,
        /// Folder with the files of the driver.
        sysfs: String,
        /// A remark for people.
        note: Option<String>,
    },
    /// The power management chip of a Raspberry Pi 5.
    RaspberryPiPmic {
        /// The command that prints voltage and current of the rails.
        command: String,
        /// A remark for people.
        note: Option<String>,
    },
    /// The energy counters of x86-64 processors.
    Rapl {
        /// A remark for people.
        note: Option<String>,
    },
}

impl Power {
    /// The name that `board.toml` has for the sensor.
    pub fn sensor(&self) -> &'static str {
        match self {
            Power::None { .. } => "none",
            Power::Ina219 { .. } => "ina219",
            Power::Ina3221 { .. } => "ina3221",
            Power::RaspberryPiPmic { .. } => "raspberry-pi-pmic",
            Power::Rapl { .. } => "rapl",
        }
    }

    /// The remark for people.
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
