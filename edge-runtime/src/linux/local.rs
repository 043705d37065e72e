//! The application in the same process, as a pipe: for commands that are typed on the device itself.

use crate::client::Pipe;
use crate::device::Clock;
use crate::device::app::App;
use crate::device::frame::{FrameReader, encode};
use crate::device::protocol::{Header, Message, Progress, decode};
use crate::device::server::{RX_LEN, TX_LEN};
use crate::flash::Flash;
use crate::power::PowerMeter;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::Duration;

/// A [`Pipe`] to an [`App`]; what is sent is served at once.
///
/// The application has done all of a request before its client can read anything, so messages of progress
/// would come too late. They go to a watcher instead, at the moment they are sent.
pub struct LocalPipe<'a, 'b, F, C, P> {
    app: App<'a, F, C, P>,
    reader: FrameReader<'b>,
    tx: &'b mut [u8; TX_LEN],
    watch: &'b mut dyn FnMut(Progress),
    arrived: VecDeque<u8>,
}

impl<'a, 'b, F: Flash, C: Clock, P: PowerMeter> LocalPipe<'a, 'b, F, C, P> {
    /// A pipe to `app`, with the buffers of its line.
    pub fn new(
        app: App<'a, F, C, P>,
        rx: &'b mut [u8; RX_LEN],
        tx: &'b mut [u8; TX_LEN],
        watch: &'b mut dyn FnMut(Progress),
    ) -> Self {
        Self {
            app,
            reader: FrameReader::new(rx),
            tx,
            watch,
            arrived: VecDeque::new(),
        }
    }
}

impl<F: Flash, C: Clock, P: PowerMeter> Pipe for LocalPipe<'_, '_, F, C, P> {
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(payload) = self.reader.read(&mut bytes) {
            let (tx, watch, arrived) = (&mut *self.tx, &mut *self.watch, &mut self.arrived);
            self.app.handle(payload, &mut |message| {
                let body = Header::decode(message).and_then(|(_, body)| decode(body));
                match body {
                    Some(Message::Progress(progress)) => watch(progress),
                    _ => arrived.extend(encode(message, &mut tx[..]).unwrap_or_default()),
                }
            });
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _timeout: Duration) -> io::Result<usize> {
        self.arrived.read(buffer)
    }
}
