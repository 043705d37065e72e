//! The socket that the program listens on: loopback or a Unix socket; other addresses only with a key.

use crate::transport::{Address, Key, StreamPipe};
use std::fs::Permissions;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// A socket that hosts can connect to.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// Why the program cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system refuses.
    #[error("cannot listen on {address}: {source}")]
    System {
        /// Where.
        address: String,
        /// What it says.
        source: io::Error,
    },
    /// Without a key, everybody in the network could control the device.
    #[error(
        "{0} can be reached from other machines, and there is no key; give --key FILE, or listen on 127.0.0.1"
    )]
    NeedsKey(SocketAddr),
    /// Something else has the socket's name.
    #[error("{address}: another program listens there, or it is no socket; use another path")]
    Taken {
        /// Where.
        address: String,
    },
}

impl Listener {
    /// Listens. An address that other machines can reach takes a key.
    pub fn bind(address: &Address, key: Option<&Key>) -> Result<Self, ListenError> {
        let failed = |source| ListenError::System {
            address: address.to_string(),
            source,
        };
        match address {
            Address::Tcp(text) => {
                let all: Vec<SocketAddr> = text.to_socket_addrs().map_err(failed)?.collect();
                let reachable = all.iter().find(|a| !a.ip().is_loopback());
                if let (Some(reachable), None) = (reachable, key) {
                    return Err(ListenError::NeedsKey(*reachable));
                }
                TcpListener::bind(&all[..]).map(Self::Tcp).map_err(failed)
            }
            Address::Unix(path) => {
                if !remove_stale(path).map_err(failed)? {
                    let address = address.to_string();
                    return Err(ListenError::Taken { address });
                }
                let listener = UnixListener::bind(path).map_err(failed)?;
                // User and group of the program may connect.
                let mode = Permissions::from_mode(0o660);
                std::fs::set_permissions(path, mode).map_err(failed)?;
                Ok(Self::Unix(listener))
            }
        }
    }

    /// Waits for the next host.
    pub fn accept(&self) -> io::Result<StreamPipe> {
        match self {
            Self::Tcp(listener) => StreamPipe::tcp(listener.accept()?.0),
            Self::Unix(listener) => StreamPipe::new(listener.accept()?.0),
        }
    }

    /// Where it listens, with the port that the system chose if none was given.
    pub fn address(&self) -> io::Result<String> {
        Ok(match self {
            Self::Tcp(listener) => listener.local_addr()?.to_string(),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new(""));
                format!("unix:{}", path.display())
            }
        })
    }
}

/// Removes the socket of a program that is gone; false if there is something else.
fn remove_stale(path: &Path) -> io::Result<bool> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e),
    };
    let refused = |e: io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    let stale = metadata.file_type().is_socket() && UnixStream::connect(path).is_err_and(refused);
    if stale {
        std::fs::remove_file(path)?;
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_without_a_key() {
        let bind = |text: &str, key: Option<&Key>| Listener::bind(&text.parse().unwrap(), key);
        let key = Key::new([1; 32]);
        for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let refused = bind(open, None);
            assert!(matches!(refused, Err(ListenError::NeedsKey(_))), "{open}");
        }
        assert!(bind("0.0.0.0:0", Some(&key)).is_ok());
        let listener = bind("127.0.0.1:0", None).unwrap();
        let address = listener.address().unwrap();
        assert!(!address.ends_with(":0"));
        assert!(matches!(
            bind(&address, None),
            Err(ListenError::System { .. })
        ));
    }

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edge");
        let address = Address::Unix(path.clone());
        let first = Listener::bind(&address, None).unwrap();
        let taken = Listener::bind(&address, None);
        assert!(matches!(taken, Err(ListenError::Taken { .. })));
        drop(first);
        drop(Listener::bind(&address, None).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"a file").unwrap();
        let file = Listener::bind(&address, None);
        assert!(matches!(file, Err(ListenError::Taken { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"a file");
    }
}
