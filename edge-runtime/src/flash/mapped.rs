//! A `NorFlash` driver and the address at which its flash is mapped.

use super::{Flash, FlashError, Geometry};
use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};

/// A driver of `embedded-storage` together with its memory-mapped content.
#[derive(Debug)]
pub struct Mapped<F> {
    flash: F,
    base: *const u8,
    start: u32,
    len: u32,
}

// SAFETY: the pointer is only read through, and only by the owner of the driver.
unsafe impl<F: Send> Send for Mapped<F> {}

impl<F: NorFlash> Mapped<F> {
    /// The `len` bytes of the driver's flash from offset `start` on, which the processor sees at `base`.
    ///
    /// # Safety
    /// As long as the value lives, `base` must point to `len` readable, initialized bytes which change by
    /// nothing but this value's own `program` and `erase`, and whose changes are seen by later reads (the
    /// driver invalidates caches that lie between).
    pub unsafe fn new(flash: F, base: *const u8, start: u32, len: u32) -> Self {
        Self {
            flash,
            base,
            start,
            len,
        }
    }

    /// The driver.
    pub fn into_inner(self) -> F {
        self.flash
    }

    fn offset(&self, at: u32, len: usize) -> Result<u32, FlashError> {
        let bounds = FlashError::Bounds { at };
        let end = (at as u64)
            .checked_add(len as u64)
            .filter(|end| *end <= self.len as u64);
        end.ok_or(bounds)?;
        self.start.checked_add(at).ok_or(bounds)
    }
}

impl<F: NorFlash> Flash for Mapped<F> {
    fn geometry(&self) -> Geometry {
        Geometry {
            len: self.len,
            write_size: F::WRITE_SIZE as u32,
            erase_size: F::ERASE_SIZE as u32,
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `new`'s caller promises readable bytes that change only through `&mut self`, which
        // cannot happen while the slice is borrowed.
        unsafe { core::slice::from_raw_parts(self.base, self.len as usize) }
    }

    fn program(&mut self, at: u32, data: &[u8]) -> Result<(), FlashError> {
        let offset = self.offset(at, data.len())?;
        self.flash.write(offset, data).map_err(|e| error(e, at))
    }

    fn erase(&mut self, at: u32) -> Result<(), FlashError> {
        let from = self.offset(at, F::ERASE_SIZE)?;
        let to = from
            .checked_add(F::ERASE_SIZE as u32)
            .ok_or(FlashError::Bounds { at })?;
        self.flash.erase(from, to).map_err(|e| error(e, at))
    }
}

fn error(error: impl NorFlashError, at: u32) -> FlashError {
    match error.kind() {
        NorFlashErrorKind::NotAligned => FlashError::Unaligned { at },
        NorFlashErrorKind::OutOfBounds => FlashError::Bounds { at },
        _ => FlashError::Controller { at },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_storage::nor_flash::{ErrorType, ReadNorFlash, check_erase, check_write};

    /// A driver whose flash is a buffer that it reaches by a pointer, as a controller does.
    struct Driver(*mut u8);

    const LEN: usize = 4096;

    impl ErrorType for Driver {
        type Error = NorFlashErrorKind;
    }
    impl ReadNorFlash for Driver {
        const READ_SIZE: usize = 1;
        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
            // SAFETY: the test's buffer has LEN bytes, and the test stays inside.
            let all = unsafe { core::slice::from_raw_parts(self.0, LEN) };
            bytes.copy_from_slice(&all[offset as usize..][..bytes.len()]);
            Ok(())
        }
        fn capacity(&self) -> usize {
            LEN
        }
    }
    impl NorFlash for Driver {
        const WRITE_SIZE: usize = 8;
        const ERASE_SIZE: usize = 1024;
        fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
            check_erase(self, from, to)?;
            // SAFETY: inside the buffer, as checked.
            unsafe {
                self.0
                    .add(from as usize)
                    .write_bytes(0xff, (to - from) as usize)
            };
            Ok(())
        }
        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
            check_write(self, offset, bytes.len())?;
            for (i, b) in bytes.iter().enumerate() {
                // SAFETY: inside the buffer, as checked.
                unsafe { *self.0.add(offset as usize + i) &= b };
            }
            Ok(())
        }
    }

    #[test]
    fn a_driver_becomes_a_flash() {
        let mut memory = vec![0u8; LEN];
        let base = memory.as_mut_ptr();
        // SAFETY: the buffer outlives the value and is reached through `base` only.
        let mut flash = unsafe { Mapped::new(Driver(base), base.wrapping_add(1024), 1024, 2048) };
        let geometry = flash.geometry();
        assert_eq!(
            (geometry.len, geometry.write_size, geometry.erase_size),
            (2048, 8, 1024)
        );
        flash.erase(1024).unwrap();
        flash.program(1032, &[7; 16]).unwrap();
        assert_eq!(flash.bytes()[1032..1048], [7; 16]);
        assert_eq!(
            flash.bytes()[1023..1033],
            [0, 255, 255, 255, 255, 255, 255, 255, 255, 7]
        );
        assert_eq!(flash.erase(2048), Err(FlashError::Bounds { at: 2048 }));
        assert_eq!(flash.erase(100), Err(FlashError::Unaligned { at: 100 }));
        assert_eq!(
            flash.program(4, &[0; 8]),
            Err(FlashError::Unaligned { at: 4 })
        );
        assert_eq!(
            flash.program(2044, &[0; 8]),
            Err(FlashError::Bounds { at: 2044 })
        );
        assert_eq!(memory[..1024], [0; 1024]);
    }
}
