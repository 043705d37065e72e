//! Reading what others trained: ONNX models, and PyTorch checkpoints.
//!
//! [`onnx::read`] gives a float [`crate::graph::Graph`]; [`pth::read`] gives a [`StateDict`], named tensors
//! that an architecture of the zoo picks its weights from. Files are never trusted: whatever is in them,
//! an importer gives a result or an [`ImportError`] of one line. Knows no passes and no `.edge` format.

mod error;
pub mod onnx;
pub mod pth;
mod state_dict;
mod values;

pub use error::{ErrorDetails, ImportError};
pub use state_dict::{NamedTensor, StateDict};
