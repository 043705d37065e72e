//! From a float graph to integers.
//!
//! [`calibrate`] runs the float network on pictures and records what each tensor does ([`observer`]);
//! [`range`] turns that into ranges by a rule; [`assign`] gives every tensor its scale and zero point.
//! [`quantize`] makes the numbers of every layer integers: weights ([`weights`]) and biases ([`bias`]),
//! factors ([`multiplier`]) and tables. Its result is a [`QuantizedNetwork`], of which only the bytes are
//! left to be laid out. Knows nothing of files.

pub mod activation;
pub mod assign;
pub mod bias;
pub mod calibrate;
mod error;
pub mod idle_clamps;
pub mod layer;
pub mod multiplier;
mod network;
pub mod norm;
pub mod observer;
pub mod range;
pub mod ranges;
pub mod weights;

pub use error::{Problem, QuantizeError};
pub use layer::{QuantizedConv, QuantizedOp};
pub use network::{QuantizedHead, QuantizedNetwork, quantize};
