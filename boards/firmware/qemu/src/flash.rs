//! RAM that behaves like NOR flash: a block must be erased before it is programmed, and programming only clears bits.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// RAM that is programmed in units of `WRITE` bytes and erased in blocks of `ERASE` bytes.
pub struct RamFlash<const WRITE: usize, const ERASE: usize> {
    base: *mut u8,
    len: usize,
}

impl<const WRITE: usize, const ERASE: usize> RamFlash<WRITE, ERASE> {
    /// The `len` bytes of RAM from address `base`.
    ///
    /// # Safety
    /// They must be RAM that only this value writes to.
    pub unsafe fn new(base: usize, len: usize) -> Self {
        let base = core::ptr::with_exposed_provenance_mut(base);
        Self { base, len }
    }

    /// Its first byte.
    pub fn base(&self) -> *const u8 {
        self.base
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for RamFlash<WRITE, ERASE> {
    type Error = NorFlashErrorKind;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for RamFlash<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        for (i, byte) in bytes.iter_mut().enumerate() {
            // SAFETY: inside the RAM, as checked.
            *byte = unsafe { self.base.add(offset as usize + i).read() };
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for RamFlash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        let len = to.saturating_sub(from) as usize;
        // SAFETY: inside the RAM, as checked.
        unsafe { self.base.add(from as usize).write_bytes(0xff, len) };
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: inside the RAM, as checked.
            unsafe { *self.base.add(offset as usize + i) &= byte };
        }
        Ok(())
    }
}
