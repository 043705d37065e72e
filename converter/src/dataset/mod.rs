//! Pictures: reading them, bringing them to a network's input, folders of them, and generated ones.
//!
//! Knows what a picture and an [`InputSpec`](edge_runtime::model::InputSpec) are. Knows nothing of
//! graphs, quantization or the zoo.

pub mod dead_leaves;
pub mod folder;
pub mod image_file;
mod load;
mod orientation;
mod picture;
pub mod preprocess;
mod resize;
pub(crate) mod splitmix;

pub use folder::{Dataset, DatasetError, Item};
pub use load::{LoadError, load, load_all, map_all};
pub use picture::Picture;
