//! An INA219 as the bus sees it: registers behind an I2C address.

use embedded_hal::i2c::{
    ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation, SevenBitAddress,
};
use std::sync::{Arc, Mutex};

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorError {
    /// No sensor has this address, or it is unplugged.
    NoAnswer,
    /// The sensor has no such register.
    Register(u8),
}

impl embedded_hal::i2c::Error for SensorError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NoAcknowledge(match self {
            Self::NoAnswer => NoAcknowledgeSource::Address,
            Self::Register(_) => NoAcknowledgeSource::Data,
        })
    }
}

/// Reset value of the configuration register.
const CONFIGURATION: u16 = 0x399f;

#[derive(Debug)]
struct State {
    address: u8,
    plugged: bool,
    pointer: u8,
    configuration: u16,
    calibration: u16,
    shunt: i16,
    bus: u16,
}

/// A bus with one INA219. Clones share the sensor: give one to the driver, and set readings through another.
#[derive(Clone, Debug)]
pub struct SensorBus(Arc<Mutex<State>>);

impl SensorBus {
    /// A sensor at this address that measures zero.
    pub fn new(address: u8) -> Self {
        Self(Arc::new(Mutex::new(State {
            address,
            plugged: true,
            pointer: 0,
            configuration: CONFIGURATION,
            calibration: 0,
            shunt: 0,
            bus: 0,
        })))
    }

    /// Sets what it measures from now on: the voltage over the shunt in microvolts, that of the load in
    /// millivolts.
    pub fn set(&self, shunt_microvolts: i32, bus_millivolts: u16) {
        let mut state = self.state();
        state.shunt = (shunt_microvolts / 10) as i16;
        state.bus = (bus_millivolts / 4) << 3 | 2;
    }

    /// Unplugs the sensor: nothing answers any more.
    pub fn unplug(&self) {
        self.state().plugged = false;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    fn read(&self) -> Result<u16, SensorError> {
        match self.pointer {
            0 => Ok(self.configuration),
            1 => Ok(self.shunt as u16),
            2 => Ok(self.bus),
            // Without calibration the sensor computes neither power nor current.
            3 | 4 => Ok(0),
            5 => Ok(self.calibration),
            other => Err(SensorError::Register(other)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SensorError> {
        let [pointer, value @ ..] = bytes else {
            return Ok(());
        };
        self.pointer = *pointer;
        let [high, low] = *value else {
            return Ok(());
        };
        let value = u16::from_be_bytes([high, low]);
        match pointer {
            // The highest bit resets.
            0 if value & 0x8000 != 0 => (self.configuration, self.calibration) = (CONFIGURATION, 0),
            0 => self.configuration = value,
            5 => self.calibration = value & !1,
            other => return Err(SensorError::Register(*other)),
        }
        Ok(())
    }
}

impl ErrorType for SensorBus {
    type Error = SensorError;
}

impl I2c<SevenBitAddress> for SensorBus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), SensorError> {
        let mut state = self.state();
        if address != state.address || !state.plugged {
            return Err(SensorError::NoAnswer);
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => state.write(bytes)?,
                Operation::Read(bytes) => {
                    let value = state.read()?.to_be_bytes();
                    bytes.iter_mut().zip(value).for_each(|(b, v)| *b = v);
                }
            }
        }
        Ok(())
    }
}
