//! Boards as data: what a device has, and whether a model fits it.
//!
//! - [`schema`]: what `board.toml` says, see `docs/boards.md`;
//! - [`load`]: the boards that come with Graft, and files of the user's own;
//! - [`check`](mod@check): what makes a description consistent;
//! - [`sizes`]: what the device application takes of flash and RAM, from sizes alone;
//! - [`mod@fit`]: needs of a model against what a board has, line by line;
//! - [`advice`]: what would fit instead.
//!
//! Firmware reads the same files when it is built. Knows no transport, and nothing of how a board is
//! flashed beyond what the file says.

pub mod advice;
pub mod check;
pub mod fit;
pub mod load;
pub mod schema;
pub mod sizes;

pub use fit::{Fit, Needs, Request, fit};
pub use load::{BoardError, all, find};
pub use schema::Board;
