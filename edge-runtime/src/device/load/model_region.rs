//! A region of flash with room for one model: the old one is erased before the new one arrives.
//!
//! ```text
//! | header | metadata, weights, factory head |   erased   | signature |
//! 0        64                             file's end   len - 64     len
//! ```
//!
//! The header of a new file stays in RAM until the rest is programmed, read back and checked. The block with
//! the old header is erased first: from then on there is no model. The new header is programmed last, its
//! second half first. So whatever a power cut leaves has no header, or fails the checks of
//! [`Model::parse_region`](crate::model::Model::parse_region). Each block is erased just before the file
//! reaches it, so that no request takes long.

use super::store::{Arrived, ModelStore};
use crate::device::error::LoadError;
use crate::flash::{ERASED, Flash, FlashError, MAX_WRITE_SIZE, is_erased, write};
use crate::model::header::LEN;
use crate::signature::SIGNATURE_LEN;

/// Half a header: a multiple of every write unit.
const HALF: usize = LEN / 2;
const _: () =
    assert!(HALF.is_multiple_of(MAX_WRITE_SIZE) && SIGNATURE_LEN.is_multiple_of(MAX_WRITE_SIZE));

/// A flash that holds a model and nothing else.
pub struct ModelRegion<F> {
    flash: F,
    header: [u8; LEN],
    /// Bytes that do not fill a write unit yet.
    tail: [u8; MAX_WRITE_SIZE],
    /// Announced length; 0: nothing was announced.
    len: u32,
    /// Bytes that have arrived.
    received: u32,
    /// Everything before this offset is erased or has the new file; 0: the old model is untouched.
    ready: u32,
}

impl<F: Flash> ModelRegion<F> {
    /// A place for a model that takes a whole flash.
    pub fn new(flash: F) -> Self {
        Self {
            flash,
            header: [0; LEN],
            tail: [ERASED; MAX_WRITE_SIZE],
            len: 0,
            received: 0,
            ready: 0,
        }
    }

    /// The content: at its start a model, or anything else.
    pub fn bytes(&self) -> &[u8] {
        self.flash.bytes()
    }

    /// The flash.
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// The flash, to be written by other means.
    pub fn flash_mut(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Erases up to the block that holds the byte before `end`.
    fn prepare(&mut self, end: u32) -> Result<(), FlashError> {
        let block = self.flash.geometry().erase_size;
        while self.ready < end {
            self.flash.erase(self.ready)?;
            self.ready += block;
        }
        Ok(())
    }

    fn put(&mut self, at: u32, data: &[u8]) -> Result<(), FlashError> {
        self.prepare(at + data.len() as u32)?;
        write(&mut self.flash, at, data)
    }

    /// The write unit: bytes are programmed in multiples of it.
    fn unit(&self) -> usize {
        (self.flash.geometry().write_size as usize).clamp(1, MAX_WRITE_SIZE)
    }

    /// Number of bytes in [`Self::tail`].
    fn waiting(&self) -> usize {
        (self.received as usize).saturating_sub(LEN) % self.unit()
    }

    fn take(&mut self, mut data: &[u8]) -> Result<(), FlashError> {
        // From here on there is no old model.
        self.prepare(1)?;
        if let Some(place) = self.header.get_mut(self.received as usize..) {
            let (start, rest) = data.split_at(place.len().min(data.len()));
            place[..start.len()].copy_from_slice(start);
            self.received += start.len() as u32;
            data = rest;
        }
        let unit = self.unit();
        while !data.is_empty() {
            let (waiting, at) = (self.waiting(), self.received);
            let whole = data.len() - data.len() % unit;
            if waiting == 0 && whole > 0 {
                let (units, rest) = data.split_at(whole);
                self.put(at, units)?;
                (self.received, data) = (at + whole as u32, rest);
                continue;
            }
            let (part, rest) = data.split_at(data.len().min(unit - waiting));
            self.tail[waiting..waiting + part.len()].copy_from_slice(part);
            if waiting + part.len() == unit {
                let tail = self.tail;
                self.put(at - waiting as u32, &tail[..unit])?;
            }
            (self.received, data) = (at + part.len() as u32, rest);
        }
        Ok(())
    }

    /// Drops what has arrived: the transfer must begin again.
    fn fail(&mut self, e: FlashError) -> LoadError {
        self.give_up();
        LoadError::Flash { at: e.at() }
    }

    fn whole(&self) -> Result<(), LoadError> {
        match self.len > 0 && self.received == self.len {
            true => Ok(()),
            false => Err(LoadError::Damaged),
        }
    }

    /// Programs the signature, then the header.
    fn seal(&mut self, signature: Option<&[u8; SIGNATURE_LEN]>) -> Result<(), FlashError> {
        let geometry = self.flash.geometry();
        let end = geometry.len - SIGNATURE_LEN as u32;
        let old = self.flash.bytes().get(end as usize..).unwrap_or_default();
        // An old signature belongs to another file.
        if self.ready <= end && (signature.is_some() || !is_erased(old)) {
            self.flash.erase(geometry.len - geometry.erase_size)?;
        }
        if let Some(signature) = signature {
            write(&mut self.flash, end, signature)?;
        }
        let header = self.header;
        write(&mut self.flash, HALF as u32, &header[HALF..])?;
        write(&mut self.flash, 0, &header[..HALF])
    }
}

impl<F: Flash> ModelStore for ModelRegion<F> {
    fn capacity(&self) -> u32 {
        self.flash
            .geometry()
            .len
            .saturating_sub(SIGNATURE_LEN as u32)
    }

    fn keeps_old(&self) -> bool {
        false
    }

    fn begin(&mut self, len: u32) -> Result<(), LoadError> {
        let have = self.capacity();
        if len > have {
            return Err(LoadError::TooLong { have, need: len });
        }
        if (len as usize) < LEN {
            return Err(LoadError::NotAModel);
        }
        (self.len, self.received, self.ready) = (len, 0, 0);
        Ok(())
    }

    fn append(&mut self, data: &[u8]) -> Result<(), LoadError> {
        let end = self.received as u64 + data.len() as u64;
        if end > self.len as u64 {
            let (have, need) = (self.len, u32::try_from(end).unwrap_or(u32::MAX));
            return Err(LoadError::TooLong { have, need });
        }
        self.take(data).map_err(|e| self.fail(e))
    }

    fn arrived(&mut self) -> Result<Arrived<'_>, LoadError> {
        self.whole()?;
        let waiting = self.waiting();
        if waiting > 0 {
            let at = self.len - waiting as u32;
            let tail = self.tail;
            // A unit can be programmed only once.
            let place = self.flash.bytes().get(at as usize..).unwrap_or_default();
            if self.ready <= at || !place.starts_with(&tail[..waiting]) {
                self.put(at, &tail[..waiting]).map_err(|e| self.fail(e))?;
            }
        }
        let bytes = self.flash.bytes().get(..self.len as usize);
        Ok(Arrived {
            header: &self.header,
            bytes: bytes.ok_or(LoadError::Damaged)?,
        })
    }

    fn finish(&mut self, signature: Option<&[u8; SIGNATURE_LEN]>) -> Result<(), LoadError> {
        self.arrived()?;
        self.seal(signature).map_err(|e| self.fail(e))?;
        self.len = 0;
        Ok(())
    }

    fn give_up(&mut self) {
        (self.len, self.received) = (0, 0);
    }
}
