//! A clock that the program moves.

use crate::device::Clock;
use core::cell::Cell;

/// A clock that advances by a fixed step each time it is read, and by [`SimClock::advance`].
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    now: Cell<u64>,
    step: u64,
}

impl SimClock {
    /// A clock at zero that advances by `step` microseconds each time it is read.
    pub fn new(step: u64) -> Self {
        Self {
            now: Cell::new(0),
            step,
        }
    }

    /// Advances the clock.
    pub fn advance(&self, micros: u64) {
        self.now.set(self.now.get() + micros);
    }
}

impl Clock for SimClock {
    fn micros(&self) -> u64 {
        self.advance(self.step);
        self.now.get()
    }
}
