//! QUANTIZE and DEQUANTIZE. `Context::run` sets the quantization of their results.

use super::super::context::Context;
use super::super::node::Node;
use super::super::value::Value;
use crate::import::ImportError;

/// Quantizes a float, or changes the quantization of 8-bit values.
pub fn quantize<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    match &node.input(0)?.value {
        value @ Value::Act(_) if node.quant.is_some() => Ok(value.clone()),
        _ => {
            Err(ImportError::new("does not turn an activation into 8 bits")
                .hint("the file is damaged"))
        }
    }
}

/// Dequantizes activations of 8 bits, and constants of 8 bits or float16.
pub fn dequantize<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    match &node.input(0)?.value {
        value @ (Value::Act(_) | Value::Stored(_)) if node.quant.is_none() => Ok(value.clone()),
        _ => Err(ImportError::new("does not turn anything into float").hint("the file is damaged")),
    }
}
