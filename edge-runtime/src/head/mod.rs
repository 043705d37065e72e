//! The head: pooling of the trunk's last feature map, an optional hidden layer, and a fully connected layer.
//! It is a part of its own that can be trained, stored, exported and imported, while the trunk stays in
//! read-only memory.
//!
//! Start with [`Head`] to classify features, [`train::train`] to make a new head, and [`store::HeadStore`] to
//! keep heads in flash.
//!
//! - [`mod@file`]: the head file, which slots in flash and `.edge` files contain;
//! - [`mod@feature`]: from feature map to feature;
//! - `infer`, on [`Head`]: from feature to logits;
//! - [`size`]: how large a head is, and how much memory its training takes;
//! - [`train`]: softmax regression on int8 features, or on a hidden layer of them, the same bits on every
//!   machine;
//! - [`mod@calibrate`]: temperature calibration, the last step of training;
//! - [`math`]: `exp`, `ln` and more with the same bits on every machine;
//! - [`store`]: two slots in flash, so that a power cut never leaves a device without a head.
//!
//! Knows no backend: it starts where the trunk ends.

pub mod calibrate;
pub mod feature;
pub mod file;
mod infer;
pub mod math;
pub mod size;
pub mod store;
pub mod train;

pub use feature::{FeatureRule, PoolKind};
pub use file::MAGIC;
pub use file::{Head, HeadData, HeadOrigin, HeadRecord, Pool};
pub use infer::{HiddenLayer, Int8Layers};
pub use size::{HeadSize, MAX_HIDDEN};
