//! Heads in flash: two slots, and behind them the factory head in the model.
//!
//! A slot is half of the store's area, whole erase blocks:
//!
//! | bytes | content |
//! |---|---|
//! | 0..64 | first revocation mark; erased until the head is rolled back |
//! | 64..192 | slot header: see the code of `Header` |
//! | 192..256 | second revocation mark |
//! | 256.. | the head file |
//!
//! The active head is the valid head with the higher sequence number that is not revoked, or the factory head
//! if there is none. A commit erases the slot that is not active, writes the head file, and the header last:
//! until its last bit is written the old head is active, after that the new one. So power may fail at any
//! point. A rollback programs the marks of the active slot.
//!
//! There is a mark on both sides of the header because an erase that loses power may leave any part of the
//! block. Whether the erase works from the front or from the back, the header is gone before both marks are,
//! and a revoked head cannot come back.
//!
//! A head is not valid if it belongs to another trunk, if its checksum is wrong, or if it was imported and
//! does not satisfy [`Trust`]. Knows no transport and no training.

use super::file::Head;
use crate::flash::{Area, Flash, FlashError, is_erased, write};
use crate::model::{Model, ModelError};
use crate::signature::{SIGNATURE_LEN, Trust, TrustError};

const MAGIC: [u8; 4] = *b"GSLT";
const VERSION: u16 = 1;
const MARK: [usize; 2] = [0, 192];
const MARK_LEN: usize = 64;
const HEADER_AT: usize = 64;
const HEADER_LEN: usize = 128;

/// Bytes of a slot before its head file.
pub const SLOT_OVERHEAD: usize = 256;

/// Why the store refuses a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The flash failed.
    #[error(transparent)]
    Flash(#[from] FlashError),
    /// The area does not hold two slots.
    #[error(
        "the area of the head store is no even number of erase blocks of a flash that can be used"
    )]
    Area,
    /// The head is too large.
    #[error("the head has {need} bytes and a slot takes {have}; use fewer classes or larger slots")]
    Room {
        /// What a slot takes.
        have: usize,
        /// Length of the head file.
        need: usize,
    },
    /// The file is no valid head for this model.
    #[error(transparent)]
    Head(#[from] ModelError),
    /// Its signature is missing or wrong.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The factory head is active.
    #[error("the factory head is active; there is nothing to roll back to")]
    NothingToRollBack,
    /// All 2^32 sequence numbers are used.
    #[error("the sequence numbers of the head store are used up; erase it")]
    Sequence,
}

/// Which head is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Active {
    /// The head of the model.
    Factory,
    /// A head that was committed.
    Slot {
        /// Its slot, 0 or 1.
        slot: u8,
        /// Its sequence number, from 1.
        sequence: u32,
    },
}

impl Active {
    /// The sequence number, 0 for the factory head.
    pub const fn sequence(&self) -> u32 {
        match self {
            Self::Factory => 0,
            Self::Slot { sequence, .. } => *sequence,
        }
    }
}

/// The fixed part of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    sequence: u32,
    len: u32,
    imported: bool,
    signature: Option<[u8; SIGNATURE_LEN]>,
}

impl Header {
    /// Magic, version, two flags, sequence, length, signature, zeros, CRC-32.
    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&VERSION.to_le_bytes());
        out[6] = self.imported as u8;
        out[7] = self.signature.is_some() as u8;
        out[8..12].copy_from_slice(&self.sequence.to_le_bytes());
        out[12..16].copy_from_slice(&self.len.to_le_bytes());
        if let Some(signature) = &self.signature {
            out[16..80].copy_from_slice(signature);
        }
        let crc = crate::crc32(&[&out[..HEADER_LEN - 4]]);
        out[HEADER_LEN - 4..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let word = |at: usize| Some(u32::from_le_bytes(*bytes[at..].first_chunk()?));
        let signature = *bytes[16..].first_chunk()?;
        let header = Self {
            sequence: word(8)?,
            len: word(12)?,
            imported: bytes[6] == 1,
            signature: (bytes[7] == 1).then_some(signature),
        };
        // Bytes that do not encode to themselves are damaged or of another version.
        (header.encode() == *bytes && header.sequence > 0).then_some(header)
    }
}

