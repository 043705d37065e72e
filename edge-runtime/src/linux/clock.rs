//! The system's monotonic clock.

use crate::device::Clock;
use std::time::Instant;

/// Counts from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock(Instant);

impl MonotonicClock {
    /// A clock that starts at zero.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn micros(&self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}
