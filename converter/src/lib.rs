//! The host side of Graft: takes a pretrained CNN, makes it small, and writes the `.edge` file that devices
//! run.
//!
//! # The way of a model
//!
//! 1. [`import`] reads a file (ONNX, TensorFlow Lite), or [`zoo`] builds a network of the catalog from its
//!    weights. Both give a float [`graph::Graph`].
//! 2. [`passes`] simplify the graph without changing what it computes; [`compress`] makes it smaller if asked to.
//! 3. [`quantize`] runs the float network on pictures from [`dataset`], gives every tensor a scale and a zero
//!    point, and makes all numbers integers.
//! 4. [`lower`] plans the arena and writes the file.
//! 5. [`pack`] lays the weights out for a microcontroller, if the file is for one. Boards are data
//!    ([`board`]).
//!
//! [`jobs::convert`] runs steps 2 to 4 as a list of stages and judges the result; [`jobs::prune`] makes a smaller
//! network to convert. The other [`jobs`] use the file: they measure its accuracy, train a new head, compare
//! backends, sign.
//!
//! # Layers
//!
//! A module may use the modules in the rows above its own, and no others (a test checks that):
//!
//! | module | holds |
//! |---|---|
//! | [`util`], [`dataset`] | tools; pictures |
//! | [`graph`] | the float network, its shapes, bounds and reference, and where trunk and head meet |
//! | [`import`], [`passes`], [`quantize`] | each gives or takes a graph, and knows none of the others |
//! | [`zoo`] | the catalog; builds graphs from the tensors that `import` reads |
//! | [`lower`] | writes the graph, or the integers of `quantize`, to a file |
//! | [`compress`] | changes a graph so that it is smaller; runs it on pictures to see what that costs |
//! | [`pack`] | lays the weights of a file out for a family of processors |
//! | [`board`] | boards, and whether a model fits one |
//! | [`jobs`] | the jobs of the command line |
//!
//! No module knows how a board is reached; that is the runtime's `transport`.

pub mod board;
pub mod compress;
pub mod dataset;
pub mod graph;
pub mod import;
pub mod jobs;
pub mod lower;
#[cfg(test)]
mod module_order;
pub mod pack;
pub mod passes;
pub mod quantize;
pub mod util;
pub mod zoo;
