//! One request and its reply over a pipe that loses bytes: the request is sent again until the reply comes.
//!
//! A request keeps its number when it is repeated, so the device executes it once.

use super::{Client, ClientError, Pipe};
use crate::device::frame::{FrameReader, encode, frame_len, reader_len};
use crate::device::protocol::{self as p, Header, MAX_PAYLOAD, Message, Progress, Reply, Request};
use std::time::{Duration, Instant};

/// How long a client waits, and how often it asks.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Time without an answer after which a request is sent again. It doubles with every repetition, up to 16
    /// times this value. Requests that a device answers at once are repeated sooner, as soon as the client
    /// knows how long the line takes.
    pub timeout: Duration,
    /// How often a request is sent before the client gives up.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(500),
            attempts: 20,
        }
    }
}

/// How much a device does before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Almost nothing: only the line takes time, so a late answer is a lost one.
    Little,
    /// It may erase flash or compute for a while.
    Any,
}

/// Shortest wait before a request is repeated: a busy machine may need as long.
const LEAST_SILENCE: Duration = Duration::from_millis(50);

/// How often a request with little work is repeated before the waits grow: lost bytes are no reason to wait
/// longer.
const QUICK_ATTEMPTS: u32 = 8;

impl<P: Pipe> Client<P> {
    /// Sends a request that may take long, and reads its reply; `progress` gets the messages before the
    /// reply.
    pub(super) fn exchange<R>(
        &mut self,
        request: &Request<'_>,
        progress: &mut dyn FnMut(Progress),
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        self.attempt(request, self.patience.attempts, Work::Any, progress, read)
    }

    /// As [`Self::call`], for requests that a device answers at once.
    pub(super) fn attempt_quickly<R>(
        &mut self,
        request: &Request<'_>,
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        let attempts = self.patience.attempts;
        self.attempt(request, attempts, Work::Little, &mut |_| (), read)
    }

    /// How long to wait for an answer before the request is sent again; `attempt` counts from 0.
    fn silence(&self, work: Work, attempt: u32) -> Duration {
        let longest = self.patience.timeout * 16;
        match work {
            Work::Any => self.patience.timeout * (1 << attempt.min(4)),
            Work::Little => {
                let doublings = (attempt + 1).saturating_sub(QUICK_ATTEMPTS).min(20);
                self.quick.saturating_mul(1 << doublings).min(longest)
            }
        }
    }

    /// Adapts to how long the line takes, measured on a request with little work.
    fn learn(&mut self, taken: Duration) {
        let silence = (taken * 4).max(LEAST_SILENCE);
        self.quick = match silence > self.quick {
            true => silence,
            // Slowly: one fast answer may be luck.
            false => (self.quick * 3 + silence) / 4,
        };
        self.quick = self.quick.min(self.patience.timeout);
    }

    /// Sends a request under a new number, at most `attempts` times without an answer, and reads its reply.
    pub(super) fn attempt<R>(
        &mut self,
        request: &Request<'_>,
        attempts: u32,
        work: Work,
        progress: &mut dyn FnMut(Progress),
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        self.id = self.id.wrapping_add(1);
        let header = Header::new(self.session, self.id);
        let mut payload = [0; MAX_PAYLOAD];
        let len = p::encode(header, request, &mut payload).ok_or(ClientError::RequestTooLong)?;
        let mut frame = vec![0; frame_len(len)];
        let frame = encode(&payload[..len], &mut frame).ok_or(ClientError::RequestTooLong)?;
        let mut rx = vec![0; reader_len(MAX_PAYLOAD)];
        let mut reader = FrameReader::new(&mut rx);
        let mut bytes = [0; 1024];
        // Requests in a row without any answer.
        let mut attempt = 0;
        while attempt < attempts {
            self.repetitions += u64::from(attempt > 0);
            self.pipe.send(frame)?;
            let (timeout, sent) = (self.silence(work, attempt), Instant::now());
            loop {
                let count = self.pipe.receive(&mut bytes, timeout)?;
                if count == 0 {
                    attempt += 1;
                    break;
                }
                let mut rest = bytes.get(..count).unwrap_or_default();
                while let Some(payload) = reader.read(&mut rest) {
                    let Some((found, body)) = Header::decode(payload) else {
                        continue;
                    };
                    if (found.session, found.id) != (header.session, header.id) {
                        continue;
                    }
                    if found.version != p::VERSION {
                        let found = found.version;
                        return Err(ClientError::Version { found });
                    }
                    match p::decode::<Message<'_>>(body) {
                        Some(Message::Progress(p)) => {
                            attempt = 0;
                            progress(p);
                        }
                        Some(Message::Reply(Ok(reply))) => {
                            if work == Work::Little && attempt == 0 {
                                self.learn(sent.elapsed());
                            }
                            return read(reply).ok_or(ClientError::Unexpected);
                        }
                        Some(Message::Reply(Err(error))) => return Err(error.into()),
                        None => return Err(ClientError::Unexpected),
                    }
                }
            }
        }
        Err(ClientError::NoAnswer { attempts })
    }
}
