//! Operators that move no data. They change the dimensions of an activation, or fold a constant.

use super::super::context::Context;
use super::super::node::Node;
use super::super::pb::tensor_proto::DataType;
use super::super::tensor::{Data, Tensor, elements, show};
use super::super::value::{Act, Value};
use super::normalize_axis;
use crate::import::ImportError;
use crate::import::dims::MAX_RANK;
use std::rc::Rc;

/// Returns the first input. Dropout does nothing in inference.
pub fn identity(_: &mut Context, node: &Node) -> Result<Value, ImportError> {
    if node.op() == "Dropout"
        && node
            .optional_tensor(2)?
            .and_then(Tensor::scalar)
            .is_some_and(|t| t != 0.0)
    {
        return Err(ImportError::new("drops out in training mode")
            .hint("export the model in inference mode (model.eval())"));
    }
    node.input(0).cloned()
}

/// Converts between float types; constants also between floats and integers.
pub fn cast(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let to = node.attributes.int("to", 0);
    let to_float = matches!(to, 1 | 10 | 11 | 16);
    let to_int = matches!(to, 2..=7 | 9 | 12 | 13);
    match node.input(0)? {
        Value::Act(a) if to_float && a.coding.is_none_or(|c| c.quant.is_none()) => {
            // Codes that are the network's input are numbers themselves.
            Ok(Value::Act(Act {
                coding: None,
                ..a.clone()
            }))
        }
        Value::Const(t) if to_float || to_int => {
            let data = match &t.data {
                Data::Int(v) if to_float => {
                    context.charge(Some(v.len()))?;
                    Data::Float(Rc::new(v.iter().map(|&v| v as f32).collect()))
                }
                Data::Float(v) if to_int => {
                    context.charge(Some(v.len()))?;
                    Data::Int(Rc::new(v.iter().map(|&v| v as i64).collect()))
                }
                same => same.clone(),
            };
            let kind = i32::try_from(to)
                .ok()
                .and_then(|k| DataType::try_from(k).ok());
            Ok(Value::Const(Tensor {
                dims: t.dims.clone(),
                data,
                kind: kind.unwrap_or(t.kind),
                steps: None,
            }))
        }
        _ => Err(ImportError::new(format!("is type {to}"))
            .attribute("to")
            .hint("activations are float")),
    }
}

/// The same elements with other dimensions.
fn with_dims(value: &Value, dims: Vec<usize>) -> Result<Value, ImportError> {
    let fits = elements(&dims);
    let wrong = |n: usize| {
        let to = show(&dims);
        ImportError::new(format!("{n} elements do not make {to}"))
            .hint("export the model with a batch of 1 and a fixed input size")
    };
    match value {
        Value::Const(t) => t
            .reshaped(dims.clone())
            .map(Value::Const)
            .ok_or_else(|| wrong(t.data.len())),
        Value::Act(a) if fits == Some(a.shape.len()) => Ok(Value::Act(Act { dims, ..a.clone() })),
        Value::Act(a) => Err(wrong(a.shape.len())),
    }
}

/// Reshapes to two dimensions.
pub fn flatten(_: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.input(0)?;
    let dims = x.dims();
    let axis = match node.attributes.int("axis", 1) {
        a if a == dims.len() as i64 => dims.len(),
        a => normalize_axis(a, dims.len())?,
    };
    let product = |d: &[usize]| {
        d.iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .unwrap_or(usize::MAX)
    };
    with_dims(x, vec![product(&dims[..axis]), product(&dims[axis..])])
}

/// Reshapes to constant dimensions. 0 keeps a dimension, -1 is the one that follows from the others.
pub fn reshape(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.input(0)?;
    let mut target = node.tensor(1)?.ints()?.to_vec();
    if let (Value::Act(_), Some(first)) = (x, target.first_mut())
        && context.batch > 1
        && *first == context.batch
    {
        *first = 1;
    }
    let old = x.dims();
    let total: usize = match x {
        Value::Const(t) => t.data.len(),
        Value::Act(a) => a.shape.len(),
    };
    let keep_zero = node.attributes.flag("allowzero");
    let bad =
        || ImportError::new(format!("cannot reshape to {target:?}")).hint("the file is damaged");
    let mut dims = vec![];
    let mut rest = None;
    for (i, &d) in target.iter().enumerate() {
        dims.push(match d {
            0 if !keep_zero => *old.get(i).ok_or_else(bad)?,
            -1 if rest.is_none() => {
                rest = Some(i);
                1
            }
            d => usize::try_from(d).map_err(|_| bad())?,
        });
    }
    if let Some(i) = rest {
        let known = elements(&dims).filter(|&n| n > 0).ok_or_else(bad)?;
        dims[i] = total / known;
    }
    with_dims(x, dims)
}

/// The axes, from the second input or the attribute.
fn axes(node: &Node) -> Result<Option<Vec<i64>>, ImportError> {
    match node.optional_tensor(1)? {
        Some(t) => t.ints().map(|v| Some(v.to_vec())),
        None => Ok(node.attributes.ints("axes").map(<[i64]>::to_vec)),
    }
}

/// Removes dimensions of 1.
pub fn squeeze(_: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.input(0)?;
    let dims = x.dims();
    let mut gone = vec![false; dims.len()];
    match axes(node)? {
        None => gone = dims.iter().map(|&d| d == 1).collect(),
        Some(axes) => {
            for axis in axes {
                gone[normalize_axis(axis, dims.len())?] = true;
            }
        }
    }
    with_dims(
        x,
        (0..dims.len())
            .filter(|&i| !gone[i])
            .map(|i| dims[i])
            .collect(),
    )
}

/// Inserts dimensions of 1.
pub fn unsqueeze(_: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.input(0)?;
    let axes = axes(node)?.ok_or_else(|| {
        ImportError::new("is missing")
            .attribute("axes")
            .hint("the file is damaged")
    })?;
    let rank = x.dims().len() + axes.len();
    if rank > MAX_RANK {
        return Err(ImportError::new(format!("{rank} dimensions")));
    }
    let mut new = vec![false; rank];
    for axis in axes {
        new[normalize_axis(axis, rank)?] = true;
    }
    let mut old = x.dims().iter();
    let dims = new
        .iter()
        .map(|&n| {
            if n {
                1
            } else {
                old.next().copied().unwrap_or(1)
            }
        })
        .collect();
    with_dims(x, dims)
}
