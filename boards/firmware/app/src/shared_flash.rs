//! One flash driver for several parts of a flash.

use core::cell::RefCell;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// A flash driver that several values use, each for its own part of the flash: the model is read in place while heads
/// and samples are written. Calls do not nest, so only one of them uses the driver at a time.
pub struct SharedFlash<'d, D>(&'d RefCell<D>);

impl<'d, D> SharedFlash<'d, D> {
    /// Another user of the driver.
    pub const fn new(driver: &'d RefCell<D>) -> Self {
        Self(driver)
    }
}

impl<D: ErrorType> ErrorType for SharedFlash<'_, D> {
    type Error = D::Error;
}

impl<D: ReadNorFlash> ReadNorFlash for SharedFlash<'_, D> {
    const READ_SIZE: usize = D::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl<D: NorFlash> NorFlash for SharedFlash<'_, D> {
    const WRITE_SIZE: usize = D::WRITE_SIZE;
    const ERASE_SIZE: usize = D::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.borrow_mut().write(offset, bytes)
    }
}
