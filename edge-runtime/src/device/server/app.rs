//! The application behind a byte pipe.

use super::{RX_LEN, TX_LEN};
use crate::device::Clock;
use crate::device::app::App;
use crate::device::frame::{FrameReader, encode};
use crate::flash::Flash;
use crate::power::PowerMeter;

/// An application with the buffers of its pipe. It borrows the application: an owned one would be moved,
/// which on a microcontroller is a copy on the stack.
pub struct Server<'a, 'b, F, C, P> {
    app: &'b mut App<'a, F, C, P>,
    reader: FrameReader<'b>,
    tx: &'b mut [u8; TX_LEN],
}

impl<'a, 'b, F: Flash, C: Clock, P: PowerMeter> Server<'a, 'b, F, C, P> {
    /// Serves `app`, with `rx` for incoming frames and `tx` for outgoing ones.
    pub fn new(
        app: &'b mut App<'a, F, C, P>,
        rx: &'b mut [u8; RX_LEN],
        tx: &'b mut [u8; TX_LEN],
    ) -> Self {
        Self {
            app,
            reader: FrameReader::new(rx),
            tx,
        }
    }

    /// Takes bytes that have arrived, in pieces of any size; `send` gets the frames to send, one a call.
    pub fn receive(&mut self, mut bytes: &[u8], send: &mut dyn FnMut(&[u8])) {
        while let Some(payload) = self.reader.read(&mut bytes) {
            let tx = &mut *self.tx;
            self.app.handle(payload, &mut |message| {
                if let Some(frame) = encode(message, &mut tx[..]) {
                    send(frame);
                }
            });
        }
    }

    /// The application.
    pub fn app(&self) -> &App<'a, F, C, P> {
        self.app
    }

    /// Number of damaged frames so far.
    pub fn damaged(&self) -> u32 {
        self.reader.damaged()
    }
}
