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

/// Sebastiano Vigna's splitmix64 as a stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True so many times in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        self.bits() % 1_000_000 < per_million as u64
    }
}
