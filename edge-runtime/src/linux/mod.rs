//! What Linux plugs into the device application: a flash in a file, a clock, a power meter, and sockets.
//!
//! `src/bin/edge` puts them together with the application. Knows Linux; knows nothing of what is stored and
//! what is asked.

mod app_with_loader;
mod clock;
mod flash;
mod hwmon;
mod listener;
mod local;
mod memory;
mod serve;
mod slot;
mod state;

pub use app_with_loader::AppWithLoader;
pub use clock::MonotonicClock;
pub use flash::{FileFlash, SIZES, WrongLength};
pub use hwmon::{HWMON, Hwmon};
pub use listener::{ListenError, Listener};
pub use local::LocalPipe;
pub use memory::memory_total;
pub use serve::{MAX_CONNECTIONS, serve};
pub use slot::ModelSlot;
pub use state::{HEADS_LEN, State, StateError};
