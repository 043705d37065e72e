//! The application in the same process, as a pipe: for commands that are typed on the device itself.

use crate::device::Clock;
use crate::device::client::Pipe;
use crate::device::server::Server;
use crate::flash::Flash;
use crate::power::PowerMeter;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::Duration;

/// A [`Pipe`] to a [`Server`]; what is sent is served at once.
pub struct LocalPipe<'a, 'b, F, C, P> {
    server: Server<'a, 'b, F, C, P>,
    arrived: VecDeque<u8>,
}

impl<'a, 'b, F: Flash, C: Clock, P: PowerMeter> LocalPipe<'a, 'b, F, C, P> {
    /// A pipe to `server`.
    pub fn new(server: Server<'a, 'b, F, C, P>) -> Self {
        Self {
            server,
            arrived: VecDeque::new(),
        }
    }
}

impl<F: Flash, C: Clock, P: PowerMeter> Pipe for LocalPipe<'_, '_, F, C, P> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let arrived = &mut self.arrived;
        self.server
            .receive(bytes, &mut |frame| arrived.extend(frame));
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _timeout: Duration) -> io::Result<usize> {
        self.arrived.read(buffer)
    }
}
