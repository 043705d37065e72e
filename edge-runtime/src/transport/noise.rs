//! An encrypted pipe inside another pipe, for holders of a shared key: Noise (revision 34), pattern NNpsk0.
//!
//! The host speaks first. Each side sends one message of a fresh public key, authenticated by the shared key;
//! after that, every message is encrypted under keys of this connection alone, so that a recorded session
//! stays secret even if the key is lost later. A message is its length (two bytes, big-endian) and its
//! ciphertext. Needs a pipe that loses and damages nothing: after a damaged message the connection is over.
//!
//! `snow` does the cryptography. Knows nothing of what is sent.

use super::{HANDSHAKE_TIMEOUT, KEY_LEN, Key, hung_up};
use crate::client::Pipe;
use snow::{Builder, HandshakeState, TransportState};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";

/// Both sides mix it into the handshake, so a handshake with a program for another protocol fails.
const PROLOGUE: &[u8] = b"graft device 1";

/// Bytes of an authentication tag.
const TAG_LEN: usize = 16;

/// Bytes of a handshake message: a public key and a tag.
const HANDSHAKE_LEN: usize = KEY_LEN + TAG_LEN;

/// Most bytes of plaintext in a message.
const MAX_PLAIN: usize = 4096;

/// Why the handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum NoiseError {
    /// The pipe failed.
    #[error("the line failed during the handshake: {0}")]
    Pipe(#[from] io::Error),
    /// The other side did not answer in time.
    #[error(
        "no handshake within {} s; if the other side was started without a key, leave --key away",
        HANDSHAKE_TIMEOUT.as_secs()
    )]
    Silent,
    /// The other side hung up on our message. Devices do that if the key is wrong, and tunnels if nothing
    /// listens at their end.
    #[error(
        "the device refused the key; use the key file that it was started with (through a tunnel: or it does not listen)"
    )]
    Refused,
    /// The other side's message was not made with our key.
    #[error("the other side has another key, or none")]
    Key,
}

/// An encrypted pipe over a pipe that loses nothing.
pub struct NoisePipe<P> {
    pipe: P,
    state: TransportState,
    incoming: Incoming,
    plain: Vec<u8>,
    /// Bytes of `plain` that were handed out.
    given: usize,
}

impl<P: Pipe> NoisePipe<P> {
    /// Opens the host's end.
    ///
    /// # Errors
    /// [`NoiseError`], if the pipe fails or the device has another key.
    pub fn connect(mut pipe: P, key: &Key) -> Result<Self, NoiseError> {
        let mut state = builder(key)?.build_initiator().map_err(internal)?;
        let mut incoming = Incoming::default();
        hand_over(&mut pipe, &mut state)?;
        take_over(&mut pipe, &mut state, &mut incoming).map_err(|e| match e {
            NoiseError::Pipe(e) if hung_up(e.kind()) => NoiseError::Refused,
            other => other,
        })?;
        Self::started(pipe, state, incoming)
    }

    /// Opens the device's end. A host without the key gets no answer.
    ///
    /// # Errors
    /// [`NoiseError`], if the pipe fails or the host has another key.
    pub fn accept(mut pipe: P, key: &Key) -> Result<Self, NoiseError> {
        let mut state = builder(key)?.build_responder().map_err(internal)?;
        let mut incoming = Incoming::default();
        take_over(&mut pipe, &mut state, &mut incoming)?;
        hand_over(&mut pipe, &mut state)?;
        Self::started(pipe, state, incoming)
    }

    fn started(pipe: P, state: HandshakeState, incoming: Incoming) -> Result<Self, NoiseError> {
        Ok(Self {
            pipe,
            state: state.into_transport_mode().map_err(internal)?,
            incoming,
            plain: vec![],
            given: 0,
        })
    }
}

impl<P: Pipe> Pipe for NoisePipe<P> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(MAX_PLAIN) {
            let mut message = vec![0; 2 + part.len() + TAG_LEN];
            let len = self.state.write_message(part, &mut message[2..]);
            let len = len.map_err(internal)? as u16;
            message[..2].copy_from_slice(&len.to_be_bytes());
            self.pipe.send(&message)?;
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if self.given == self.plain.len() {
            let most = MAX_PLAIN + TAG_LEN;
            let message = self
                .incoming
                .read(&mut self.pipe, TAG_LEN..=most, timeout)?;
            let Some(message) = message else {
                return Ok(0);
            };
            self.plain.resize(message.len(), 0);
            let len = self.state.read_message(&message, &mut self.plain);
            self.plain.truncate(len.map_err(|_| damaged())?);
            self.given = 0;
        }
        let rest = &self.plain[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

fn builder(key: &Key) -> io::Result<Builder<'_>> {
    let params = PATTERN.parse().map_err(internal)?;
    let builder = Builder::new(params).psk(0, key.bytes()).map_err(internal)?;
    builder.prologue(PROLOGUE).map_err(internal)
}

fn hand_over(pipe: &mut impl Pipe, state: &mut HandshakeState) -> Result<(), NoiseError> {
    let mut message = [0; 2 + HANDSHAKE_LEN];
    message[..2].copy_from_slice(&(HANDSHAKE_LEN as u16).to_be_bytes());
    state
        .write_message(&[], &mut message[2..])
        .map_err(internal)?;
    Ok(pipe.send(&message)?)
}

fn take_over(
    pipe: &mut impl Pipe,
    state: &mut HandshakeState,
    incoming: &mut Incoming,
) -> Result<(), NoiseError> {
    let message = incoming.read(pipe, HANDSHAKE_LEN..=HANDSHAKE_LEN, HANDSHAKE_TIMEOUT);
    let message = message.map_err(|e| match e.kind() {
        ErrorKind::InvalidData => NoiseError::Key,
        _ => e.into(),
    })?;
    let message = message.ok_or(NoiseError::Silent)?;
    let read = state.read_message(&message, &mut [0; HANDSHAKE_LEN]);
    read.map(|_| ()).map_err(|_| NoiseError::Key)
}

/// Bytes of messages that are not complete yet.
#[derive(Default)]
struct Incoming(Vec<u8>);

impl Incoming {
    /// The next message, whose length must be in `allowed`; `None` if it is not complete in time.
    fn read(
        &mut self,
        pipe: &mut impl Pipe,
        allowed: core::ops::RangeInclusive<usize>,
        timeout: Duration,
    ) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some((len, rest)) = self.0.split_first_chunk() {
                let len = u16::from_be_bytes(*len) as usize;
                if !allowed.contains(&len) {
                    return Err(damaged());
                }
                if let Some(message) = rest.get(..len) {
                    let message = message.to_vec();
                    self.0.drain(..2 + len);
                    return Ok(Some(message));
                }
            }
            let mut bytes = [0; 2048];
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let count = pipe.receive(&mut bytes, left)?;
            self.0.extend_from_slice(&bytes[..count]);
        }
    }
}

