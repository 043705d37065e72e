//! The device's line: TCP connections, one after another, on which bytes may be damaged or lost.

use anyhow::{Context, Result};
use edge_runtime::device::Clock;
use edge_runtime::device::server::Server;
use edge_runtime::flash::Flash;
use edge_runtime::power::PowerMeter;
use edge_runtime::sim::{Faults, NoisyLine};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A host that takes nothing for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A listener with the noise of its line.
pub struct Line {
    listener: TcpListener,
    address: SocketAddr,
    connection: Option<TcpStream>,
    up: NoisyLine,
    down: NoisyLine,
}

impl Line {
    /// Starts to listen.
    pub fn listen(address: SocketAddr, faults: Faults, seed: u64) -> Result<Self> {
        let cannot = || format!("{address}: cannot listen");
        let listener = TcpListener::bind(address).with_context(cannot)?;
        Ok(Self {
            address: listener.local_addr().with_context(cannot)?,
            listener,
            connection: None,
            up: NoisyLine::new(faults, seed),
            down: NoisyLine::new(faults, !seed),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the device is to restart; the connection stays, as a serial line's would.
    pub fn serve<F: Flash, C: Clock, P: PowerMeter>(
        &mut self,
        server: &mut Server<'_, '_, F, C, P>,
    ) -> Result<()> {
        let (mut buffer, mut arrived) = ([0; 4096], vec![]);
        while !server.app().reset_requested() {
            let stream = match &mut self.connection {
                Some(stream) => stream,
                none => none.insert(accept(&self.listener)?),
            };
            arrived.clear();
            match stream.read(&mut buffer) {
                Ok(0) => {
                    self.connection = None;
                    continue;
                }
                Ok(count) => self.up.carry(&buffer[..count], &mut arrived),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    self.connection = None;
                    continue;
                }
            }
            let (down, mut gone) = (&mut self.down, false);
            server.receive(&arrived, &mut |frame| {
                let mut out = vec![];
                down.carry(frame, &mut out);
                // What began is finished, whoever listens.
                gone = gone || stream.write_all(&out).is_err();
            });
            if gone {
                self.connection = None;
            }
        }
        Ok(())
    }
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    loop {
        let (stream, _) = listener.accept().context("cannot accept connections")?;
        // A connection that is gone already is none.
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)));
        if ready.is_ok() {
            return Ok(stream);
        }
    }
}