/// The two slots.
///
/// ```
/// use edge_runtime::flash::{Area, Geometry};
/// use edge_runtime::head::store::{Active, HeadStore};
/// use edge_runtime::signature::Trust;
/// # use edge_runtime::{model::Model, sim::SimFlash};
/// # let bytes = graft_tests::tiny::model();
/// # let model = Model::parse(&bytes)?;
/// # let head = model.head().unwrap().bytes();
/// # let geometry = Geometry { len: 8192, write_size: 16, erase_size: 4096 };
/// # let mut flash = SimFlash::new(geometry, true);
///
/// // Two slots of one erase block each.
/// let area = Area { start: 0, len: 8192 };
/// let mut store = HeadStore::open(&flash, area, &model, Trust::Anyone)?;
/// assert_eq!(store.active(), Active::Factory);
/// // `head` is a head file that was trained here.
/// store.commit(&mut flash, head, None, &model)?;
/// assert_eq!(store.active().sequence(), 1);
/// let active = store.head(&flash, &model)?.expect("a head");
/// assert_eq!(active.bytes(), head);
/// assert_eq!(store.rollback(&mut flash)?, Active::Factory);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HeadStore {
    area: Area,
    trust: Trust,
    valid: [Option<Header>; 2],
    /// Highest sequence number seen, revoked heads included: no number is given twice.
    newest: u32,
}

impl HeadStore {
    /// Reads the slots; writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Area`] if the area does not hold two slots of whole erase blocks.
    pub fn open(
        flash: &impl Flash,
        area: Area,
        model: &Model<'_>,
        trust: Trust,
    ) -> Result<Self, StoreError> {
        let geometry = flash.geometry();
        let blocks = area.len / geometry.erase_size.max(1);
        let fits = geometry.is_usable() && area.fits(&geometry);
        if !fits || blocks < 2 || !blocks.is_multiple_of(2) {
            return Err(StoreError::Area);
        }
        let mut store = Self {
            area,
            trust,
            valid: [None; 2],
            newest: 0,
        };
        for slot in 0..2 {
            store.valid[slot] = store.judge(flash, slot, model);
            let header = store
                .overhead(flash, slot)
                .and_then(|o| Header::decode(&o[HEADER_AT..]));
            store.newest = store.newest.max(header.map_or(0, |h| h.sequence));
        }
        Ok(store)
    }

    /// Longest head file that fits a slot.
    pub const fn capacity(&self) -> usize {
        Self::slot_capacity(self.area.len as usize)
    }

    /// Longest head file of a store whose area has `area_len` bytes.
    pub const fn slot_capacity(area_len: usize) -> usize {
        (area_len / 2).saturating_sub(SLOT_OVERHEAD)
    }

    /// Which head is active.
    pub fn active(&self) -> Active {
        let slots = (0..2).filter_map(|slot| Some((slot, self.valid[slot]?.sequence)));
        match slots.max_by_key(|(_, sequence)| *sequence) {
            Some((slot, sequence)) => Active::Slot {
                slot: slot as u8,
                sequence,
            },
            None => Active::Factory,
        }
    }

    /// The head that [`Self::rollback`] would make active; `None` if the factory head is active.
    pub fn previous(&self) -> Option<Active> {
        let Active::Slot { slot, .. } = self.active() else {
            return None;
        };
        let mut without = *self;
        without.valid[slot as usize] = None;
        Some(without.active())
    }

