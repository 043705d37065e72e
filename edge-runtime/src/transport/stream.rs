//! A socket as a pipe.

use super::{Address, ConnectError};
use crate::client::Pipe;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long each address of a host is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a write may wait for a peer that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connected socket.
pub trait Stream: Read + Write + Send {
    /// How long a read waits at most; not zero.
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// How long a write waits at most; not zero.
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_read_timeout(self, Some(timeout))
    }
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_write_timeout(self, Some(timeout))
    }
}

#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        Self::set_read_timeout(self, Some(timeout))
    }
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        Self::set_write_timeout(self, Some(timeout))
    }
}

/// A pipe over a socket, at either end.
pub struct StreamPipe {
    stream: Box<dyn Stream>,
    timeout: Option<Duration>,
}

impl StreamPipe {
    /// A pipe over `stream`; a peer that does not read for ten seconds loses its connection.
    pub fn new(stream: impl Stream + 'static) -> io::Result<Self> {
        stream.set_write_timeout(WRITE_TIMEOUT)?;
        Ok(Self {
            stream: Box::new(stream),
            timeout: None,
        })
    }

    /// A pipe over a TCP connection, whose frames are sent at once.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Self::new(stream)
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// [`ConnectError::Connect`] with the reason of the system.
    pub fn connect(address: &Address) -> Result<Self, ConnectError> {
        let pipe = match address {
            Address::Tcp(address) => tcp(address).and_then(Self::tcp),
            #[cfg(unix)]
            Address::Unix(path) => {
                std::os::unix::net::UnixStream::connect(path).and_then(Self::new)
            }
            #[cfg(not(unix))]
            Address::Unix(path) => return Err(ConnectError::NoUnix(path.clone())),
        };
        pipe.map_err(|cause| ConnectError::Connect {
            address: address.to_string(),
            cause,
        })
    }
}

/// Connects to the first address of a host that answers.
fn tcp(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

impl Pipe for StreamPipe {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let timeout = timeout.max(Duration::from_millis(1));
        if self.timeout != Some(timeout) {
            self.stream.set_read_timeout(timeout)?;
            self.timeout = Some(timeout);
        }
        match self.stream.read(buffer) {
            Ok(0) if !buffer.is_empty() => Err(closed()),
            Ok(count) => Ok(count),
            Err(e) if is_silence(e.kind()) => Ok(0),
            Err(e) => Err(e),
        }
    }
}

fn is_silence(kind: ErrorKind) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(kind, TimedOut | WouldBlock | Interrupted)
}

fn closed() -> io::Error {
    let message = "the other side closed the connection";
    io::Error::new(ErrorKind::UnexpectedEof, message)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn silence_is_no_error_and_the_end_is_one() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut a, mut b) = (StreamPipe::new(a).unwrap(), StreamPipe::new(b).unwrap());
        let (mut buffer, short) = ([0; 8], Duration::from_millis(5));
        assert_eq!(b.receive(&mut buffer, short).unwrap(), 0);
        assert_eq!(b.receive(&mut buffer, Duration::ZERO).unwrap(), 0);
        a.send(b"abc").unwrap();
        assert_eq!(b.receive(&mut buffer, short).unwrap(), 3);
        drop(a);
        let error = b.receive(&mut buffer, short).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
