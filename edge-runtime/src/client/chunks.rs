//! Transfers in chunks, each acknowledged before the next. Chunks shrink on a bad line: a short frame gets
//! through where a long one is damaged.

use super::exchange::Work;
use super::{Client, ClientError, Pipe};
use crate::device::DeviceError;
use crate::device::protocol::{Reply, Request};

/// Fewest bytes in a chunk.
const MIN_CHUNK: usize = 32;

impl<P: Pipe> Client<P> {
    /// How often to send one chunk: a few times, and more often only if it cannot be made shorter.
    pub(super) fn attempts(&self) -> u32 {
        let smallest = self.chunk <= MIN_CHUNK;
        self.patience
            .attempts
            .min(if smallest { u32::MAX } else { 3 })
    }

    /// Halves the length of chunks; false if they are as short as they can be.
    pub(super) fn shrink(&mut self) -> bool {
        let smaller = (self.chunk / 2).max(MIN_CHUNK).min(self.chunk);
        let shrunk = smaller < self.chunk;
        self.chunk = smaller;
        shrunk
    }

    /// Lengthens the chunks a little, up to what the device takes.
    pub(super) fn grow(&mut self) {
        self.chunk = (self.chunk + self.chunk / 16).min(self.max_chunk);
    }

    /// Sends `bytes` from offset `from` on in chunks, the next one when the last is acknowledged. `watch`
    /// gets the number of bytes that have arrived.
    pub(super) fn send_chunks<'b>(
        &mut self,
        bytes: &'b [u8],
        from: usize,
        work: Work,
        watch: &mut dyn FnMut(usize),
        request: impl Fn(u32, &'b [u8]) -> Request<'b>,
    ) -> Result<(), ClientError> {
        let mut at = from;
        while at < bytes.len() {
            let data = &bytes[at..bytes.len().min(at + self.chunk)];
            let (attempts, before) = (self.attempts(), self.repetitions);
            let request = request(at as u32, data);
            let sent = self.attempt(&request, attempts, work, &mut |_| (), received);
            at = match sent {
                Ok(next) => {
                    if self.repetitions == before {
                        self.grow();
                    }
                    let next = next as usize;
                    if next <= at || next > bytes.len() {
                        return Err(ClientError::Unexpected);
                    }
                    next
                }
                // The chunk arrived, but its acknowledgement was lost.
                Err(ClientError::Device(DeviceError::ChunkOffset { expected }))
                    if expected as usize > at && expected as usize <= bytes.len() =>
                {
                    expected as usize
                }
                Err(ClientError::NoAnswer { .. }) if self.shrink() => at,
                Err(error) => return Err(error),
            };
            watch(at);
        }
        Ok(())
    }
}

/// The offset in a reply to a chunk or an announcement.
pub(super) fn received(reply: Reply<'_>) -> Option<u32> {
    match reply {
        Reply::Received { next } => Some(next),
        _ => None,
    }
}
