//! Heads: import, commit, rollback, export, names of classes.

use super::dispatch::Core;
use super::transfer::Transfer;
use crate::device::Clock;
use crate::device::error::DeviceError;
use crate::device::events::EventKind;
use crate::device::protocol::{LABEL_IN_REPLY, MAX_CHUNK, Reply, join_signature};
use crate::flash::Flash;
use crate::head::Head;
use crate::power::PowerMeter;
use crate::signature::SIGNATURE_LEN;

/// What is in the candidate area.
#[derive(Clone, Copy, Debug)]
pub(super) enum Candidate {
    /// No head.
    None,
    /// A head that was trained here; the length of its file in bytes.
    Trained(usize),
    /// A head that is being imported, and its signature.
    Import(Transfer, Option<[u8; SIGNATURE_LEN]>),
}

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    /// Longest head file that can be imported.
    pub fn max_head(&self) -> usize {
        self.candidate_area.len().min(self.heads.capacity())
    }

    /// Announces a head file.
    pub fn begin_import(
        &mut self,
        len: u32,
        crc: u32,
        signature: Option<[[u8; 32]; 2]>,
    ) -> Result<Reply<'_>, DeviceError> {
        let limit = self.max_head();
        if len == 0 || len as usize > limit {
            let limit = limit as u32;
            return Err(DeviceError::TooLong { limit });
        }
        let signature = signature.map(join_signature);
        self.candidate = Candidate::Import(Transfer::begin(len, crc), signature);
        Ok(Reply::Received { next: 0 })
    }

    /// Takes a part of the announced head file.
    pub fn import_chunk(&mut self, offset: u32, data: &[u8]) -> Result<Reply<'_>, DeviceError> {
        let Candidate::Import(transfer, _) = &mut self.candidate else {
            return Err(DeviceError::Incomplete { have: 0, need: 0 });
        };
        let next = transfer.chunk(self.candidate_area, offset, data)?;
        Ok(Reply::Received { next })
    }

    /// Makes the candidate the active head, and returns its sequence number.
    pub fn commit(&mut self) -> Result<u32, DeviceError> {
        let (head, import) = match self.candidate {
            Candidate::None => return Err(DeviceError::NothingToCommit),
            Candidate::Trained(len) => (self.candidate_area.get(..len), None),
            Candidate::Import(transfer, signature) => {
                let bytes = transfer.finish(self.candidate_area)?;
                (Some(bytes), Some(signature))
            }
        };
        let head = head.unwrap_or_default();
        let result = match import {
            Some(signature) => self
                .heads
                .check_import(head, signature.as_ref(), self.model)
                .map_err(DeviceError::from)
                .and_then(|()| self.check_size(head)),
            None => Ok(()),
        };
        // What is refused once is refused for ever; what the flash did not take may be tried again.
        if result.is_err() {
            self.candidate = Candidate::None;
        }
        result?;
        let sequence = self
            .heads
            .commit(&mut self.flash, head, import, self.model)?;
        self.candidate = Candidate::None;
        self.inferred = 0;
        self.log(EventKind::Committed { sequence });
        Ok(sequence)
    }

    /// Refuses an imported head that needs more memory than there is.
    fn check_size(&self, head: &[u8]) -> Result<(), DeviceError> {
        let head = Head::parse(head, self.model)?;
        let (have, need) = (self.logits.len(), 4 * head.classes());
        if need > have || head.features() > self.feature.len() {
            let (have, need) = (have as u32, need as u32);
            return Err(DeviceError::Ram { have, need });
        }
        Ok(())
    }

    /// Goes back to the head before.
    pub fn rollback(&mut self) -> Result<Reply<'_>, DeviceError> {
        let result = self.heads.rollback(&mut self.flash);
        let sequence = self.heads.active().sequence();
        if result.is_ok() {
            self.log(EventKind::RolledBack { sequence });
        }
        Ok(Reply::RolledBack(result?))
    }

    /// A part of the active head's file.
    pub fn export(&self, offset: usize, max: usize) -> Result<Reply<'_>, DeviceError> {
        let head = self.heads.head(&self.flash, self.model)?;
        let bytes = head.ok_or(DeviceError::NoHead)?.bytes();
        let limit = bytes.len() as u32;
        let rest = bytes.get(offset..).ok_or(DeviceError::TooLong { limit })?;
        Ok(Reply::Head {
            sequence: self.heads.active().sequence(),
            len: limit,
            data: start(rest, max.min(MAX_CHUNK)),
        })
    }

    /// A part of the name of a class.
    pub fn label(&self, class: usize, offset: usize) -> Result<Reply<'_>, DeviceError> {
        let head = self.heads.head(&self.flash, self.model)?;
        let label = head.ok_or(DeviceError::NoHead)?.label(class);
        let label = label.unwrap_or_default().as_bytes();
        let limit = label.len() as u32;
        let rest = label.get(offset..).ok_or(DeviceError::TooLong { limit })?;
        Ok(Reply::Label {
            len: limit,
            data: start(rest, LABEL_IN_REPLY),
        })
    }
}

/// The first bytes, at most `most` of them.
fn start(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(..most).unwrap_or(bytes)
}
