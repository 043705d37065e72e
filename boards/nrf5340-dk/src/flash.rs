//! The nRF5340's flash behind its cache: the HAL's driver, after which the cache forgets what it held.

use embassy_nrf::nvmc::{Error, Nvmc};
use embassy_nrf::pac;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// The driver of the flash, and the cache.
pub struct CachedFlash<'d>(Nvmc<'d>);

impl<'d> CachedFlash<'d> {
    /// Turns the cache on: at 128 MHz every access to the flash itself waits.
    pub fn new(driver: Nvmc<'d>) -> Self {
        forget();
        pac::CACHE.enable().write(|w| w.set_enable(true));
        Self(driver)
    }
}

/// Makes the cache forget all.
fn forget() {
    pac::CACHE.invalidate().write(|w| w.set_invalidate(true));
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

impl ErrorType for CachedFlash<'_> {
    type Error = Error;
}

impl ReadNorFlash for CachedFlash<'_> {
    const READ_SIZE: usize = Nvmc::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl NorFlash for CachedFlash<'_> {
    const WRITE_SIZE: usize = Nvmc::WRITE_SIZE;
    const ERASE_SIZE: usize = Nvmc::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let result = self.0.erase(from, to);
        forget();
        result
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let result = self.0.write(offset, bytes);
        forget();
        result
    }
}
