//! The line to a device: TCP, a Unix socket, a serial port, all as the client's byte pipe.

use crate::probe_rs;
use crate::qemu::folder::Folder;
use crate::qemu::qmp::Qmp;
use anyhow::{Context, Result, bail};
use converter::board::schema::Deploy;
use edge_runtime::device::client::Pipe;
use serialport::SerialPort;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How long to wait for a connection, and for a device that takes nothing.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Baud rate of serial ports; USB ones ignore it.
const BAUD: u32 = 115_200;

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// `HOST:PORT`
    Tcp(String),
    /// A socket's path.
    Unix(PathBuf),
    /// A serial device and its baud rate.
    Serial(String, u32),
    /// A board that was flashed: the socket of its QEMU, or the serial port that looks like it.
    Board(String),
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let forms = "tcp:HOST:PORT, unix:PATH, serial:DEVICE[:BAUD] or board:NAME is needed";
        let (kind, rest) = text.split_once(':').ok_or(forms)?;
        match (kind, rest) {
            (_, "") => Err(forms.into()),
            ("tcp", _) => match rest.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(rest.into()))
                }
                _ => Err(forms.into()),
            },
            ("board", _) => Ok(Self::Board(rest.into())),
            ("unix", _) => Ok(Self::Unix(rest.into())),
            ("serial", _) => match rest.rsplit_once(':') {
                None => Ok(Self::Serial(rest.into(), BAUD)),
                Some((device, baud)) => match baud.parse() {
                    Ok(baud) if baud > 0 && !device.is_empty() => {
                        Ok(Self::Serial(device.into(), baud))
                    }
                    _ => Err(forms.into()),
                },
            },
            _ => Err(forms.into()),
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Serial(device, baud) => write!(f, "serial:{device}:{baud}"),
            Self::Board(name) => write!(f, "board:{name}"),
        }
    }
}

impl Port {
    /// Opens it.
    pub fn open(&self) -> Result<Line> {
        if let Self::Board(name) = self {
            return board(name)?.open();
        }
        let cannot = || format!("{self}: cannot connect; check that the device runs");
        let stream = match self {
            Self::Tcp(address) => tcp(address).map(|s| Box::new(s) as Box<dyn Stream>),
            Self::Unix(path) => unix(path),
            Self::Board(_) => Err(io::Error::other("a board is another port")),
            Self::Serial(device, baud) => serialport::new(device, *baud)
                .timeout(TIMEOUT)
                .open()
                .map(|s| Box::new(s) as Box<dyn Stream>)
                .map_err(io::Error::from),
        };
        Ok(Line(stream.with_context(cannot)?))
    }
}

/// The port of a board.
fn board(name: &str) -> Result<Port> {
    let board = converter::board::find(name)?;
    match &board.deploy {
        Deploy::Qemu { .. } => {
            let folder = Folder::of(&board)?;
            if Qmp::connect(&folder.control()).is_err() {
                let name = &board.name;
                bail!(
                    "{name} does not run; start it with `cargo xtask flash --board {name} MODEL.edge`"
                );
            }
            Ok(Port::Unix(folder.line()))
        }
        Deploy::ProbeRs { .. } => Ok(Port::Serial(probe_rs::serial_port(&board)?, BAUD)),
        _ => bail!(
            "{} runs Linux; name its line with --port tcp:HOST:PORT or unix:PATH",
            board.name
        ),
    }
}

fn tcp(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

#[cfg(unix)]
fn unix(path: &std::path::Path) -> io::Result<Box<dyn Stream>> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(Box::new(stream))
}

#[cfg(not(unix))]
fn unix(_: &std::path::Path) -> io::Result<Box<dyn Stream>> {
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "this system has no Unix sockets",
    ))
}

/// A stream whose reading can be limited in time.
trait Stream: Read + Write {
    fn limit(&mut self, timeout: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn limit(&mut self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))
    }
}

#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn limit(&mut self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))
    }
}

impl Stream for Box<dyn SerialPort> {
    fn limit(&mut self, timeout: Duration) -> io::Result<()> {
        self.set_timeout(timeout).map_err(io::Error::from)
    }
}

/// An open line.
pub struct Line(Box<dyn Stream>);

impl Pipe for Line {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        // Zero would mean: for ever.
        self.0.limit(timeout.max(Duration::from_millis(1)))?;
        match self.0.read(buffer) {
            Ok(0) => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the device closed the connection",
            )),
            Ok(count) => Ok(count),
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(0)
            }
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_as_they_are_typed() {
        for (text, port) in [
            ("tcp:127.0.0.1:4700", Port::Tcp("127.0.0.1:4700".into())),
            ("tcp:[::1]:4700", Port::Tcp("[::1]:4700".into())),
            ("unix:/run/edge.sock", Port::Unix("/run/edge.sock".into())),
            (
                "serial:/dev/ttyACM0",
                Port::Serial("/dev/ttyACM0".into(), BAUD),
            ),
            ("board:qemu-m7", Port::Board("qemu-m7".into())),
            ("serial:COM3:9600", Port::Serial("COM3".into(), 9600)),
        ] {
            assert_eq!(text.parse(), Ok(port.clone()));
            assert_eq!(port.to_string().parse(), Ok(port));
        }
        for text in [
            "",
            "tcp",
            "tcp:",
            "tcp::1",
            "tcp:host",
            "tcp:host:99999",
            "unix:",
            "serial:",
            "serial:COM3:x",
            "usb:1",
        ] {
            assert!(text.parse::<Port>().is_err(), "{text}");
        }
    }

    #[test]
    fn silence_and_the_end_of_a_line() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut line = Port::Tcp(address.to_string()).open().unwrap();
        let (mut device, _) = listener.accept().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(line.receive(&mut buffer, Duration::ZERO).unwrap(), 0);
        device.write_all(b"abc").unwrap();
        let count = line.receive(&mut buffer, Duration::from_secs(5)).unwrap();
        assert!(count >= 1 && b"abc".starts_with(&buffer[..count]));
        drop(device);
        while line
            .receive(&mut buffer, Duration::from_secs(5))
            .is_ok_and(|n| n > 0)
        {}
        assert!(line.receive(&mut buffer, Duration::from_secs(5)).is_err());
    }
}
