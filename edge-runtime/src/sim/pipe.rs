//! A device at the other end of a noisy line, in one thread. What a client sends is served at once; waiting
//! takes no time and is only counted.

use super::{Faults, NoisyLine};
use crate::client::Pipe;
use crate::device::Clock;
use crate::device::server::Server;
use crate::flash::Flash;
use crate::power::PowerMeter;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// A [`Pipe`] to a [`Server`].
pub struct SimPipe<'a, 'b, F, C, P> {
    server: Server<'a, 'b, F, C, P>,
    up: NoisyLine,
    down: NoisyLine,
    arrived: VecDeque<u8>,
    waited: Duration,
}

impl<'a, 'b, F: Flash, C: Clock, P: PowerMeter> SimPipe<'a, 'b, F, C, P> {
    /// A line with these faults in both directions.
    pub fn new(server: Server<'a, 'b, F, C, P>, faults: Faults, seed: u64) -> Self {
        Self {
            server,
            up: NoisyLine::new(faults, seed),
            down: NoisyLine::new(faults, !seed),
            arrived: VecDeque::new(),
            waited: Duration::ZERO,
        }
    }

    /// The device.
    pub fn server(&self) -> &Server<'a, 'b, F, C, P> {
        &self.server
    }

    /// How long a client on a real line would have waited in vain.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Bytes that went to the device and came from it.
    pub fn carried(&self) -> [u64; 2] {
        [self.up.carried(), self.down.carried()]
    }

    /// Gives the device back.
    pub fn into_server(self) -> Server<'a, 'b, F, C, P> {
        self.server
    }
}

impl<F: Flash, C: Clock, P: PowerMeter> Pipe for SimPipe<'_, '_, F, C, P> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut received = vec![];
        self.up.carry(bytes, &mut received);
        let (down, arrived) = (&mut self.down, &mut self.arrived);
        self.server
            .receive(&received, &mut |frame| down.carry(frame, arrived));
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let count = buffer.len().min(self.arrived.len());
        buffer
            .iter_mut()
            .zip(self.arrived.drain(..count))
            .for_each(|(to, from)| *to = from);
        if count == 0 {
            self.waited += timeout;
        }
        Ok(count)
    }
}