    /// The active head; `None` if that is the factory head and the model has none.
    ///
    /// # Errors
    /// [`StoreError::Head`] if its bytes changed since [`Self::open`].
    pub fn head<'f>(
        &self,
        flash: &'f impl Flash,
        model: &Model<'f>,
    ) -> Result<Option<Head<'f>>, StoreError> {
        match self.active() {
            Active::Factory => Ok(model.head().copied()),
            Active::Slot { slot, .. } => {
                let len = self.valid[slot as usize].map_or(0, |h| h.len);
                let bytes = self.body(flash, slot as usize, len);
                Ok(Some(Head::parse(bytes.unwrap_or_default(), model)?))
            }
        }
    }

    /// The signature with which the active head was imported, if it has one.
    pub fn signature(&self) -> Option<[u8; SIGNATURE_LEN]> {
        match self.active() {
            Active::Factory => None,
            Active::Slot { slot, .. } => self.valid[slot as usize]?.signature,
        }
    }

    /// Checks length, trunk, checksum and signature of a head that is to be imported.
    ///
    /// # Errors
    /// The first reason to refuse it.
    pub fn check_import(
        &self,
        head: &[u8],
        signature: Option<&[u8; SIGNATURE_LEN]>,
        model: &Model<'_>,
    ) -> Result<(), StoreError> {
        self.check_room(head.len())?;
        Head::parse(head, model)?;
        let trunk = model.trunk_sha256();
        Ok(self.trust.check_head(trunk, head, signature)?)
    }

    /// Makes `head` the active one and returns its sequence number. `head` is a head file that starts on a
    /// multiple of
    /// 16. `import` is `None` for a head that was trained here, and for an imported head `Some` of its
    ///    signature, if it has one.
    ///
    /// # Errors
    /// If the head is refused or the flash fails. Then, and when power fails, the head that was active still
    /// is.
    pub fn commit(
        &mut self,
        flash: &mut impl Flash,
        head: &[u8],
        import: Option<Option<[u8; SIGNATURE_LEN]>>,
        model: &Model<'_>,
    ) -> Result<u32, StoreError> {
        self.check_room(head.len())?;
        Head::parse(head, model)?;
        if let Some(signature) = import {
            self.trust
                .check_head(model.trunk_sha256(), head, signature.as_ref())?;
        }
        let used = |slot: usize| self.valid[slot].map_or(0, |h| h.sequence);
        let sequence = self.newest.checked_add(1).ok_or(StoreError::Sequence)?;
        let slot = usize::from(used(0) > used(1));
        let start = self.slot_start(slot);

        self.complete_marks(flash, slot);
        self.valid[slot] = None;
        // The block with the header goes first: what it leaves is no slot.
        let (block, len) = (flash.geometry().erase_size, self.area.len / 2);
        for at in (start..start + len).step_by(block as usize) {
            flash.erase(at)?;
        }
        write(flash, start + SLOT_OVERHEAD as u32, head)?;
        let header = Header {
            sequence,
            len: head.len() as u32,
            imported: import.is_some(),
            signature: import.flatten(),
        };
        write(flash, start + HEADER_AT as u32, &header.encode())?;
        self.valid[slot] = self.judge(flash, slot, model);
        if self.valid[slot] == Some(header) {
            self.newest = sequence;
            Ok(sequence)
        } else {
            Err(FlashError::Verify { at: start }.into())
        }
    }

    /// Goes back to the head before: from the newer to the older one, from that to the factory head. Returns
    /// which one is active then.
    ///
    /// # Errors
    /// [`StoreError::NothingToRollBack`] if the factory head is active. If the flash or power fails, the
    /// active head is either the one that was active or the one before.
    pub fn rollback(&mut self, flash: &mut impl Flash) -> Result<Active, StoreError> {
        let Active::Slot { slot, .. } = self.active() else {
            return Err(StoreError::NothingToRollBack);
        };
        let start = self.slot_start(slot as usize);
        let mark = [0; crate::flash::MAX_WRITE_SIZE];
        for at in MARK {
            write(flash, start + at as u32, &mark)?;
            // One mark is enough to revoke.
            self.valid[slot as usize] = None;
        }
        Ok(self.active())
    }

    /// If a rollback lost power after its first mark, sets the other one, before the slot is erased.
    fn complete_marks(&self, flash: &mut impl Flash, slot: usize) {
        let Some(overhead) = self.overhead(flash, slot) else {
            return;
        };
        let missing = MARK.map(|at| is_erased(&overhead[at..][..MARK_LEN]));
        if missing[0] != missing[1] && Header::decode(&overhead[HEADER_AT..]).is_some() {
            let at = self.slot_start(slot) + MARK[usize::from(missing[1])] as u32;
            // A block that was erased in part may not take it, and is erased next anyway.
            let _ = write(flash, at, &[0; crate::flash::MAX_WRITE_SIZE]);
        }
    }

    fn check_room(&self, need: usize) -> Result<(), StoreError> {
        let have = self.capacity();
        if need > have {
            return Err(StoreError::Room { have, need });
        }
        Ok(())
    }

    fn slot_start(&self, slot: usize) -> u32 {
        self.area.start + slot as u32 * (self.area.len / 2)
    }

    fn overhead<'f>(&self, flash: &'f impl Flash, slot: usize) -> Option<&'f [u8]> {
        let start = self.slot_start(slot) as usize;
        flash.bytes().get(start..start + SLOT_OVERHEAD)
    }

    fn body<'f>(&self, flash: &'f impl Flash, slot: usize, len: u32) -> Option<&'f [u8]> {
        let start = self.slot_start(slot) as usize + SLOT_OVERHEAD;
        (len as usize <= self.capacity())
            .then(|| flash.bytes().get(start..start + len as usize))
            .flatten()
    }

    /// The slot's header, if everything about the slot is right.
    fn judge(&self, flash: &impl Flash, slot: usize, model: &Model<'_>) -> Option<Header> {
        let overhead = self.overhead(flash, slot)?;
        if MARK
            .iter()
            .any(|at| !is_erased(&overhead[*at..][..MARK_LEN]))
        {
            return None;
        }
        let header = Header::decode(&overhead[HEADER_AT..])?;
        let head = self.body(flash, slot, header.len)?;
        Head::parse(head, model).ok()?;
        if header.imported {
            let trunk = model.trunk_sha256();
            self.trust
                .check_head(trunk, head, header.signature.as_ref())
                .ok()?;
        }
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_as_it_was_written() {
        let header = Header {
            sequence: 7,
            len: 1234,
            imported: true,
            signature: Some([9; 64]),
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(Header::decode(&bytes[1..]), None);
        assert_eq!(Header::decode(&[0; 128]), None);
    }
}
