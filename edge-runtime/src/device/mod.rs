//! The device application: requests in, replies out, the same on every device.
//!
//! - [`mod@frame`]: bytes of a noisy line to checked payloads and back;
//! - [`mod@protocol`]: what is asked and answered (`docs/reference/protocol.md` is the specification);
//! - [`mod@samples`]: labelled features in flash, to train on;
//! - [`mod@memory`]: how much RAM that takes, known beforehand;
//! - [`mod@app`]: the application, which owns memory and stores;
//! - [`mod@server`]: the application behind a byte pipe;
//! - [`mod@load`]: a model that a host sends, and what answers where no application runs;
//! - [`mod@vacant`]: that behind a byte pipe;
//! - `client`: the other side, for hosts (feature `std`);
//! - `names`: which names of classes it takes (feature `std`);
//! - `judged`: how well a new head knows each of its classes (feature `std`);
//! - `report`: what a device said as the objects that programs print for machines (feature `std`).
//!
//! Firmware, the Linux program and the simulation differ in what they plug in: a [`crate::flash::Flash`], a
//! [`Clock`], a [`crate::power::PowerMeter`], and the pipe. Knows no board and no transport.

pub mod app;
#[cfg(feature = "std")]
pub mod client;
mod error;
mod events;
pub mod frame;
#[cfg(feature = "std")]
pub mod judged;
pub mod load;
pub mod memory;
#[cfg(feature = "std")]
pub mod names;
pub mod protocol;
#[cfg(feature = "std")]
pub mod report;
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

/// CRC-32 (ISO-HDLC, as in Ethernet and zip) of parts, one after another.
pub fn crc32(parts: &[&[u8]]) -> u32 {
    let mut digest = CRC.digest();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

/// A signature from the halves that a request has.
pub(crate) fn whole(halves: [[u8; 32]; 2]) -> [u8; SIGNATURE_LEN] {
    let mut whole = [0; SIGNATURE_LEN];
    whole[..32].copy_from_slice(&halves[0]);
    whole[32..].copy_from_slice(&halves[1]);
    whole
}

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
