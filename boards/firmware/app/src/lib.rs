//! What is the same on every microcontroller: the main loop over the device application
//! (`edge_runtime::device`), what happens after a fault, the stack's high-water mark, a clock.
//!
//! A board's crate makes a [`Board`] of its parts and calls [`run`]. The firmware is generic: the model is
//! whatever lies in its region of flash. Knows no board, no peripheral beyond the core's own, no model.

#![no_std]
#![warn(missing_docs)]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod asleep;
mod board;
mod clock;
mod cycles;
mod fault;
mod map;
mod meter;
mod run;
mod shared;
mod stack;
mod trust;

pub use asleep::{Asleep, PIECE};
pub use board::Board;
pub use clock::{SysTickClock, micros};
pub use cycles::Cycles;
pub use map::{MemoryMap, Region};
pub use meter::{Meter, Sensor};
pub use run::run;
pub use shared::Shared;
pub use stack::stack_use;
