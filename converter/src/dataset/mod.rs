//! Pictures for the converter: many at once, and generated ones.
//!
//! What a single picture is, and how it becomes a network's input, is the runtime's
//! ([`edge_runtime::picture`]): devices do it too. Knows nothing of graphs, quantization or the zoo.

pub mod dead_leaves;
mod load;
pub(crate) mod splitmix;

pub use edge_runtime::picture::{
    Dataset, DatasetError, Item, LeftOut, LoadError, Picture, folder, image_file, load, preprocess,
};
pub use load::{load_all, map_all};
