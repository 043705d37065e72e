//! Where a device listens: `HOST:PORT` or `unix:PATH`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// An address of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Name or number of a host, and port: `127.0.0.1:4700`, `[::1]:4700`, `pi.local:4700`.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no address; give HOST:PORT or unix:PATH")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.into());
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(wrong()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let text = text.strip_prefix("tcp:").unwrap_or(text);
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || bare_v6 || port.parse::<u16>().is_err() {
            return Err(wrong());
        }
        Ok(Self::Tcp(text.into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_and_mistakes() {
        let tcp = |text: &str| Address::Tcp(text.into());
        assert_eq!("127.0.0.1:4700".parse(), Ok(tcp("127.0.0.1:4700")));
        assert_eq!("tcp:pi.local:1".parse(), Ok(tcp("pi.local:1")));
        assert_eq!("[::1]:4700".parse(), Ok(tcp("[::1]:4700")));
        let unix: Address = "unix:/run/graft/edge".parse().unwrap();
        assert_eq!(unix.to_string(), "unix:/run/graft/edge");
        for wrong in [
            "",
            ":4700",
            "4700",
            "host",
            "host:",
            "host:70000",
            "::1:4700",
            "unix:",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
