//! Host side of Graft: brings a pretrained CNN in, makes it small, and writes the `.edge` file.
//!
//! The way of a model: [`import`] and [`zoo`] give a float [`graph`]; [`passes`] simplify it;
//! `quantize` turns it into int8 with ranges measured on pictures from [`dataset`]; the writer plans
//! the arena and writes the file. [`pack`] lays a model out for a microcontroller. Boards are data
//! ([`board`]). Knows no transport.

pub mod board;
pub mod dataset;
pub mod graph;
pub mod import;
pub mod jobs;
pub mod lower;
pub mod pack;
pub mod passes;
pub mod quantize;
pub mod util;
pub mod zoo;
