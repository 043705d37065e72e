//! A simulated device's parts, which misbehave on purpose: flash that wears and loses power, a link that
//! drops and damages bytes, a clock, a power sensor behind I2C.
//!
//! Deterministic: every fault comes from a seed or a count.

mod clock;
mod flash;
mod image;
mod link;
mod pipe;
mod sensor;

pub use clock::SimClock;
pub use flash::{PowerCut, SimFlash, Torn};
pub use image::{FlashImage, ImageError};
pub use link::{Faults, NoisyLine};
pub use pipe::SimPipe;
pub use sensor::{SensorBus, SensorError};
