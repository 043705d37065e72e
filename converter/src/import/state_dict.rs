//! Named tensors, as PyTorch and safetensors files hold them.

use std::collections::BTreeMap;

/// A tensor as a checkpoint stores it: row-major, PyTorch's order of dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values, converted to f32 (integers and half floats included).
    pub data: Vec<f32>,
}

/// Tensors by parameter name, e.g. `_blocks.0._bn1.weight`.
pub type StateDict = BTreeMap<String, NamedTensor>;
