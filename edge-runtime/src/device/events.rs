//! The log: the latest events, in a small ring that the request `Log` empties.

use serde::{Deserialize, Serialize};

/// Most events that are kept.
const KEPT: usize = 16;

/// An event of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds of the device's clock.
    pub micros: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// The application started.
    Started {
        /// Samples in the store.
        samples: u32,
        /// Sequence number of the active head, 0 for the factory's.
        sequence: u32,
    },
    /// A host opened a session.
    Session {
        /// Number of the session, which the host chose.
        number: u32,
    },
    /// A head became active.
    Committed {
        /// Its sequence number.
        sequence: u32,
    },
    /// A head was rolled back.
    RolledBack {
        /// Sequence number of the head that is active now.
        sequence: u32,
    },
    /// A head was trained.
    Trained {
        /// Samples, those held out included.
        samples: u32,
        /// Classes without held-out samples: nothing tells how well the head knows them.
        unjudged: u32,
    },
    /// The flash failed.
    FlashFailed {
        /// Offset in the flash.
        at: u32,
    },
    /// The program's last run ended in a fault.
    Fault(Fault),
}

/// A fault that ended a run of the program, as it was recorded then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// After a panic the line in the source file; else the address of the instruction, or the number of the
    /// exception.
    pub at: u32,
    /// After a panic the end of the source file's name.
    pub file: FileName,
    /// Number of faults, this one included, since a request was last answered.
    pub in_a_row: u32,
}

/// What ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// A panic.
    Panic,
    /// A hard fault.
    HardFault,
    /// An exception without a handler.
    Exception,
}

/// Most bytes of a [`FileName`].
pub const FILE_NAME: usize = 24;

/// The end of a source file's name: at most [`FILE_NAME`] bytes of text, filled up with zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileName([u8; FILE_NAME]);

impl FileName {
    /// Keeps the end of `name`.
    pub fn new(name: &str) -> Self {
        let from = name.len().saturating_sub(FILE_NAME);
        let tail = name.as_bytes().get(from..).unwrap_or_default();
        let mut bytes = [0; FILE_NAME];
        for (to, byte) in bytes.iter_mut().zip(tail) {
            *to = *byte;
        }
        Self(bytes)
    }

    /// From the bytes of [`Self::bytes`].
    pub const fn from_bytes(bytes: [u8; FILE_NAME]) -> Self {
        Self(bytes)
    }

    /// The text, filled up with zeros.
    pub const fn bytes(&self) -> [u8; FILE_NAME] {
        self.0
    }

    /// The text, without bytes at its front that are part of a cut character.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(FILE_NAME);
        let text = self.0.get(..len).unwrap_or_default();
        // A character may have been cut in two.
        (0..4)
            .find_map(|skip| core::str::from_utf8(text.get(skip..)?).ok())
            .unwrap_or_default()
    }
}

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Events {
    kept: heapless::Deque<Event, KEPT>,
    lost: u32,
}

impl Events {
    /// Keeps an event. Of sessions in a row only the last one is kept, so that hosts which only ask push no
    /// other event out.
    pub fn push(&mut self, micros: u64, kind: EventKind) {
        let is_session = |kind: &EventKind| matches!(kind, EventKind::Session { .. });
        if is_session(&kind) && self.kept.back().is_some_and(|e| is_session(&e.kind)) {
            self.kept.pop_back();
        }
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
    fn the_end_of_a_files_name() {
        assert_eq!(FileName::new("src/main.rs").as_str(), "src/main.rs");
        let long = FileName::new("edge-runtime/src/kernels/depthwise.rs");
        assert_eq!(long.as_str(), "src/kernels/depthwise.rs");
        // 23 bytes and a character of two, cut in the middle.
        let cut = FileName::new("x/ä23456789012345678901.rs");
        assert_eq!(
            cut.as_str(),
            "ä23456789012345678901.rs".trim_start_matches('ä')
        );
        assert_eq!(FileName::default().as_str(), "");
    }

    #[test]
    fn the_newest_are_kept() {
        let mut events = Events::default();
        for at in 0..20 {
            events.push(at as u64, EventKind::FlashFailed { at });
        }
        assert_eq!((events.take_lost(), events.take_lost()), (4, 0));
        assert_eq!(events.pop().unwrap().micros, 4);
        assert_eq!(core::iter::from_fn(|| events.pop()).count(), 15);

        events.push(1, EventKind::FlashFailed { at: 1 });
        for number in 0..20 {
            events.push(2, EventKind::Session { number });
        }
        assert_eq!(events.take_lost(), 0);
        assert_eq!(events.pop().unwrap().micros, 1);
        let kind = EventKind::Session { number: 19 };
        assert_eq!(events.pop().unwrap().kind, kind);
        assert!(events.pop().is_none());
    }
}
