//! The head: pooling of the trunk's last feature map, a hidden layer if wished, and a fully connected layer, a
//! part of its own that can be trained, stored, exported and imported while the trunk stays in read-only memory.
//!
//! - [`mod@file`]: the head file, which is also what a device's slot holds and what a `.edge` file carries;
//! - [`mod@feature`]: from feature map to feature;
//! - `infer`, on [`Head`]: from feature to logits;
//! - [`size`]: how large it is, and what its training takes;
//! - [`train`]: softmax regression on int8 features, the same bits on every machine;
//! - [`mod@calibrate`]: temperature calibration, the last step of training;
//! - [`math`]: our own `exp` and `ln`;
//! - [`store`]: two slots in flash, so that a new head survives anything.
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
