//! The device application: requests in, replies out, the same on every device.
//!
//! - [`mod@frame`]: bytes of a noisy line to checked payloads and back;
//! - [`mod@protocol`]: what is asked and answered (`docs/protocol.md` is the specification);
//! - [`mod@samples`]: labelled features in flash, to train on;
//! - [`mod@memory`]: how much RAM that takes, known beforehand;
//! - [`mod@app`]: the application, which owns memory and stores;
//! - [`mod@server`]: the application behind a byte pipe;
//! - [`mod@load`]: a model that a host sends, and what answers where no application runs;
//! - [`mod@vacant`]: that behind a byte pipe.
//!
//! Firmware, the Linux program and the simulation differ in what they plug in: a [`crate::flash::Flash`], a
//! [`Clock`], a [`crate::power::PowerMeter`], and the pipe. Knows no board and no transport.

pub mod app;
mod error;
mod events;
pub mod frame;
pub mod load;
pub mod memory;
pub mod protocol;
mod retrain;
pub mod samples;
pub mod server;
pub mod vacant;

pub use error::{DeviceError, Feature, NotReady};
pub use events::{Event, EventKind, FILE_NAME, Fault, FaultKind, FileName};

use crate::signature::SIGNATURE_LEN;

/// A clock that counts from some moment on.
pub trait Clock {
    /// Microseconds; never goes back.
    fn micros(&self) -> u64;

    /// Cycles of the processor modulo 2^32, where it counts them.
    fn cycles(&self) -> Option<u32> {
        None
    }
}

impl<C: Clock + ?Sized> Clock for &C {
    fn micros(&self) -> u64 {
        (**self).micros()
    }
    fn cycles(&self) -> Option<u32> {
        (**self).cycles()
    }
}

/// A signature from the halves that a request has.
pub(crate) fn whole(halves: [[u8; 32]; 2]) -> [u8; SIGNATURE_LEN] {
    let mut whole = [0; SIGNATURE_LEN];
    whole[..32].copy_from_slice(&halves[0]);
    whole[32..].copy_from_slice(&halves[1]);
    whole
}
