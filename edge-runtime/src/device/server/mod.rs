//! The application, or a loader, behind a byte pipe: bytes in, frames out.

mod app;
mod loader;

pub use app::Server;
pub use loader::LoadServer;

use super::frame::{frame_len, reader_len};
use super::protocol::MAX_PAYLOAD;

/// Bytes of the buffer for incoming frames.
pub const RX_LEN: usize = reader_len(MAX_PAYLOAD);

/// Bytes of the buffer for outgoing frames.
pub const TX_LEN: usize = frame_len(MAX_PAYLOAD);
