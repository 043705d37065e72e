//! Tools that know nothing of networks.

pub(crate) mod close_names;
pub mod output;
pub mod progress;
