//! The fixed 64 bytes at the start of a `.edge` file.

use super::{ModelError, align};
use sha2::{Digest, Sha256};

/// First bytes of every `.edge` file. The first is not ASCII and the last two are a line break, so a
/// text-mode copy is noticed (PNG's trick).
pub const MAGIC: [u8; 8] = *b"\x8aGRAFT\r\n";

/// The format of most files.
pub const VERSION: u16 = 2;

/// The format of files that say more of their output than that it is logits, see [`super::Output`]. Others stay
/// version 2.
pub const WITH_OUTPUT: u16 = 3;

/// Length of the header in bytes.
pub const LEN: usize = 64;

/// Lengths of the sections and the hash of metadata and weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// True if an [`super::Output`] record stands behind the layers.
    pub with_output: bool,
    /// Bytes of metadata.
    pub metadata_len: u32,
    /// Bytes of weights.
    pub weights_len: u32,
    /// Bytes of the factory head; 0 if there is none.
    pub head_len: u32,
    /// SHA-256 of everything between header and head.
    pub sha256: [u8; 32],
}

impl Header {
    /// Reads the header; the version is checked before anything that depends on it.
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let cut = ModelError::Truncated {
            have: bytes.len() as u64,
            need: LEN as u64,
        };
        let magic = bytes
            .get(..8)
            .ok_or(if bytes.is_empty() || MAGIC.starts_with(bytes) {
                cut.clone()
            } else {
                ModelError::NotAModel
            })?;
        if magic != MAGIC {
            return Err(ModelError::NotAModel);
        }
        let bytes: &[u8; LEN] = bytes.first_chunk().ok_or(cut)?;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if !(VERSION..=WITH_OUTPUT).contains(&version) {
            return Err(ModelError::Version { found: version });
        }
        if bytes[10..12] != [0; 2] || bytes[24..32] != [0; 8] {
            return Err(ModelError::Reserved);
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&bytes[32..64]);
        Ok(Self {
            with_output: version == WITH_OUTPUT,
            metadata_len: word(12),
            weights_len: word(16),
            head_len: word(20),
            sha256,
        })
    }

    /// The 64 bytes of this header.
    pub fn encode(&self) -> [u8; LEN] {
        let mut out = [0; LEN];
        out[..8].copy_from_slice(&MAGIC);
        let version = if self.with_output {
            WITH_OUTPUT
        } else {
            VERSION
        };
        out[8..10].copy_from_slice(&version.to_le_bytes());
        out[12..16].copy_from_slice(&self.metadata_len.to_le_bytes());
        out[16..20].copy_from_slice(&self.weights_len.to_le_bytes());
        out[20..24].copy_from_slice(&self.head_len.to_le_bytes());
        out[32..].copy_from_slice(&self.sha256);
        out
    }

    /// Where the weights start in the file.
    pub fn weights_offset(&self) -> u64 {
        LEN as u64 + align64(self.metadata_len)
    }

    /// Where the head starts in the file (the file's end if it has none).
    pub fn head_offset(&self) -> u64 {
        self.weights_offset() + align64(self.weights_len)
    }

    /// Length of the whole file.
    pub fn file_len(&self) -> u64 {
        self.head_offset() + self.head_len as u64
    }

    /// Compares the length of the file, which must be exact.
    pub fn check_len(&self, have: u64) -> Result<(), ModelError> {
        let need = self.file_len();
        if have < need {
            return Err(ModelError::Truncated { have, need });
        }
        if have > need {
            return Err(ModelError::Trailing { have, need });
        }
        Ok(())
    }

    /// Metadata, weights and head of a file with this header; its length must be exact.
    pub fn sections<'a>(&self, bytes: &'a [u8]) -> Result<[&'a [u8]; 3], ModelError> {
        self.check_len(bytes.len() as u64)?;
        // Every offset is at most `have`, which is a usize.
        let (weights, head) = (self.weights_offset() as usize, self.head_offset() as usize);
        Ok([
            &bytes[LEN..][..self.metadata_len as usize],
            &bytes[weights..][..self.weights_len as usize],
            &bytes[head..],
        ])
    }

    /// Compares the trunk's hash; `bytes` is the whole file, its length checked by [`Self::sections`].
    pub fn verify_hash(&self, bytes: &[u8]) -> Result<(), ModelError> {
        let trunk = &bytes[LEN..self.head_offset() as usize];
        if Sha256::digest(trunk)[..] == self.sha256 {
            Ok(())
        } else {
            Err(ModelError::Hash { section: "trunk" })
        }
    }
}

fn align64(len: u32) -> u64 {
    (len as u64).div_ceil(super::ALIGNMENT as u64) * super::ALIGNMENT as u64
}

const _: () = assert!(align(LEN) == LEN);

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        with_output: false,
        metadata_len: 17,
        weights_len: 33,
        head_len: 5,
        sha256: [7; 32],
    };

    #[test]
    fn round_trip_and_offsets() {
        let bytes = HEADER.encode();
        assert_eq!(Header::read(&bytes), Ok(HEADER));
        let other = Header {
            with_output: true,
            ..HEADER
        };
        assert_eq!(Header::read(&other.encode()), Ok(other));
        assert_eq!(HEADER.weights_offset(), 96);
        assert_eq!(HEADER.head_offset(), 144);
        assert_eq!(HEADER.file_len(), 149);
    }

    #[test]
    fn the_version_is_judged_before_the_lengths() {
        let mut bytes = HEADER.encode();
        bytes[8] = 9;
        bytes[12..24].fill(0xff);
        assert_eq!(Header::read(&bytes), Err(ModelError::Version { found: 9 }));
    }

    #[test]
    fn short_and_foreign_files() {
        let bytes = HEADER.encode();
        for n in 0..LEN {
            let cut = ModelError::Truncated {
                have: n as u64,
                need: LEN as u64,
            };
            assert_eq!(Header::read(&bytes[..n]), Err(cut));
        }
        assert_eq!(Header::read(b"hello"), Err(ModelError::NotAModel));
        assert_eq!(Header::read(&[0; 100]), Err(ModelError::NotAModel));
        let mut long = HEADER;
        long.weights_len = u32::MAX;
        assert!(matches!(
            long.sections(&bytes),
            Err(ModelError::Truncated { have: 64, .. })
        ));
    }
}
