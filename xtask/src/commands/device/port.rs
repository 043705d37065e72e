//! The connection to a device: a socket, encrypted if there is a key, or a serial port.

use crate::probe_rs;
use crate::qemu::folder::Folder;
use crate::qemu::qmp::Qmp;
use anyhow::{Context, Result, bail};
use converter::board::schema::Deploy;
use edge_runtime::client::{ClientError, Pipe};
use edge_runtime::transport::{self, Address, Key, missing_key};
use serialport::SerialPort;
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::time::Duration;

/// How long to wait for a serial device that accepts no bytes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Baud rate of serial ports; USB ones ignore it.
const BAUD: u32 = 115_200;

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// `tcp:HOST:PORT` or `unix:PATH`
    Socket(Address),
    /// A serial device and its baud rate.
    Serial(String, u32),
    /// A board that was flashed: the socket of its QEMU, or the serial port that looks like it.
    Board(String),
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let forms = format!(
            "tcp:HOST:PORT, unix:PATH, serial:DEVICE[:BAUD] or board:NAME is needed{}",
            hint(text)
        );
        let (kind, rest) = text.split_once(':').ok_or(&*forms)?;
        match (kind, rest) {
            (_, "") => Err(forms),
            ("tcp" | "unix", _) => text.parse().map(Self::Socket).map_err(|_| forms),
            ("board", _) => Ok(Self::Board(rest.into())),
            ("serial", _) => match rest.rsplit_once(':') {
                None => Ok(Self::Serial(rest.into(), BAUD)),
                Some((device, baud)) => match baud.parse() {
                    Ok(baud) if baud > 0 && !device.is_empty() => {
                        Ok(Self::Serial(device.into(), baud))
                    }
                    _ => Err(forms),
                },
            },
            _ => Err(forms),
        }
    }
}

/// A question about the missing kind, if the rest of the text suggests one.
fn hint(text: &str) -> String {
    let kind = match text {
        _ if converter::board::all().iter().any(|b| b.name == text) => "board",
        _ if text.starts_with("/dev/") || text.starts_with("COM") => "serial",
        _ if text.starts_with(['/', '.']) => "unix",
        // `host:port` without a kind.
        _ if format!("tcp:{text}").parse::<Address>().is_ok() => "tcp",
        _ => return String::new(),
    };
    format!("; did you mean {kind}:{text}?")
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(Address::Tcp(address)) => write!(f, "tcp:{address}"),
            Self::Socket(unix) => write!(f, "{unix}"),
            Self::Serial(device, baud) => write!(f, "serial:{device}:{baud}"),
            Self::Board(name) => write!(f, "board:{name}"),
        }
    }
}

impl Port {
    /// Opens it. With a key, the device must prove that it has the same key.
    pub fn open(&self, key: Option<&Key>) -> Result<OpenPort> {
        match self {
            Self::Board(name) => board(name)?.open(key),
            Self::Socket(address) => {
                let line = transport::Connection::connect(address, key)?;
                Ok(OpenPort::Socket(Box::new(line)))
            }
            Self::Serial(..) if key.is_some() => {
                bail!("{self}: a key is for tcp: and unix: lines; leave --key away")
            }
            Self::Serial(device, baud) => {
                let port = serialport::new(device, *baud).timeout(TIMEOUT).open();
                let port = port.map_err(io::Error::from);
                let port = port.with_context(|| {
                    format!("{self}: cannot connect; check that the device is plugged in and runs")
                })?;
                Ok(OpenPort::Serial(port))
            }
        }
    }

    /// The error of the first request, with the likely reason for this kind of connection.
    pub fn explain(&self, key: Option<&Key>, error: ClientError) -> anyhow::Error {
        let refused = match (self, key, &error) {
            (Self::Socket(address), None, ClientError::Pipe(e)) => missing_key(address, e),
            _ => None,
        };
        refused.map_or_else(|| error.into(), Into::into)
    }
}

/// The port that leads to a board.
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
            Ok(Port::Socket(Address::Unix(folder.line())))
        }
        Deploy::ProbeRs { baud, .. } => {
            let port = probe_rs::serial_port(&board)?;
            Ok(Port::Serial(port, baud.unwrap_or(BAUD)))
        }
        _ => bail!(
            "{} runs Linux; name its line with --port tcp:HOST:PORT or unix:PATH",
            board.name
        ),
    }
}

/// An open connection.
pub enum OpenPort {
    /// A socket.
    Socket(Box<transport::Connection>),
    /// A serial port.
    Serial(Box<dyn SerialPort>),
}

impl Pipe for OpenPort {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Socket(line) => line.send(bytes),
            Self::Serial(port) => port.write_all(bytes),
        }
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let port = match self {
            Self::Socket(line) => return line.receive(buffer, timeout),
            Self::Serial(port) => port,
        };
        // Zero would mean no timeout.
        port.set_timeout(timeout.max(Duration::from_millis(1)))?;
        match port.read(buffer) {
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
        let tcp = |text: &str| Port::Socket(Address::Tcp(text.into()));
        for (text, port) in [
            ("tcp:127.0.0.1:4700", tcp("127.0.0.1:4700")),
            ("tcp:[::1]:4700", tcp("[::1]:4700")),
            (
                "unix:/run/edge.sock",
                Port::Socket(Address::Unix("/run/edge.sock".into())),
            ),
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
        for (text, meant) in [
            ("qemu-m7", Some("board:qemu-m7")),
            ("/dev/ttyACM0", Some("serial:/dev/ttyACM0")),
            ("./edge.sock", Some("unix:./edge.sock")),
            ("localhost:4700", Some("tcp:localhost:4700")),
            ("tcp:host", None),
            ("usb:", None),
        ] {
            let e = text.parse::<Port>().unwrap_err();
            let question = meant.map(|m| format!("; did you mean {m}?"));
            let ends = question.as_deref().unwrap_or("is needed");
            assert!(e.ends_with(ends), "{e}");
        }
    }
}
