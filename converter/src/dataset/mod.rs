//! Pictures for the converter: loads many at once, and generates some.
//!
//! [`edge_runtime::picture`] decodes a single picture and makes it a network's input, because devices do that
//! too. This module knows no graphs, no quantization and no zoo.

pub mod dead_leaves;
mod load;

pub use edge_runtime::picture::{
    Dataset, DatasetError, Item, LeftOut, LoadError, Picture, folder, image_file, load, preprocess,
};
pub use load::{load_all, map_all};
