//! Host side of Graft: brings a pretrained CNN in, makes it small, and writes the `.edge` file.
//!
//! The way of a model: [`import`] and [`zoo`] give a float [`graph`]; [`passes`] simplify it;
//! `quantize` turns it into int8 with ranges measured on pictures from [`dataset`]; the writer plans
//! the arena and writes the file. [`pack`] lays a model out for a microcontroller. Boards are data
//! ([`board`]). Knows no transport.

pub mod board;
mod close_names;
pub mod convert;
pub mod dataset;
pub mod evaluate;
pub mod graph;
pub mod import;
pub mod lower;
pub mod output;
pub mod pack;
pub mod passes;
pub mod progress;
pub mod quantize;
pub mod report;
pub mod retrain;
pub mod runner;
pub mod self_check;
pub mod sign;
pub mod verify;
pub mod zoo;
