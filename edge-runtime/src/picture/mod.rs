//! Pictures: decoding files, bringing pictures to a network's input, and folders of pictures.
//!
//! Start with [`image_file::read`], [`preprocess::crop`] and [`preprocess::to_i8`], or with [`Dataset`] for a
//! folder.
//!
//! Used by the converter and by devices with a file system, so that both give a network the same pixels.
//! Knows what a picture and an [`InputSpec`](crate::model::InputSpec) are. Knows nothing of graphs,
//! engines or training.

pub mod folder;
pub mod image_file;
mod load;
mod orientation;
pub mod preprocess;
mod resize;
mod rgb;

pub use folder::{Dataset, DatasetError, Item, LeftOut};
pub use load::{LoadError, load};
pub use rgb::Picture;
