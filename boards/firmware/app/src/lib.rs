//! The part of the firmware that is the same on every microcontroller: the main loop around the device application
//! (`edge_runtime::device`), handling of faults, use of the stack, clocks.
//!
//! The crate of a board makes a [`Board`] of the board's parts and calls [`run`]. The model is not part of the program:
//! it is read from its region of flash. This crate knows no board, no model, and no peripheral but those of the core.

#![no_std]
#![warn(missing_docs)]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod board;
mod cycle_clock;
mod fault;
mod log;
mod main_loop;
mod memory_map;
mod meter;
mod shared_flash;
mod sleeping_uart;
mod stack;
mod systick;
mod trusted_key;

pub use board::Board;
pub use cycle_clock::CycleClock;
pub use main_loop::run;
pub use memory_map::{MemoryMap, MemoryRange};
pub use meter::{Meter, Sensor};
pub use shared_flash::SharedFlash;
pub use sleeping_uart::{MAX_SEND, SleepingUart};
pub use stack::stack_use;
pub use systick::{SysTickClock, micros};
