//! A clock that moves when it is told to.

use crate::device::Clock;
use core::cell::Cell;

/// Microseconds that advance by a fixed step at every look, and by [`SimClock::advance`].
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    now: Cell<u64>,
    step: u64,
}

impl SimClock {
    /// A clock at zero that moves `step` microseconds at every look.
    pub fn new(step: u64) -> Self {
        Self {
            now: Cell::new(0),
            step,
        }
    }

    /// Moves it.
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
