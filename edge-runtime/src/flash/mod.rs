//! Flash memory as the stores use it: bytes that are read in place, programmed in units and erased in blocks.
//!
//! [`Flash`] differs from `embedded-storage`'s `NorFlash` in two ways. The sizes are values and not
//! constants, so one program serves boards with different flashes. And the content is mapped into memory:
//! heads and features are used where they lie, because a microcontroller has no RAM for a copy of every
//! feature. [`Mapped`] makes a [`Flash`] of a driver that implements `NorFlash`. Knows nothing of what is
//! stored.

mod mapped;

pub use mapped::Mapped;

/// Value of an erased byte.
pub const ERASED: u8 = 0xff;

/// Largest write unit that the stores can use, in bytes (STM32H7: 32).
pub const MAX_WRITE_SIZE: usize = 32;

/// Smallest erase block that the stores can use, in bytes.
pub const MIN_ERASE_SIZE: usize = 512;

/// Sizes of a flash, all in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Geometry {
    /// Length of the whole flash; a multiple of `erase_size`.
    pub len: u32,
    /// Unit of programming: a power of two, 1 to [`MAX_WRITE_SIZE`].
    pub write_size: u32,
    /// Unit of erasing; a multiple of `write_size`.
    pub erase_size: u32,
}

impl Geometry {
    /// The unit in which the stores write: `write_size`, but at least 16 bytes, since what is read in place
    /// starts on a multiple of 16.
    pub const fn unit(&self) -> usize {
        if self.write_size > 16 {
            self.write_size as usize
        } else {
            16
        }
    }

    /// True if the stores can work with such a flash.
    pub const fn is_usable(&self) -> bool {
        self.write_size.is_power_of_two()
            && self.write_size as usize <= MAX_WRITE_SIZE
            && self.erase_size as usize >= MIN_ERASE_SIZE
            && self.erase_size.is_multiple_of(MAX_WRITE_SIZE as u32)
            && self.len > 0
            && self.len.is_multiple_of(self.erase_size)
    }
}

/// A range of whole erase blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Area {
    /// First byte; a multiple of the erase size.
    pub start: u32,
    /// Length in bytes; a multiple of the erase size.
    pub len: u32,
}

impl Area {
    /// True if the area consists of whole erase blocks of such a flash.
    pub fn fits(&self, geometry: &Geometry) -> bool {
        let end = self.start as u64 + self.len as u64;
        self.start.is_multiple_of(geometry.erase_size)
            && self.len.is_multiple_of(geometry.erase_size)
            && end <= geometry.len as u64
    }

    /// Offset after the last byte.
    pub const fn end(&self) -> u64 {
        self.start as u64 + self.len as u64
    }
}

/// Why an operation of the flash failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlashError {
    /// An address or a length is no multiple of what the flash works in.
    #[error("flash access at {at} is not aligned to the write or erase size")]
    Unaligned {
        /// Offset in the flash.
        at: u32,
    },
    /// The access is outside the flash.
    #[error("flash access at {at} is outside the flash")]
    Bounds {
        /// Offset in the flash.
        at: u32,
    },
    /// The flash does not hold what was written.
    #[error(
        "flash at {at} does not hold what was written; the block is worn out or was not erased"
    )]
    Verify {
        /// Offset in the flash.
        at: u32,
    },
    /// The controller reports an error.
    #[error("the flash controller reports an error at {at}")]
    Controller {
        /// Offset in the flash.
        at: u32,
    },
}

impl FlashError {
    /// Offset in the flash.
    pub const fn at(&self) -> u32 {
        match *self {
            Self::Unaligned { at }
            | Self::Bounds { at }
            | Self::Verify { at }
            | Self::Controller { at } => at,
        }
    }
}

/// A NOR flash, or something that behaves like one, mapped into memory.
///
/// Power may fail during any call. A unit that was being programmed then, and a block that was being erased,
/// may read as anything, but must be readable: where the controller raises a fault on a damaged ECC word
/// (STM32H7), the implementation answers it. A unit is programmed at most once between two erases of its
/// block.
pub trait Flash {
    /// The sizes. They do not change.
    fn geometry(&self) -> Geometry;

    /// The content; [`Geometry::len`] bytes, starting on a multiple of 16.
    fn bytes(&self) -> &[u8];

    /// Programs erased units: `at` and the length of `data` are multiples of the write size.
    ///
    /// # Errors
    /// [`FlashError`] with the offset, if the access is not allowed or the controller fails.
    fn program(&mut self, at: u32, data: &[u8]) -> Result<(), FlashError>;

    /// Erases the block that starts at `at`: all its bytes read [`ERASED`] afterwards.
    ///
    /// # Errors
    /// [`FlashError`] with the offset, if the access is not allowed or the controller fails.
    fn erase(&mut self, at: u32) -> Result<(), FlashError>;
}

impl<F: Flash + ?Sized> Flash for &mut F {
    fn geometry(&self) -> Geometry {
        (**self).geometry()
    }
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }
    fn program(&mut self, at: u32, data: &[u8]) -> Result<(), FlashError> {
        (**self).program(at, data)
    }
    fn erase(&mut self, at: u32) -> Result<(), FlashError> {
        (**self).erase(at)
    }
}

/// Programs `data` at `at`, the last unit filled up with [`ERASED`], and reads it back.
pub(crate) fn write(flash: &mut impl Flash, at: u32, data: &[u8]) -> Result<(), FlashError> {
    let unit = flash.geometry().write_size.max(1) as usize;
    let whole = data.len() - data.len() % unit;
    if whole > 0 {
        flash.program(at, &data[..whole])?;
    }
    if whole < data.len() {
        let mut last = [ERASED; MAX_WRITE_SIZE];
        let last = last.get_mut(..unit).ok_or(FlashError::Unaligned { at })?;
        last[..data.len() - whole].copy_from_slice(&data[whole..]);
        flash.program(at + whole as u32, last)?;
    }
    let written = flash.bytes().get(at as usize..).unwrap_or_default();
    if written.starts_with(data) {
        Ok(())
    } else {
        Err(FlashError::Verify { at })
    }
}

/// True if every byte is erased.
pub(crate) fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == ERASED)
}
