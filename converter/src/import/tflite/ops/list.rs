//! SHAPE, PACK and CAST: arithmetic on shapes, which Keras' Flatten and Reshape leave in a model.

use super::super::context::Context;
use super::super::node::Node;
use super::super::value::{List, Value};
use crate::import::ImportError;

/// The dimensions of a value, as a list; the batch is 1.
pub fn shape<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let dims = node.input(0)?.value.dims();
    List::new(dims.into_iter().map(|d| d as i64).collect(), false).map(Value::List)
}

/// Joins single integers into a list.
pub fn pack<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let mut values = vec![];
    for i in 0..node.inputs.len() {
        match node.list(i)?[..] {
            [one] => values.push(one),
            _ => {
                return Err(ImportError::new(format!("input {i} is no single number"))
                    .hint("only the numbers of a shape can be packed"));
            }
        }
    }
    List::new(values, false).map(Value::List)
}

/// Converts between types of integers, and pixels to floats.
pub fn cast<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let input = node.input(0)?;
    match &input.value {
        Value::List(list) => Ok(Value::List(list.clone())),
        Value::Act(_) if input.quant.is_none() && node.quant.is_none() => Ok(input.value.clone()),
        _ => Err(ImportError::new("a cast of other than shapes and pixels")
            .hint("convert the model with float32 or 8-bit input and output")),
    }
}
