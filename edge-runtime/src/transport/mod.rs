//! Connections between host and device over sockets, plain or encrypted.
//!
//! Start with [`Connection`]. Everything here is a [`Pipe`] and works at either end. Knows addresses and
//! keys; knows nothing of frames and requests.

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

/// A connection to a device, or on a device to a host.
pub enum Connection {
    /// Not encrypted: everybody between the two can read and change what is sent.
    Plain(StreamPipe),
    /// Encrypted: only holders of the key can read and change what is sent.
    Encrypted(NoisePipe<StreamPipe>),
}

/// Why a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens at the address, or a firewall blocks it.
    #[error("cannot connect to {address}: {cause}; check that the device runs and listens there")]
    Connect {
        /// The address.
        address: String,
        /// The system's error, which the message includes.
        cause: io::Error,
    },
    /// The handshake failed.
    #[error("{address}: {cause}")]
    Handshake {
        /// The address.
        address: String,
        /// The reason, which the message includes.
        cause: NoiseError,
    },
    /// The device hung up at the first request, which was not encrypted.
    #[error(
        "{0}: the device hung up at once; if it was started with a key, give the same file with --key"
    )]
    HungUp(String),
    /// This system has no such sockets.
    #[error("{}: this system has no Unix sockets; use an address and a port", .0.display())]
    NoUnix(PathBuf),
}

/// Explains why the first request over a connection without a key failed: a device that was started with a
/// key hangs up on everything but a handshake. `None` if `error` has another cause.
pub fn missing_key(address: &Address, error: &io::Error) -> Option<ConnectError> {
    hung_up(error.kind()).then(|| ConnectError::HungUp(address.to_string()))
}

/// True if the other side closed the connection, even with unread data.
fn hung_up(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        kind,
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe
    )
}

impl Connection {
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

impl Pipe for Connection {
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
