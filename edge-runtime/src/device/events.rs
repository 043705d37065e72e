//! What happened lately: a small ring that `log` drains.

use serde::{Deserialize, Serialize};

/// How many events are kept.
const KEPT: usize = 16;

/// Something worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds of the device's clock.
    pub micros: u64,
    /// What it was.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// The application started; so many samples are in the store.
    Started {
        /// Samples found.
        samples: u32,
        /// Sequence number of the active head, 0 for the factory's.
        sequence: u32,
    },
    /// A host opened a session.
    Session {
        /// The number that it chose.
        number: u32,
    },
    /// A head became active.
    Committed {
        /// Its sequence number.
        sequence: u32,
    },
    /// A head was revoked.
    RolledBack {
        /// Sequence number of the head that is active now.
        sequence: u32,
    },
    /// A head was trained.
    Trained {
        /// Samples, those held out included.
        samples: u32,
    },
    /// The flash failed.
    FlashFailed {
        /// Offset in the flash.
        at: u32,
    },
}

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Events {
    kept: heapless::Deque<Event, KEPT>,
    lost: u32,
}

impl Events {
    pub fn push(&mut self, micros: u64, kind: EventKind) {
        if self.kept.is_full() {
            self.kept.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        // There is room now.
        let _ = self.kept.push_back(Event { micros, kind });
    }

    /// Takes the oldest event out.
    pub fn pop(&mut self) -> Option<Event> {
        self.kept.pop_front()
    }

    /// Events that were dropped since the last call.
    pub fn take_lost(&mut self) -> u32 {
        core::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut events = Events::default();
        for at in 0..20 {
            events.push(at as u64, EventKind::FlashFailed { at });
        }
        assert_eq!((events.take_lost(), events.take_lost()), (4, 0));
        assert_eq!(events.pop().unwrap().micros, 4);
        assert_eq!(core::iter::from_fn(|| events.pop()).count(), 15);
    }
}