fn damaged() -> io::Error {
    let message = "a message is damaged, or not made with the key";
    io::Error::new(ErrorKind::InvalidData, message)
}

fn internal(error: snow::Error) -> io::Error {
    io::Error::other(format!("encryption failed: {error}"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::StreamPipe;
    use super::*;
    use std::os::unix::net::UnixStream;

    const SECOND: Duration = Duration::from_secs(1);

    fn pair() -> (StreamPipe, StreamPipe) {
        let (a, b) = UnixStream::pair().unwrap();
        (StreamPipe::new(a).unwrap(), StreamPipe::new(b).unwrap())
    }

    fn key(byte: u8) -> Key {
        Key::new([byte; KEY_LEN])
    }

    type Both = (
        Result<NoisePipe<StreamPipe>, NoiseError>,
        Result<NoisePipe<StreamPipe>, NoiseError>,
    );

    fn handshake(host: u8, device: u8) -> Both {
        let (a, b) = pair();
        let other = std::thread::spawn(move || NoisePipe::accept(b, &key(device)));
        let connected = NoisePipe::connect(a, &key(host));
        (connected, other.join().unwrap())
    }

    #[test]
    fn bytes_come_through_both_ways() {
        let (host, device) = handshake(1, 1);
        let (mut host, mut device) = (host.unwrap(), device.unwrap());
        let sent: Vec<u8> = (0..20_000u32).map(|i| (i * 7) as u8).collect();
        let expected = sent.clone();
        let reader = std::thread::spawn(move || {
            let (mut all, mut buffer) = (vec![], [0; 100]);
            while all.len() < expected.len() {
                let count = device.receive(&mut buffer, SECOND).unwrap();
                assert!(count > 0);
                all.extend_from_slice(&buffer[..count]);
            }
            assert!(all == expected);
            device.send(b"done").unwrap();
        });
        host.send(&sent).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(host.receive(&mut buffer, SECOND * 5).unwrap(), 4);
        assert_eq!(&buffer[..4], b"done");
        reader.join().unwrap();
        let end = host.receive(&mut buffer, SECOND).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn another_key_is_refused_on_both_sides() {
        let (host, device) = handshake(1, 2);
        assert!(matches!(host, Err(NoiseError::Refused)));
        assert!(matches!(device, Err(NoiseError::Key)));
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let hello = [0, HANDSHAKE_LEN as u8];
        let zeros = [&hello[..], &[0; HANDSHAKE_LEN]].concat();
        for bytes in [&b"\0\x02\x01\x06\x02\x09"[..], &[0xff; 100], &zeros] {
            let (mut a, b) = pair();
            a.send(bytes).unwrap();
            let refused = NoisePipe::accept(b, &key(1));
            assert!(matches!(refused, Err(NoiseError::Key)));
            // Nothing was answered.
            let end = a.receive(&mut [0; 8], SECOND);
            assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
    }

    /// A man in the middle: what is changed or sent again ends the connection.
    #[test]
    fn changed_and_repeated_messages_are_refused() {
        for repeat in [false, true] {
            let (a, mut left) = pair();
            let (mut right, b) = pair();
            let device = std::thread::spawn(move || {
                let mut device = NoisePipe::accept(b, &key(1)).unwrap();
                let mut buffer = [0; 16];
                let first = device.receive(&mut buffer, SECOND * 5);
                (first, device.receive(&mut buffer, SECOND * 5))
            });
            let host = std::thread::spawn(move || {
                let mut host = NoisePipe::connect(a, &key(1)).unwrap();
                host.send(b"hello").unwrap();
                host
            });
            let carry = |from: &mut StreamPipe, to: &mut StreamPipe, len: usize| {
                let mut bytes = vec![0; len];
                let mut at = 0;
                while at < len {
                    at += from.receive(&mut bytes[at..], SECOND * 5).unwrap();
                }
                to.send(&bytes).unwrap();
                bytes
            };
            carry(&mut left, &mut right, 2 + HANDSHAKE_LEN);
            carry(&mut right, &mut left, 2 + HANDSHAKE_LEN);
            let mut message = carry(&mut left, &mut right, 2 + 5 + TAG_LEN);
            message[4] ^= u8::from(!repeat);
            right.send(&message).unwrap();
            let (first, second) = device.join().unwrap();
            assert_eq!(first.unwrap(), 5);
            assert_eq!(second.unwrap_err().kind(), ErrorKind::InvalidData);
            drop(host.join().unwrap());
        }
    }
}
