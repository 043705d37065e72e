//! The host's end of the protocol: [`Client`] asks a device over a [`Pipe`], and asks again until it answers.
//!
//! - [`Pipe`]: a serial port, a socket, or a simulated line;
//! - [`Client`]: one method a request; [`ClientError`] says why there is no answer;
//! - [`report`]: what a device said, as the objects that programs print as JSON;
//! - [`judged`]: how well a new head knows each of its classes;
//! - [`names`]: which class names a device takes.
//!
//! Knows no transport.

mod chunks;
mod error;
mod exchange;
mod heads;
mod infer;
pub mod judged;
mod load;
pub mod names;
mod pipe;
pub mod report;
mod samples;
mod training;

pub use error::ClientError;
pub use exchange::Patience;
pub use infer::Likely;
pub use pipe::Pipe;
pub use samples::Counted;
pub use training::Training;

use crate::device::Event;
use crate::device::protocol::{Bench, MAX_CHUNK, ModelInfo, Progress, Reply, Request, StateInfo};
use crate::power::Reading;
use std::time::Duration;

/// What a device says when a session opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// SHA-256 of the trunk.
    pub trunk: [u8; 32],
    /// Most bytes in a chunk.
    pub max_chunk: usize,
}

/// A session with a device.
///
/// ```
/// use edge_runtime::client::{Client, Patience};
/// # use edge_runtime::device::server::{RX_LEN, Server, TX_LEN};
/// # use edge_runtime::sim::{Faults, SimPipe};
/// # use edge_runtime::{model::Model, signature::Trust};
/// # use graft_tests::{device, tiny};
/// # let bytes = tiny::model();
/// # let model = Model::parse(&bytes)?;
/// # let (mut flash, mut memory) = (device::flash(), device::memory(&model));
/// # let mut app = device::start(&model, &mut flash, &mut memory, Trust::Anyone);
/// # let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
/// # let server = Server::new(&mut app, &mut rx, &mut tx);
/// # let faults = Faults { dropped: 1000, damaged: 1000, doubled: 1000 };
/// # let input = tiny::input(1, 1);
///
/// // A simulated device on a bad line. For a real one: a serial port, or `transport::Connection`.
/// let pipe = SimPipe::new(server, faults, 7);
/// let mut client = Client::new(pipe, 1, Patience::default());
/// client.connect(None)?;
/// client.send_input(&input)?;
/// let (microseconds, likely) = client.infer(3)?;
/// println!("{} in {microseconds} us", likely[0].label);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client<P> {
    pipe: P,
    patience: Patience,
    session: u32,
    /// Number of the last request.
    id: u32,
    /// Number of the last sample.
    tokens: u32,
    /// Bytes of the next chunk.
    chunk: usize,
    /// Most bytes in a chunk that the device takes.
    max_chunk: usize,
    repetitions: u64,
    /// Silence after which a request that a device answers at once is repeated.
    quick: Duration,
}

impl<P: Pipe> Client<P> {
    /// A client that has sent nothing yet. `session` is a number that no other client of the device has used
    /// lately, for example made from clock and process id.
    pub fn new(pipe: P, session: u32, patience: Patience) -> Self {
        Self {
            pipe,
            patience,
            session,
            id: 0,
            tokens: 0,
            chunk: MAX_CHUNK,
            max_chunk: MAX_CHUNK,
            repetitions: 0,
            quick: patience.timeout,
        }
    }

    /// Opens the session. `expect` is the SHA-256 of the trunk that the device must have; `None` accepts any.
    ///
    /// # Errors
    /// As all requests: [`ClientError::Device`] if the device refuses, another [`ClientError`] if it cannot
    /// be asked.
    pub fn connect(&mut self, expect: Option<[u8; 32]>) -> Result<Identity, ClientError> {
        let identity = self.call(&Request::Hello { expect }, |reply| match reply {
            Reply::Hello {
                trunk, max_chunk, ..
            } => Some(Identity {
                trunk,
                max_chunk: max_chunk as usize,
            }),
            _ => None,
        })?;
        self.max_chunk = identity.max_chunk.clamp(1, MAX_CHUNK);
        self.chunk = self.chunk.min(self.max_chunk);
        Ok(identity)
    }

    /// Asks for the model. `read` gets the description, which borrows from the received frame.
    pub fn model<R>(&mut self, read: impl FnOnce(&ModelInfo<'_>) -> R) -> Result<R, ClientError> {
        self.call(&Request::Model, |reply| match reply {
            Reply::Model(model) => Some(read(&model)),
            _ => None,
        })
    }

    /// Asks for the state of stores, heads and memory.
    pub fn state(&mut self) -> Result<StateInfo, ClientError> {
        self.call(&Request::State, |reply| match reply {
            Reply::State(state) => Some(state),
            _ => None,
        })
    }

    /// Times `runs` inferences.
    pub fn bench(
        &mut self,
        runs: u16,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Bench, ClientError> {
        self.exchange(&Request::Bench { runs }, progress, |reply| match reply {
            Reply::Bench(bench) => Some(bench),
            _ => None,
        })
    }

    /// Reads the power sensor.
    pub fn power(&mut self) -> Result<Reading, ClientError> {
        self.call(&Request::Power, |reply| match reply {
            Reply::Power(reading) => Some(reading),
            _ => None,
        })
    }

    /// Takes all events out of the device's log. Returns them, and how many older ones were lost.
    pub fn log(&mut self) -> Result<(Vec<Event>, u32), ClientError> {
        let (mut all, mut before) = (vec![], 0);
        loop {
            let (part, lost) = self.call(&Request::Log, |reply| match reply {
                Reply::Log { lost, events } => Some((events, lost)),
                _ => None,
            })?;
            before += lost;
            if part.is_empty() {
                return Ok((all, before));
            }
            all.extend_from_slice(&part);
        }
    }

    /// Restarts the device, which ends the session.
    pub fn reset(&mut self) -> Result<(), ClientError> {
        self.call(&Request::Reset, |reply| {
            (reply == Reply::Resetting).then_some(())
        })
    }

    /// Sends any request. `read` gets the reply, and returns `None` if it is not one to this request.
    pub fn call<R>(
        &mut self,
        request: &Request<'_>,
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        self.exchange(request, &mut |_| (), read)
    }

    /// Number of requests that were sent again.
    pub fn repetitions(&self) -> u64 {
        self.repetitions
    }

    /// The pipe.
    pub fn pipe(&mut self) -> &mut P {
        &mut self.pipe
    }

    /// Gives the pipe back.
    pub fn into_pipe(self) -> P {
        self.pipe
    }
}
