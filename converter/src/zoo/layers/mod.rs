//! The layers of which architectures are built, and where their weights come from.
//!
//! A [`Builder`] adds layers to a [`Graph`](crate::graph::Graph). Each takes its parameters from a checkpoint
//! by their PyTorch names, or makes seeded random ones. Parameters that are missing, extra or of another
//! shape are collected, so that one error says all. This module knows no architecture and no file.

mod builder;
mod conv;
mod parameters;
mod pool;
mod spread;

pub use builder::{Builder, Built};
pub use conv::Conv;
pub use parameters::{Mismatch, Weights};
pub use spread::Spread;
