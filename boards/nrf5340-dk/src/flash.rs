//! The flash of the nRF5340 and its cache: the driver of the HAL, and after each write an empty cache.

use embassy_nrf::nvmc::{Error, Nvmc};
use embassy_nrf::pac;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// The driver of the flash with the cache in front of it.
pub struct CachedFlash<'d>(Nvmc<'d>);

impl<'d> CachedFlash<'d> {
    /// Turns the cache on: at 128 MHz the processor waits at every access to the flash itself.
    pub fn new(driver: Nvmc<'d>) -> Self {
        clear_cache();
        pac::CACHE.enable().write(|w| w.set_enable(true));
        Self(driver)
    }
}

/// Empties the cache.
fn clear_cache() {
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
        clear_cache();
        result
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let result = self.0.write(offset, bytes);
        clear_cache();
        result
    }
}
