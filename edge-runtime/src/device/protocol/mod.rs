//! What hosts ask and devices answer; `docs/reference/protocol.md` is the specification.
//!
//! A payload is a [`Header`] of 9 bytes, the same in every version, then a [`Request`] or a [`Message`] in
//! postcard. Knows no bytes on a line (that is [`super::frame`]) and nothing of how requests are served.

mod load;
mod reply;
mod request;

pub use load::{Demand, LoadFile, LoadInfo, ModelId, join_signature, split_signature};
pub use reply::*;
pub use request::*;

use serde::{Deserialize, Serialize};

/// Version of the protocol. Any change of a type in this module makes another version.
pub const VERSION: u8 = 4;

/// Longest payload, header included, in either direction.
pub const MAX_PAYLOAD: usize = 1100;

/// Most bytes of data in a chunk.
pub const MAX_CHUNK: usize = 1024;

/// Bytes of a header.
pub const HEADER_LEN: usize = 9;

/// What every payload starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the protocol; decides how to read what follows the header.
    pub version: u8,
    /// Number of the session: chosen by the host, another one each time it connects.
    pub session: u32,
    /// Number of the request in the session, which grows by 1. A reply has the number of its request.
    pub id: u32,
}

impl Header {
    /// The header of this version.
    pub const fn new(session: u32, id: u32) -> Self {
        Self {
            version: VERSION,
            session,
            id,
        }
    }

    /// Its bytes: version, session, id, little-endian.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0] = self.version;
        out[1..5].copy_from_slice(&self.session.to_le_bytes());
        out[5..].copy_from_slice(&self.id.to_le_bytes());
        out
    }

    /// Splits a payload into header and body.
    pub fn decode(payload: &[u8]) -> Option<(Self, &[u8])> {
        let ([version, s0, s1, s2, s3, id @ ..], body) =
            payload.split_first_chunk::<HEADER_LEN>()?;
        let header = Self {
            version: *version,
            session: u32::from_le_bytes([*s0, *s1, *s2, *s3]),
            id: u32::from_le_bytes(*id),
        };
        Some((header, body))
    }
}

/// Writes header and body; `None` if they do not fit `out`.
pub fn encode(header: Header, body: &impl Serialize, out: &mut [u8]) -> Option<usize> {
    let (start, rest) = out.split_first_chunk_mut::<HEADER_LEN>()?;
    *start = header.encode();
    let len = postcard::to_slice(body, rest).ok()?.len();
    Some(HEADER_LEN + len)
}

/// Reads a body; `None` if it cannot be decoded, or if bytes follow it.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(body).ok()?;
    rest.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceError;
    use proptest::prelude::*;

    #[test]
    fn known_bytes() {
        // The examples of docs/reference/protocol.md. A change here is another version.
        let mut out = [0; 64];
        let header = Header::new(0x0403_0201, 7);
        let len = encode(header, &Request::Hello { expect: None }, &mut out).unwrap();
        assert_eq!(out[..len], [4, 1, 2, 3, 4, 7, 0, 0, 0, 0, 0]);
        let chunk = Request::InputChunk {
            offset: 300,
            data: &[5, 6],
        };
        let len = encode(header, &chunk, &mut out).unwrap();
        assert_eq!(out[9..len], [4, 0xac, 2, 2, 5, 6]);
        let error = Message::Reply(Err(DeviceError::Version { device: 4 }));
        let len = encode(header, &error, &mut out).unwrap();
        assert_eq!(out[9..len], [0, 1, 0, 4]);
        assert_eq!(encode(header, &chunk, &mut [0; 12]), None);
    }

    proptest! {
        #[test]
        fn counts_come_as_they_were(counts in proptest::collection::vec(0u32..1 << 28, 0..100)) {
            let mut memory: Vec<u8> = counts.iter().flat_map(|c| c.to_le_bytes()).collect();
            prop_assert!(Counts::pack(&mut memory).iter().eq(counts));
        }

        #[test]
        fn whatever_comes_is_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((header, body)) = Header::decode(&bytes) {
                prop_assert_eq!(&header.encode()[..], &bytes[..HEADER_LEN]);
                let mut out = [0; 400];
                if let Some(request) = decode::<Request<'_>>(body) {
                    let len = encode(header, &request, &mut out);
                    prop_assert!(len.is_some_and(|len| len <= bytes.len()));
                }
                let _ = decode::<Message<'_>>(body);
            }
        }
    }
}
