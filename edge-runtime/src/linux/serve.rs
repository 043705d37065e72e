//! Hosts that connect, each in a thread of its own, and the one application that they take turns at.

use super::{AppWithLoader, Listener};
use crate::client::Pipe;
use crate::device::Clock;
use crate::device::frame::{FrameReader, encode};
use crate::device::protocol::MAX_PAYLOAD;
use crate::device::server::{RX_LEN, TX_LEN};
use crate::flash::Flash;
use crate::power::PowerMeter;
use crate::transport::{Connection, Key, StreamPipe};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Most hosts at a time; further ones are hung up on.
pub const MAX_CONNECTIONS: usize = 16;

/// A host that is silent for so long is hung up on; its session stays open.
const IDLE: Duration = Duration::from_secs(600);

/// How long to wait after the system could not accept a connection.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves hosts for ever. `restart` is called when one has asked for it or loaded a model, while no request
/// is being served.
pub fn serve<F: Flash + Send, C: Clock + Send, P: PowerMeter + Send>(
    app: AppWithLoader<'_, F, C, P>,
    listener: &Listener,
    key: Option<&Key>,
    restart: &(dyn Fn() + Sync),
) {
    let app = Mutex::new(app);
    let connected = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        loop {
            let pipe = match listener.accept() {
                Ok(pipe) => pipe,
                Err(e) => {
                    eprintln!("edge: cannot accept a connection: {e}");
                    std::thread::sleep(PAUSE);
                    continue;
                }
            };
            if connected.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
                eprintln!("edge: {MAX_CONNECTIONS} hosts are connected; another one is refused");
                continue;
            }
            connected.fetch_add(1, Ordering::Relaxed);
            let (app, connected) = (&app, &connected);
            let spawned = std::thread::Builder::new().spawn_scoped(scope, move || {
                if let Err(e) = converse(app, pipe, key, restart)
                    && e.kind() != io::ErrorKind::UnexpectedEof
                {
                    eprintln!("edge: a connection ended: {e}");
                }
                connected.fetch_sub(1, Ordering::Relaxed);
            });
            if let Err(e) = spawned {
                eprintln!("edge: cannot serve a connection: {e}");
                connected.fetch_sub(1, Ordering::Relaxed);
            }
        }
    })
}

/// Serves one host until it hangs up.
fn converse<F: Flash, C: Clock, P: PowerMeter>(
    app: &Mutex<AppWithLoader<'_, F, C, P>>,
    pipe: StreamPipe,
    key: Option<&Key>,
    restart: &(dyn Fn() + Sync),
) -> io::Result<()> {
    let mut line = Connection::accept(pipe, key).map_err(io::Error::other)?;
    let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
    let mut reader = FrameReader::new(&mut rx);
    let mut bytes = [0; MAX_PAYLOAD];
    let mut heard = Instant::now();
    loop {
        let left = IDLE.saturating_sub(heard.elapsed());
        if left.is_zero() {
            return Err(io::Error::other("silent for too long"));
        }
        let count = line.receive(&mut bytes, left)?;
        let mut rest = &bytes[..count];
        while let Some(payload) = reader.read(&mut rest) {
            let mut failed = None;
            // The application may be in any state after a panic: only a new process is sure of it.
            let mut app = app.lock().unwrap_or_else(|_| std::process::abort());
            app.handle(payload, &mut |message| {
                // What a host that has hung up asked for is done nevertheless.
                if failed.is_none()
                    && let Some(frame) = encode(message, &mut tx)
                    && let Err(e) = line.send(frame)
                {
                    failed = Some(e);
                }
            });
            if app.reset_requested() {
                restart();
            }
            drop(app);
            heard = Instant::now();
            if let Some(e) = failed {
                return Err(e);
            }
        }
    }
}
