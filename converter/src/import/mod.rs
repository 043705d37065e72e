//! Reads trained models: ONNX and TensorFlow Lite networks, PyTorch and safetensors checkpoints.
//!
//! [`onnx::read`] and [`tflite::read`] give a float [`crate::graph::Graph`]. [`pth::read`] and
//! [`safetensors::read`] give a [`StateDict`]: named tensors, which a network of the zoo takes its weights
//! from. [`read`] chooses the importer by the file's extension.
//!
//! Importers do not trust files. For any content they return a result or an [`ImportError`] of one line;
//! they never panic, and memory and time are bounded by the file's size and fixed limits. This module knows
//! no passes and not the `.edge` format.

mod dims;
mod error;
mod file;
mod imported;
mod layers;
#[cfg(test)]
mod lowered;
mod names;
pub mod onnx;
mod output;
pub mod pixels;
pub mod pth;
pub mod safetensors;
#[cfg(test)]
mod shared_data;
mod sniff;
mod state_dict;
mod sweep;
pub mod tflite;
mod values;

pub use error::{ErrorDetails, ImportError};
pub use file::{Content, Kind, kind, read};
pub use imported::Imported;
pub use pixels::PixelRule;
pub use state_dict::{NamedTensor, StateDict};
