//! The layers that architectures are written in, and where their weights come from.
//!
//! A [`Builder`] adds layers to a [`Graph`](crate::graph::Graph); each takes its parameters by PyTorch's
//! name from a checkpoint, or makes seeded random ones. What is missing, extra or of another shape is
//! collected, so that one error says all. Knows no architecture and no file.

mod builder;
mod conv;
mod parameters;
mod pool;
mod spread;

pub use builder::{Builder, Built};
pub use conv::Conv;
pub use parameters::{Mismatch, Weights};
pub use spread::Spread;
