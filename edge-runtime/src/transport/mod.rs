//! Lines between host and device for programs with sockets: plain streams, and encrypted ones.
//!
//! Everything here is a [`Pipe`], at either end. Knows addresses and keys; knows
//! nothing of frames and requests.

mod address;
mod key;
mod noise;
mod stream;

pub use address::{Address, AddressError};
pub use key::{KEY_LEN, Key, KeyError};
pub use noise::{NoiseError, NoisePipe};
pub use stream::{Stream, StreamPipe};

use crate::client::Pipe;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long either side waits for the other during a handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A line to a device, or at a device to a host.
pub enum Line {
    /// Anyone on the way can read and change what is sent.
    Plain(StreamPipe),
    /// Only who has the key can.
    Encrypted(NoisePipe<StreamPipe>),
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens there, or the way is blocked.
    #[error("cannot connect to {address}: {cause}; check that the device runs and listens there")]
    Connect {
        /// Where.
        address: String,
        /// What the system says, which is in the text already.
        cause: io::Error,
    },
    /// No handshake.
    #[error("{address}: {cause}")]
    Handshake {
        /// Where.
        address: String,
        /// Why; in the text already.
        cause: NoiseError,
    },
    /// It ended the connection at the first request, which was not encrypted.
    #[error(
        "{0}: the device hung up at once; if it was started with a key, give the same file with --key"
    )]
    HungUp(String),
    /// This system has no such sockets.
    #[error("{}: this system has no Unix sockets; use an address and a port", .0.display())]
    NoUnix(PathBuf),
}

/// Explains why the first request over a connection without a key failed: a device that was started with a key
/// hangs up on everything but a handshake. `None` if `error` has another cause.
pub fn missing_key(address: &Address, error: &io::Error) -> Option<ConnectError> {
    hung_up(error.kind()).then(|| ConnectError::HungUp(address.to_string()))
}

/// True if the other side ended the connection, whether or not it had read everything.
fn hung_up(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        kind,
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe
    )
}

impl Line {
    /// Connects to a device, encrypted if there is a key.
    pub fn connect(address: &Address, key: Option<&Key>) -> Result<Self, ConnectError> {
        let pipe = StreamPipe::connect(address)?;
        Self::start(pipe, key, NoisePipe::connect).map_err(|cause| ConnectError::Handshake {
            address: address.to_string(),
            cause,
        })
    }

    /// Answers a host that has connected; it must have the key, if there is one.
    pub fn accept(pipe: StreamPipe, key: Option<&Key>) -> Result<Self, NoiseError> {
        Self::start(pipe, key, NoisePipe::accept)
    }

    fn start(
        pipe: StreamPipe,
        key: Option<&Key>,
        handshake: impl FnOnce(StreamPipe, &Key) -> Result<NoisePipe<StreamPipe>, NoiseError>,
    ) -> Result<Self, NoiseError> {
        match key {
            Some(key) => Ok(Self::Encrypted(handshake(pipe, key)?)),
            None => Ok(Self::Plain(pipe)),
        }
    }
}

impl Pipe for Line {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(pipe) => pipe.send(bytes),
            Self::Encrypted(pipe) => pipe.send(bytes),
        }
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        match self {
            Self::Plain(pipe) => pipe.receive(buffer, timeout),
            Self::Encrypted(pipe) => pipe.receive(buffer, timeout),
        }
    }
}
