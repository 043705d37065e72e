//! Constants, and the arithmetic on shapes that exporters leave in a model.

use super::super::context::Context;
use super::super::node::Node;
use super::super::tensor::{Data, Tensor, elements};
use super::super::value::Value;
use super::normalize_axis;
use crate::import::ImportError;
use std::rc::Rc;

/// A constant in an attribute.
pub fn constant(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let attributes = node.attributes;
    let tensor = if let Some(t) = attributes.tensor("value") {
        Tensor::decode(t.clone(), &context.external)?
    } else if let Some(a) = attributes.get("value_float") {
        Tensor::float(vec![], vec![a.f])
    } else if let Some(a) = attributes.get("value_int") {
        Tensor::int(vec![], vec![a.i])
    } else if let Some(a) = attributes.get("value_floats") {
        Tensor::float(vec![a.floats.len()], a.floats.clone())
    } else if let Some(a) = attributes.get("value_ints") {
        Tensor::int(vec![a.ints.len()], a.ints.clone())
    } else {
        return Err(ImportError::new("a constant without a numeric value")
            .hint("strings and sparse tensors are not supported"));
    };
    Ok(Value::Const(tensor))
}

/// A constant of given dimensions that repeats one number.
pub fn constant_of_shape(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let dims: Option<Vec<usize>> = node
        .tensor(0)?
        .ints()?
        .iter()
        .map(|&d| usize::try_from(d).ok())
        .collect();
    let dims =
        dims.ok_or_else(|| ImportError::new("a negative dimension").hint("the file is damaged"))?;
    let n = context.charge(elements(&dims))?;
    let value = match node.attributes.tensor("value") {
        Some(t) => Tensor::decode(t.clone(), &context.external)?,
        None => Tensor::float(vec![1], vec![0.0]),
    };
    let data = match &value.data {
        Data::Float(v) if v.len() == 1 => Data::Float(Rc::new(vec![v[0]; n])),
        Data::Int(v) if v.len() == 1 => Data::Int(Rc::new(vec![v[0]; n])),
        _ => return Err(ImportError::new("is no single number").attribute("value")),
    };
    Ok(Value::Const(Tensor {
        dims,
        data,
        ..value
    }))
}

/// The dimensions of a value, as a constant; the batch is 1.
pub fn shape(_: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let dims = node.input(0)?.dims();
    let rank = dims.len() as i64;
    let bound = |name: &str, default: i64| {
        let v = node.attributes.int(name, default);
        let v = if v < 0 { v.saturating_add(rank) } else { v };
        v.clamp(0, rank) as usize
    };
    let (start, end) = (bound("start", 0), bound("end", rank));
    let part: Vec<i64> = dims
        .get(start..end)
        .unwrap_or(&[])
        .iter()
        .map(|&d| d as i64)
        .collect();
    Ok(Value::Const(Tensor::int(vec![part.len()], part)))
}

/// Picks elements of a constant.
pub fn gather(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    if matches!(node.input(0)?, Value::Act(_)) {
        return Err(ImportError::new("picks elements of an activation")
            .hint("use a slice of adjacent channels instead"));
    }
    let (data, indices) = (node.tensor(0)?, node.tensor(1)?);
    let axis = normalize_axis(node.attributes.int("axis", 0), data.dims.len())?;
    let picks: Vec<usize> = indices
        .ints()?
        .iter()
        .map(|&i| normalize_axis(i, data.dims[axis]))
        .collect::<Result<_, _>>()?;
    let dims = [
        &data.dims[..axis],
        &indices.dims[..],
        &data.dims[axis + 1..],
    ]
    .concat();
    let inner: usize = data.dims[axis + 1..].iter().product();
    let block = data.dims[axis] * inner;
    let (n, per) = (context.charge_small(elements(&dims))?, picks.len() * inner);
    let at = |i: usize| i / per * block + picks[i % per / inner] * inner + i % inner;
    Ok(Value::Const(match &data.data {
        Data::Int(v) => Tensor::int(dims, (0..n).map(|i| v[at(i)]).collect()),
        Data::Float(v) => Tensor::float(dims, (0..n).map(|i| v[at(i)]).collect()),
    }))
}
