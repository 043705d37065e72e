//! The application behind a byte pipe: frames in, frames out.

use super::Clock;
use super::app::App;
use super::frame::{FrameReader, encode, frame_len, reader_len};
use super::protocol::MAX_PAYLOAD;
use crate::flash::Flash;
use crate::power::PowerMeter;

/// Bytes of the buffer for incoming frames.
pub const RX_LEN: usize = reader_len(MAX_PAYLOAD);

/// Bytes of the buffer for outgoing frames.
pub const TX_LEN: usize = frame_len(MAX_PAYLOAD);

/// An application with the buffers of its line. It borrows the application, which would be moved on the
/// stack otherwise.
pub struct Server<'a, 'b, F, C, P> {
    app: &'b mut App<'a, F, C, P>,
    reader: FrameReader<'b>,
    tx: &'b mut [u8; TX_LEN],
}

impl<'a, 'b, F: Flash, C: Clock, P: PowerMeter> Server<'a, 'b, F, C, P> {
    /// Ties them together.
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

    /// Takes what has arrived, in pieces of any size; `send` gets the frames to send.
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

    /// Damaged frames so far.
    pub fn damaged(&self) -> u32 {
        self.reader.damaged()
    }
}
