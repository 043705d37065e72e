//! The place where a device keeps its model, as a loader sees it.

use crate::device::error::LoadError;
use crate::signature::SIGNATURE_LEN;

/// A place for one model. A file arrives in order, is checked where it lies, and becomes the model only then.
///
/// Power may fail during any call. After that the place holds the whole old model, the whole new one, or
/// none: then what lies there is no model, or fails the checks.
pub trait ModelStore {
    /// Bytes of the longest file that fits, besides a signature.
    fn capacity(&self) -> u32;

    /// True if the old model stays until the new one is whole.
    fn keeps_old(&self) -> bool;

    /// Prepares for a file of `len` bytes, at most [`Self::capacity`]. Drops an unfinished file; the old
    /// model stays as it is until the first [`Self::append`].
    ///
    /// # Errors
    /// If the place cannot be written.
    fn begin(&mut self, len: u32) -> Result<(), LoadError>;

    /// Writes the next bytes of the file.
    ///
    /// # Errors
    /// If the file is longer than announced, or writing fails. Then the transfer must begin again.
    fn append(&mut self, data: &[u8]) -> Result<(), LoadError>;

    /// The file that has arrived, read back.
    ///
    /// # Errors
    /// If it is not complete, or reading fails.
    fn arrived(&mut self) -> Result<Arrived<'_>, LoadError>;

    /// Makes the file that has arrived the model of the device.
    ///
    /// # Errors
    /// If it is not complete, or writing fails.
    fn finish(&mut self, signature: Option<&[u8; SIGNATURE_LEN]>) -> Result<(), LoadError>;

    /// Drops the unfinished file.
    fn give_up(&mut self);
}

/// A file that has arrived and is not the model yet.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'s> {
    /// The header of the file.
    pub header: &'s [u8; crate::model::header::LEN],
    /// The whole file, but with anything in place of its header. Starts on a multiple of 16.
    pub bytes: &'s [u8],
}

impl<S: ModelStore + ?Sized> ModelStore for &mut S {
    fn capacity(&self) -> u32 {
        (**self).capacity()
    }
    fn keeps_old(&self) -> bool {
        (**self).keeps_old()
    }
    fn begin(&mut self, len: u32) -> Result<(), LoadError> {
        (**self).begin(len)
    }
    fn append(&mut self, data: &[u8]) -> Result<(), LoadError> {
        (**self).append(data)
    }
    fn arrived(&mut self) -> Result<Arrived<'_>, LoadError> {
        (**self).arrived()
    }
    fn finish(&mut self, signature: Option<&[u8; SIGNATURE_LEN]>) -> Result<(), LoadError> {
        (**self).finish(signature)
    }
    fn give_up(&mut self) {
        (**self).give_up();
    }
}
