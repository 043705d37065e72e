//! A node of the file with its inputs looked up, and checked access to them for handlers.

use super::attributes::Attributes;
use super::tensor::Tensor;
use super::value::{Act, Value};
use crate::import::ImportError;

/// A node of the file with its inputs looked up.
pub struct Node<'a> {
    /// Unique name.
    pub name: String,
    /// Attributes.
    pub attributes: Attributes<'a>,
    /// Inputs; `None` where an optional one is left out.
    pub inputs: Vec<Option<Value>>,
}

impl Node<'_> {
    /// The operator's name.
    pub fn op(&self) -> &str {
        &self.attributes.0.op_type
    }

    /// Input `i`, if it is given.
    pub fn optional(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// Input `i`.
    pub fn input(&self, i: usize) -> Result<&Value, ImportError> {
        self.optional(i).ok_or_else(|| {
            ImportError::new(format!("input {i} is missing")).hint("the file is damaged")
        })
    }

    /// Input `i`, an activation that is not quantized. It may be the result of the final Softmax.
    pub fn numbers(&self, i: usize) -> Result<&Act, ImportError> {
        match self.input(i)? {
            Value::Act(act) if act.coding.is_some() => Err(ImportError::new(format!(
                "input {i} is quantized, without a DequantizeLinear before the operator"
            ))
            .hint("quantize the model to the QDQ format")),
            Value::Act(act) => Ok(act),
            Value::Const(_) => Err(constant(i)),
        }
    }

    /// Input `i`, an activation, as numbers or as 8-bit codes.
    pub fn stored(&self, i: usize) -> Result<&Act, ImportError> {
        match self.input(i)? {
            Value::Act(act) if act.softmax => {
                Err(ImportError::new("a Softmax before other operators")
                    .hint("only a Softmax at the end is supported"))
            }
            Value::Act(act) => Ok(act),
            Value::Const(_) => Err(constant(i)),
        }
    }

    /// Input `i`, an activation.
    pub fn act(&self, i: usize) -> Result<&Act, ImportError> {
        self.numbers(i).and_then(|_| self.stored(i))
    }

    /// Input `i`, an activation of dimensions `[1, C, H, W]`.
    pub fn image(&self, i: usize) -> Result<&Act, ImportError> {
        self.act(i).and_then(|_| self.stored_image(i))
    }

    /// Input `i`, an activation of dimensions `[1, C, H, W]`, as numbers or as 8-bit codes.
    pub fn stored_image(&self, i: usize) -> Result<&Act, ImportError> {
        let act = self.stored(i)?;
        if act.is_image() {
            return Ok(act);
        }
        Err(ImportError::new(format!(
            "input {i} is not a feature map of dimensions 1xCxHxW (rows and columns of a {} map)",
            act.shape
        ))
        .hint("only two-dimensional networks in NCHW are supported"))
    }

    /// Input `i`, a constant, if it is given.
    pub fn optional_tensor(&self, i: usize) -> Result<Option<&Tensor>, ImportError> {
        match self.optional(i) {
            None => Ok(None),
            Some(Value::Const(t)) => Ok(Some(t)),
            Some(Value::Act(_)) => Err(ImportError::new(format!(
                "input {i} is computed from the network's input"
            ))
            .hint("only constants are supported there")),
        }
    }

    /// Input `i`, a constant.
    pub fn tensor(&self, i: usize) -> Result<&Tensor, ImportError> {
        self.input(i)?;
        self.optional_tensor(i)?
            .ok_or_else(|| ImportError::new(format!("input {i} is missing")))
    }

    /// All inputs, if they are constants.
    pub fn all_constant(&self) -> Option<Vec<&Tensor>> {
        let tensor = |v: &Option<Value>| match v {
            Some(Value::Const(_)) | None => true,
            Some(Value::Act(_)) => false,
        };
        if !self.inputs.iter().all(tensor) {
            return None;
        }
        Some(
            self.inputs
                .iter()
                .flatten()
                .filter_map(|v| {
                    if let Value::Const(t) = v {
                        Some(t)
                    } else {
                        None
                    }
                })
                .collect(),
        )
    }
}

fn constant(i: usize) -> ImportError {
    ImportError::new(format!("input {i} is a constant")).hint("simplify the model first (onnxsim)")
}
