//! Pictures for the converter: many files at once, and generated ones.
//!
//! What a single picture is and how it becomes the input of a network is part of the runtime
//! ([`edge_runtime::picture`]), because devices do it too. This module knows nothing of graphs, quantization
//! or the zoo.

pub mod dead_leaves;
mod load;
pub(crate) mod splitmix;

pub use edge_runtime::picture::{
    Dataset, DatasetError, Item, LeftOut, LoadError, Picture, folder, image_file, load, preprocess,
};
pub use load::{load_all, map_all};
