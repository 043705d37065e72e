//! What a `board.toml` says about a board. `docs/reference/boards.md` describes the file.
//!
//! - [`Board`] and the types of its fields: plain data;
//! - [`parse`]: from the text of a file to a [`Board`] that is consistent;
//! - [`check`](mod@check): the rules that make a board consistent.
//!
//! The host's commands and the build scripts of firmware read boards with this crate, so that no address is
//! written down twice. It depends on nothing else of Graft.

#![warn(missing_docs)]

mod board;
pub mod check;
mod deploy;
mod memory;
mod parse;
mod power;
#[cfg(test)]
mod tests;

pub use board::{Accelerator, AcceleratorKind, Board, Cpu, FactsFrom, Kind, Linux};
pub use check::{Problem, check};
pub use deploy::Deploy;
pub use memory::{
    LINUX_ERASE, LINUX_WRITE, MAX_WRITE, MIN_ERASE, Memory, MemoryKind, Region, Store, Use,
};
pub use parse::{ParseError, parse};
pub use power::Power;
