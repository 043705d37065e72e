//! Where a device keeps its model, for who loads a new one.

use super::LoadError;
use crate::signature::SIGNATURE_LEN;

/// A place for one model. A file comes in order, is checked where it lies, and counts only then.
///
/// Power may fail during any call: afterwards the place holds the old model whole, or the new one whole, or none
/// (what is there is no model, or fails its checks).
pub trait ModelStore {
    /// Longest file that it takes, with room for a signature.
    fn capacity(&self) -> u32;

    /// True if the old model stays until the new one is whole.
    fn keeps_old(&self) -> bool;

    /// Gets ready for a file of `len` bytes, at most [`Self::capacity`]. Whatever came before is dropped; the old
    /// model stays as it is until the first [`Self::append`].
    ///
    /// # Errors
    /// If nothing can be written there.
    fn begin(&mut self, len: u32) -> Result<(), LoadError>;

    /// Takes the file's next bytes.
    ///
    /// # Errors
    /// If they do not fit what was announced, or the place fails. Then all begins anew.
    fn append(&mut self, data: &[u8]) -> Result<(), LoadError>;

    /// The file that has arrived, read back.
    ///
    /// # Errors
    /// If it is not whole, or the place fails.
    fn arrived(&mut self) -> Result<Arrived<'_>, LoadError>;

    /// Makes the file that has arrived the device's model.
    ///
    /// # Errors
    /// If it is not whole, or the place fails.
    fn finish(&mut self, signature: Option<&[u8; SIGNATURE_LEN]>) -> Result<(), LoadError>;

    /// Drops what came.
    fn give_up(&mut self);
}

/// A file that does not count yet.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'s> {
    /// Its first bytes, as many as a header has.
    pub header: &'s [u8; crate::model::header::LEN],
    /// The whole file; in place of the header may be anything. Starts on a multiple of 16.
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
