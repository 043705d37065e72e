//! The power meter that is wired according to `board.toml`, or none.

use edge_runtime::power::ina219::{Address, Ina219};
use edge_runtime::power::{PowerError, PowerMeter, Reading};
use embedded_hal::i2c::I2c;

/// An INA219, as `board.toml` describes it.
#[derive(Clone, Copy, Debug)]
pub struct Sensor {
    /// Number of the I2C bus.
    pub bus: u32,
    /// Its 7-bit address.
    pub address: u8,
    /// Resistance of its shunt in microohm.
    pub shunt_microohms: u32,
}

/// A power meter that may be missing.
pub enum Meter<I2C> {
    /// No meter is wired.
    None,
    /// A meter is wired, and it did not answer at the start.
    Silent(PowerError),
    /// A meter that answers.
    Ina219(Ina219<I2C>),
}

impl<I2C: I2c> Meter<I2C> {
    /// Starts the sensor, if one is wired, on the bus that `bus` makes. A sensor that does not answer is not asked
    /// again until the next start.
    pub fn start(sensor: Option<Sensor>, bus: impl FnOnce() -> I2C) -> Self {
        let Some(sensor) = sensor else {
            return Self::None;
        };
        let meter = Address::from_byte(sensor.address)
            .map_err(|_| PowerError::Bus)
            .and_then(|address| Ina219::new(bus(), address, sensor.shunt_microohms));
        match meter {
            Ok(meter) => Self::Ina219(meter),
            Err(error) => {
                defmt::warn!("no INA219 answers at address {=u8:#x}", sensor.address);
                Self::Silent(error)
            }
        }
    }
}

impl<I2C: I2c> PowerMeter for Meter<I2C> {
    fn read(&mut self) -> Result<Reading, PowerError> {
        match self {
            Self::None => Err(PowerError::None),
            Self::Silent(error) => Err(*error),
            Self::Ina219(meter) => meter.read(),
        }
    }
}
