//! Texas Instruments' INA219 in the supply line, over any embedded-hal I2C bus.
//!
//! The driver is the `ina219` crate; this adapts it. Current is computed here from shunt voltage and shunt,
//! in integers, so that the sensor needs no calibration register.

use super::{PowerError, PowerMeter, Reading};
use embedded_hal::i2c::I2c;
pub use ina219::address::Address;
use ina219::calibration::UnCalibrated;
use ina219::errors::{BusVoltageReadError, ShuntVoltageReadError};

/// An INA219 with its shunt.
pub struct Ina219<I2C> {
    sensor: ina219::SyncIna219<I2C, UnCalibrated>,
    shunt_microohms: u32,
}

impl<I2C: I2c> Ina219<I2C> {
    /// Resets the sensor. `shunt_microohms` is 100 000 on most breakout boards.
    ///
    /// # Errors
    /// If nothing answers at `address`, or the shunt is zero.
    pub fn new(bus: I2C, address: Address, shunt_microohms: u32) -> Result<Self, PowerError> {
        if shunt_microohms == 0 {
            return Err(PowerError::Range);
        }
        let sensor = ina219::SyncIna219::new(bus, address).map_err(|_| PowerError::Bus)?;
        Ok(Self {
            sensor,
            shunt_microohms,
        })
    }
}

impl<I2C: I2c> PowerMeter for Ina219<I2C> {
    fn read(&mut self) -> Result<Reading, PowerError> {
        let shunt = self.sensor.shunt_voltage().map_err(|e| match e {
            ShuntVoltageReadError::I2cError(_) => PowerError::Bus,
            _ => PowerError::Range,
        })?;
        let bus = self.sensor.bus_voltage().map_err(|e| match e {
            BusVoltageReadError::I2cError(_) => PowerError::Bus,
            _ => PowerError::Range,
        })?;
        let microvolts = shunt.shunt_voltage_uv() as i64;
        let microamperes = microvolts * 1_000_000 / self.shunt_microohms as i64;
        let millivolts = bus.voltage_mv() as u32;
        let microwatts = microamperes * millivolts as i64 / 1000;
        let fits = |v: i64| i32::try_from(v).map_err(|_| PowerError::Range);
        Ok(Reading {
            millivolts,
            microamperes: fits(microamperes)?,
            microwatts: fits(microwatts)?,
        })
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::sim::SensorBus;

    const ADDRESS: Address = match Address::from_byte(0x40) {
        Ok(address) => address,
        Err(_) => panic!(),
    };

    #[test]
    fn a_reading_through_the_registers() {
        let bus = SensorBus::new(0x40);
        let mut meter = Ina219::new(bus.clone(), ADDRESS, 100_000).unwrap();
        // 25 mV over 0.1 ohm: 250 mA at 5 V.
        bus.set(25_000, 5000);
        let reading = meter.read().unwrap();
        assert_eq!((reading.millivolts, reading.microamperes), (5000, 250_000));
        assert_eq!(reading.microwatts, 1_250_000);
        bus.set(-1000, 3300);
        assert_eq!(meter.read().unwrap().microamperes, -10_000);
        bus.unplug();
        assert_eq!(meter.read(), Err(PowerError::Bus));
    }

    #[test]
    fn nobody_at_the_address() {
        let bus = SensorBus::new(0x41);
        assert_eq!(
            Ina219::new(bus, ADDRESS, 100_000).err(),
            Some(PowerError::Bus)
        );
        let bus = SensorBus::new(0x40);
        assert_eq!(Ina219::new(bus, ADDRESS, 0).err(), Some(PowerError::Range));
    }
}
