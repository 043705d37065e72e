//! Frames on a byte pipe that loses and damages bytes: COBS with a checksum.
//!
//! A payload and its CRC-32 (little-endian) are encoded by COBS, so that no zero byte is in them, and end
//! with a zero. Whatever happens to the bytes, the next zero is the end of a frame: the reader is in step
//! again. A zero is also sent before each frame, which ends what noise may have begun.
//!
//! Buffers are the caller's. Knows nothing of what is in a payload.

use super::crc32;

/// Bytes of the checksum.
const CRC_LEN: usize = 4;

/// Longest frame of a payload of so many bytes.
pub const fn frame_len(payload: usize) -> usize {
    let coded = payload + CRC_LEN;
    coded + coded.div_ceil(254) + 2
}

/// Length of the reader's buffer for payloads of so many bytes.
pub const fn reader_len(payload: usize) -> usize {
    frame_len(payload) - 2
}

/// Writes the frame of a payload to the start of `out`; `None` if it is too long for `out`.
pub fn encode<'o>(payload: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
    if out.len() < frame_len(payload.len()) {
        return None;
    }
    out[0] = 0;
    let mut encoder = cobs::CobsEncoder::new(&mut out[1..]);
    encoder.push(payload).ok()?;
    encoder.push(&crc32(&[payload]).to_le_bytes()).ok()?;
    let end = 1 + encoder.finalize();
    *out.get_mut(end)? = 0;
    Some(&out[..=end])
}

/// Collects bytes until a frame is whole.
#[derive(Debug)]
pub struct FrameReader<'b> {
    buffer: &'b mut [u8],
    len: usize,
    /// The frame is too long; its rest is skipped.
    skip: bool,
    damaged: u32,
}

impl<'b> FrameReader<'b> {
    /// A reader of payloads that fit `buffer` (see [`reader_len`]).
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            len: 0,
            skip: false,
            damaged: 0,
        }
    }

    /// Takes bytes from the front of `bytes` and returns the payload of the first whole frame, if there is
    /// one. To be called until `bytes` is empty. Damaged and overlong frames are counted and dropped.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Option<&[u8]> {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if *byte != 0 {
                match self.buffer.get_mut(self.len) {
                    Some(place) => {
                        *place = *byte;
                        self.len += 1;
                    }
                    None => self.skip = true,
                }
                continue;
            }
            let (len, skip) = (self.len, self.skip);
            (self.len, self.skip) = (0, false);
            if len == 0 {
                continue;
            }
            match decode(&mut self.buffer[..len]).filter(|_| !skip) {
                Some(end) => return Some(&self.buffer[..end]),
                None => self.damaged = self.damaged.saturating_add(1),
            }
        }
        None
    }

    /// Frames that were dropped so far.
    pub fn damaged(&self) -> u32 {
        self.damaged
    }
}

/// Decodes in place and checks; returns the payload's length.
fn decode(frame: &mut [u8]) -> Option<usize> {
    let len = cobs::decode_in_place(frame).ok()?;
    let payload = len.checked_sub(CRC_LEN)?;
    let (payload, crc) = frame.get(..len)?.split_at(payload);
    (crc == crc32(&[payload]).to_le_bytes()).then_some(payload.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; frame_len(payload.len())];
        encode(payload, &mut out).unwrap().to_vec()
    }

    /// All payloads in `bytes`, which come in pieces of `piece`.
    fn payloads(bytes: &[u8], room: usize, piece: usize) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; reader_len(room)];
        let mut reader = FrameReader::new(&mut buffer);
        let mut found = vec![];
        for mut part in bytes.chunks(piece) {
            while let Some(payload) = reader.read(&mut part) {
                found.push(payload.to_vec());
            }
        }
        found
    }

    #[test]
    fn known_bytes() {
        // The example of docs/reference/protocol.md.
        assert_eq!(crc32(&[b"123456789"]), 0xcbf4_3926);
        let expected = [0, 2, 1, 6, 2, 0x09, 0xd2, 0x8d, 0x10, 0];
        assert_eq!(frame(&[1, 0, 2]), expected, "{:x?}", frame(&[1, 0, 2]));
    }

    #[test]
    fn an_overlong_frame_is_skipped() {
        let mut line = frame(&[9; 100]);
        line.extend(frame(&[1, 2, 3]));
        assert_eq!(payloads(&line, 10, 7), [vec![1, 2, 3]]);
        assert!(encode(&[1; 20], &mut [0; 20]).is_none());
    }

    proptest! {
        #[test]
        fn frames_arrive(
            sent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..6),
            piece in 1usize..50,
        ) {
            let line: Vec<u8> = sent.iter().flat_map(|p| frame(p)).collect();
            prop_assert_eq!(payloads(&line, 700, piece), sent);
        }

        #[test]
        fn the_reader_finds_its_way_back(
            garbage in proptest::collection::vec(any::<u8>(), 0..400),
            payload in proptest::collection::vec(any::<u8>(), 0..60),
            room in 0usize..80,
        ) {
            let mut line = garbage;
            line.extend(frame(&payload));
            let found = payloads(&line, room, 16);
            if payload.len() <= room {
                prop_assert_eq!(found.last(), Some(&payload));
            }
        }

        #[test]
        fn a_wrong_bit_is_noticed(payload in proptest::collection::vec(any::<u8>(), 1..300), at: usize, bit in 0u8..8) {
            let mut line = frame(&payload);
            let at = 1 + at % (line.len() - 2);
            line[at] ^= 1 << bit;
            let found = payloads(&line, 300, 64);
            prop_assert!(found.iter().all(|p| *p == payload), "nothing but the payload");
        }
    }
}
