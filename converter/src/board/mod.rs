//! Boards as data: what a device has, and whether a model fits it.
//!
//! - [`schema`]: what a `board.toml` says (`docs/reference/boards.md`);
//! - [`known`]: the boards that come with Graft;
//! - [`mod@find`]: a board by its name or its file;
//! - [`mod@family`]: the kernels for which a model is packed;
//! - [`sizes`]: flash and RAM that the device application takes, from sizes alone;
//! - [`needs`]: what a model needs of a board;
//! - [`mod@fit`]: compares that with what the board has;
//! - [`suggest`]: networks and boards that would fit instead.
//!
//! Each module may use those above it, and no others. None knows how a board is reached or flashed beyond what
//! its file says.

pub mod family;
pub mod find;
pub mod fit;
pub mod known;
pub mod needs;
pub mod sizes;
pub mod suggest;

/// What a `board.toml` says.
pub use board_schema as schema;

pub use family::{family, pack_for};
pub use find::{BoardError, find};
pub use fit::{Fit, Request};
pub use known::all;
pub use needs::Needs;
pub use schema::Board;
pub use suggest::fit;
