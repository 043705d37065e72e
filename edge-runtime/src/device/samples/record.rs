//! The two records of the sample store: segment headers and sample headers.

use super::layout::{RECORD_HEADER, SEGMENT_HEADER};
use crate::crc32;
use crate::head::PoolKind;

/// Longest class name in bytes of UTF-8.
pub const MAX_CLASS_NAME: usize = 32;

const MAGIC: [u8; 4] = *b"GSMP";
const VERSION: u16 = 1;

const KINDS: [PoolKind; 3] = [PoolKind::Avg, PoolKind::Max, PoolKind::Flatten];

/// What a segment says of the features in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Grows with every segment that is opened.
    pub sequence: u32,
    /// How the features were pooled.
    pub pool: PoolKind,
    /// Their length.
    pub features: u32,
    /// The trunk that made them.
    pub trunk: [u8; 32],
}

impl Segment {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&VERSION.to_le_bytes());
        out[6] = KINDS.iter().position(|k| *k == self.pool).unwrap_or(0) as u8;
        out[8..12].copy_from_slice(&self.sequence.to_le_bytes());
        out[12..16].copy_from_slice(&self.features.to_le_bytes());
        out[16..48].copy_from_slice(&self.trunk);
        let crc = crc32(&[&out[..SEGMENT_HEADER - 4]]);
        out[SEGMENT_HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEGMENT_HEADER] = bytes.first_chunk()?;
        let segment = Self {
            sequence: word(bytes, 8)?,
            pool: *KINDS.get(bytes[6] as usize)?,
            features: word(bytes, 12)?,
            trunk: *bytes[16..].first_chunk()?,
        };
        (segment.encode() == *bytes).then_some(segment)
    }
}

/// What a sample says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// Grows with every sample; the same in a copy that reclaiming made.
    pub id: u32,
    /// How many samples of its class were captured before, and this one.
    pub ordinal: u32,
    /// Chosen by who added it, to notice a repetition.
    pub token: u64,
    /// True if it judges and is not trained on.
    pub held_out: bool,
    /// Its class.
    pub class: &'a str,
}

impl<'a> Record<'a> {
    /// The header; the checksum covers the feature.
    pub fn encode(&self, feature: &[u8]) -> [u8; RECORD_HEADER] {
        let mut out = [0; RECORD_HEADER];
        out[..4].copy_from_slice(&self.id.to_le_bytes());
        out[4..8].copy_from_slice(&self.ordinal.to_le_bytes());
        out[8..16].copy_from_slice(&self.token.to_le_bytes());
        out[16] = self.class.len() as u8;
        out[17] = self.held_out as u8;
        out[20..20 + self.class.len()].copy_from_slice(self.class.as_bytes());
        out[52..56].copy_from_slice(&(feature.len() as u32).to_le_bytes());
        let crc = crc32(&[&out[..RECORD_HEADER - 4], feature]);
        out[RECORD_HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The record with `features` bytes of feature at the start of `bytes`, if its checksum is right.
    pub fn decode(bytes: &'a [u8], features: usize) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<RECORD_HEADER>()?;
        let feature = rest.get(..features)?;
        let crc = crc32(&[&header[..RECORD_HEADER - 4], feature]);
        let len = header[16] as usize;
        if crc != word(header, RECORD_HEADER - 4)? || len == 0 || len > MAX_CLASS_NAME {
            return None;
        }
        Some(Self {
            id: word(header, 0)?,
            ordinal: word(header, 4)?,
            token: u64::from_le_bytes(*header[8..].first_chunk()?),
            held_out: header[17] == 1,
            class: core::str::from_utf8(header.get(20..20 + len)?).ok()?,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_as_they_were_written() {
        let segment = Segment {
            sequence: 5,
            pool: PoolKind::Max,
            features: 77,
            trunk: [3; 32],
        };
        let bytes = segment.encode();
        assert_eq!(Segment::decode(&bytes), Some(segment));
        assert_eq!(Segment::decode(&[0; 64]), None);
        assert_eq!(Segment::decode(&[0xff; 64]), None);
        let record = Record {
            id: 9,
            ordinal: 16,
            token: 1 << 40,
            held_out: true,
            class: "grüße-aus-der-ferne-aaaaaaaaaa",
        };
        assert!(record.class.len() == MAX_CLASS_NAME);
        let mut bytes = record.encode(b"feature").to_vec();
        bytes.extend_from_slice(b"feature");
        assert_eq!(Record::decode(&bytes, 7), Some(record));
        assert_eq!(Record::decode(&bytes, 6), None);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&damaged, 7), None, "bit {bit}");
        }
        assert_eq!(Record::decode(&[0xff; 80], 7), None);
    }
}
