//! The simulated device's connection: TCP, one host at a time. Bytes may be damaged or lost on it.

use anyhow::{Context, Result};
use edge_runtime::device::Clock;
use edge_runtime::device::load::ModelStore;
use edge_runtime::device::server::LoadServer;
use edge_runtime::device::server::Server;
use edge_runtime::flash::Flash;
use edge_runtime::power::PowerMeter;
use edge_runtime::sim::{Faults, NoisyLine};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A host that reads nothing for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// What answers at the device's end of the line: the application, or the loader of a model.
pub trait Answers {
    /// Handles bytes that arrived; calls `send` with each frame of the answer.
    fn receive(&mut self, bytes: &[u8], send: &mut dyn FnMut(&[u8]));

    /// True once something else answers from then on: the device restarts, or a model is loaded.
    fn is_over(&self) -> bool;
}

impl<F: Flash, C: Clock, P: PowerMeter> Answers for Server<'_, '_, F, C, P> {
    fn receive(&mut self, bytes: &[u8], send: &mut dyn FnMut(&[u8])) {
        Server::receive(self, bytes, send);
    }
    fn is_over(&self) -> bool {
        self.app().reset_requested() || self.app().load_requested()
    }
}

impl<S: ModelStore> Answers for LoadServer<'_, S> {
    fn receive(&mut self, bytes: &[u8], send: &mut dyn FnMut(&[u8])) {
        LoadServer::receive(self, bytes, send);
    }
    fn is_over(&self) -> bool {
        self.reset_requested()
    }
}

/// A listener on a line with noise.
pub struct TcpLine {
    listener: TcpListener,
    address: SocketAddr,
    connection: Option<TcpStream>,
    up: NoisyLine,
    down: NoisyLine,
}

impl TcpLine {
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

    /// Sends a frame that answers no request of now.
    pub fn send(&mut self, frame: &[u8]) {
        let mut out = vec![];
        self.down.carry(frame, &mut out);
        if let Some(stream) = &mut self.connection
            && stream.write_all(&out).is_err()
        {
            self.connection = None;
        }
    }

    /// Answers until [`Answers::is_over`]. The connection stays open, as that of a serial line would.
    pub fn serve(&mut self, device: &mut impl Answers) -> Result<()> {
        let (mut buffer, mut arrived) = ([0; 4096], vec![]);
        while !device.is_over() {
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
            device.receive(&arrived, &mut |frame| {
                let mut out = vec![];
                down.carry(frame, &mut out);
                // The answer is made to its end, even if the host is gone.
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
        // The host may be gone already.
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)));
        if ready.is_ok() {
            return Ok(stream);
        }
    }
}
