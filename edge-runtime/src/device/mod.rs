//! The device application: requests in, replies out, the same on every device.
//!
//! Start with [`app::App`] and a [`server::Server`] around it. Firmware, the Linux program and the simulation
//! differ in what they plug in: a [`Flash`](crate::flash::Flash), a [`Clock`], a
//! [`PowerMeter`](crate::power::PowerMeter), and the pipe. Knows no board and no transport.
//!
//! Layers, the lowest first. Each knows only those above it in this list:
//!
//! 1. `clock`, `events`, [`mod@frame`]: time; what happened lately; from bytes of a bad line to checked
//!    payloads;
//! 2. [`mod@samples`]: labelled features in flash, to train on;
//! 3. `error`: what a device refuses, and why ([`DeviceError`], [`NotReady`], [`LoadError`]);
//! 4. [`mod@protocol`]: requests, replies and their bytes (`docs/reference/protocol.md` is the
//!    specification);
//! 5. `send`, [`mod@memory`]: short messages; how much RAM a model takes, known beforehand;
//! 6. [`mod@load`]: a model that a host sends, and what answers while no application runs;
//! 7. [`mod@app`]: the application, which owns memory and stores;
//! 8. [`mod@server`]: application or loader behind a byte pipe.
//!
//! An error of one layer becomes an error of a lower one (`From`) in the file of the upper one.

pub mod app;
mod clock;
mod error;
mod events;
pub mod frame;
pub mod load;
pub mod memory;
pub mod protocol;
pub mod samples;
mod send;
pub mod server;

pub use clock::Clock;
pub use error::{DeviceError, Feature, LoadError, NotReady};
pub use events::{Event, EventKind, FILE_NAME, Fault, FaultKind, FileName};
