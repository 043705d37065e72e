//! The host's clock as the clock of a device.

use edge_runtime::device::Clock;
use std::time::Instant;

/// Microseconds since it was made.
pub struct WallClock(Instant);

impl WallClock {
    /// A clock at zero.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for WallClock {
    fn micros(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
