//! Power meters: how much power a device or a host draws.
//!
//! A trait with one method, and a driver of a sensor on an I2C bus that implements it. Knows no board:
//! address and shunt of a sensor come from the board.

pub mod ina219;

/// A power reading, and the voltage and current that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// Voltage at the load, in millivolts.
    pub millivolts: u32,
    /// Current in microamperes; negative if the load feeds back.
    pub microamperes: i32,
    /// Power in microwatts.
    pub microwatts: i32,
}

/// Why there is no reading.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
pub enum PowerError {
    /// The board has no sensor.
    #[error("this device has no power sensor")]
    None,
    /// The sensor does not answer.
    #[error("the power sensor does not answer; check its address and wiring")]
    Bus,
    /// The value is outside the range of the sensor.
    #[error("the power sensor is out of range; its shunt is too large for this load")]
    Range,
}

/// A meter of the power that the whole device draws.
pub trait PowerMeter {
    /// Measures.
    ///
    /// # Errors
    /// [`PowerError`], if there is no sensor or no valid reading.
    fn read(&mut self) -> Result<Reading, PowerError>;
}

/// The meter of a board without a sensor.
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
