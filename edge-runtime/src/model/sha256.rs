//! SHA-256 hashes in records: as serde reads arrays, in a loop instead of 32 copies of the code for a byte.

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

struct Hash;

impl<'de> Visitor<'de> for Hash {
    type Value = [u8; 32];

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("32 bytes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<[u8; 32], A::Error> {
        let mut hash = [0; 32];
        for (i, byte) in hash.iter_mut().enumerate() {
            let next = bytes.next_element()?;
            *byte = next.ok_or_else(|| A::Error::invalid_length(i, &self))?;
        }
        Ok(hash)
    }
}

/// Reads a hash.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    deserializer.deserialize_tuple(32, Hash)
}

#[cfg(test)]
mod tests {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Record(#[serde(deserialize_with = "super::read")] [u8; 32]);

    #[test]
    fn hashes_lie_as_arrays_do() {
        let hash = core::array::from_fn(|i| 3 * i as u8);
        let mut bytes = [0; 40];
        let written = postcard::to_slice(&Record(hash), &mut bytes).unwrap();
        assert_eq!(written, &hash[..]);
        assert_eq!(postcard::from_bytes(&hash), Ok(Record(hash)));
        assert!(postcard::from_bytes::<Record>(&hash[1..]).is_err());
    }
}
