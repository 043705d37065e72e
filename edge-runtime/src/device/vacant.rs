//! A loader behind a byte pipe: what answers where the application cannot run, or has ended for a new model.
//!
//! A device without a model is no dead device: its host gets a typed error that says what to do, and can load one.
//! Knows no stores of heads and samples.

use super::frame::{FrameReader, encode};
use super::load::{Load, Loader, ModelStore};
use super::server::{RX_LEN, TX_LEN};

/// A line without an application behind it.
pub struct Vacant<'b, S> {
    loader: Loader<S>,
    reader: FrameReader<'b>,
    tx: &'b mut [u8; TX_LEN],
}

impl<'b, S: ModelStore> Vacant<'b, S> {
    /// Ties a loader to the buffers of its line.
    pub fn new(loader: Loader<S>, rx: &'b mut [u8; RX_LEN], tx: &'b mut [u8; TX_LEN]) -> Self {
        Self {
            loader,
            reader: FrameReader::new(rx),
            tx,
        }
    }

    /// Answers what an application has left to its loader; `send` gets the frame to send.
    pub fn begin(&mut self, load: &Load, send: &mut dyn FnMut(&[u8])) {
        let tx = &mut *self.tx;
        self.loader.begin(load, &mut |message| {
            if let Some(frame) = encode(message, &mut tx[..]) {
                send(frame);
            }
        });
    }

    /// Takes what has arrived, in pieces of any size; `send` gets the frames to send.
    pub fn receive(&mut self, mut bytes: &[u8], send: &mut dyn FnMut(&[u8])) {
        while let Some(payload) = self.reader.read(&mut bytes) {
            let tx = &mut *self.tx;
            self.loader.handle(payload, &mut |message| {
                if let Some(frame) = encode(message, &mut tx[..]) {
                    send(frame);
                }
            });
        }
    }

    /// True once the device is to restart: a model is loaded, or a host has asked for it, and the reply is sent.
    pub fn reset_requested(&self) -> bool {
        self.loader.reset_requested()
    }
}
