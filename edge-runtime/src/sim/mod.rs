//! Parts of a simulated device that fail on purpose: a flash that wears out and loses power, a line that
//! drops and damages bytes, a clock, a power sensor on an I2C bus.
//!
//! Deterministic: every fault follows from a seed or a count.

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
