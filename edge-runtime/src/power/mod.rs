//! Power meters: what a device or a host can ask for the power it draws.
//!
//! A trait with one question, and a sensor behind I2C that answers it. Knows no board: which sensor is
//! where, with what shunt, the board says.

pub mod ina219;

/// Power and what it was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// Millivolts on the load's side.
    pub millivolts: u32,
    /// Microamperes; negative if the load feeds back.
    pub microamperes: i32,
    /// Microwatts.
    pub microwatts: i32,
}

/// Why there is no reading.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
pub enum PowerError {
    /// The board has none.
    #[error("this device has no power sensor")]
    None,
    /// It does not answer.
    #[error("the power sensor does not answer; check its address and wiring")]
    Bus,
    /// The value is out of the sensor's range.
    #[error("the power sensor is out of range; its shunt is too large for this load")]
    Range,
}

/// Something that measures the power of the whole device.
pub trait PowerMeter {
    /// Measures now.
    fn read(&mut self) -> Result<Reading, PowerError>;
}

/// No meter.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl PowerMeter for NoMeter {
    fn read(&mut self) -> Result<Reading, PowerError> {
        Err(PowerError::None)
    }
}

impl<M: PowerMeter + ?Sized> PowerMeter for &mut M {
    fn read(&mut self) -> Result<Reading, PowerError> {
        (**self).read()
    }
}
