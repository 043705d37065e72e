//! Reading what others trained: ONNX and TensorFlow Lite models, PyTorch and safetensors checkpoints.
//!
//! [`onnx::read`] and [`tflite::read`] give a float [`crate::graph::Graph`]; [`pth::read`] and
//! [`safetensors::read`] give a [`StateDict`], named tensors that an architecture of the zoo picks its
//! weights from; [`read`] chooses by a file's name. Files are never trusted: whatever is in them, an importer gives a result or an
//! [`ImportError`] of one line. Knows no passes and no `.edge` format.

mod dims;
mod error;
mod file;
mod imported;
mod layers;
mod names;
pub mod onnx;
mod output;
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
pub use imported::{Imported, PixelRule};
pub use state_dict::{NamedTensor, StateDict};
