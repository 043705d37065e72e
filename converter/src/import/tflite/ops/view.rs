//! Operators that move no data: they change only the dimensions.

use super::super::context::Context;
use super::super::file::MAX_RANK;
use super::super::node::Node;
use super::super::value::{Act, List, Value};
use crate::import::ImportError;
use crate::import::dims::{elements, normalize_axis, show};

/// The same elements with other dimensions.
fn with_dims<'a>(value: &Value<'a>, dims: Vec<usize>) -> Result<Value<'a>, ImportError> {
    let count = match value {
        Value::Act(act) => act.shape.len(),
        Value::Stored(stored) => stored.len(),
        Value::List(list) => list.values.len(),
    };
    if dims.len() > MAX_RANK || elements(&dims) != Some(count) {
        let to = show(&dims);
        return Err(
            ImportError::new(format!("{count} elements do not make {to}"))
                .hint("convert the model with a batch of 1 and a fixed input size"),
        );
    }
    Ok(match value {
        Value::Act(act) => Value::Act(Act {
            dims,
            ..act.clone()
        }),
        Value::Stored(stored) if stored.steps.as_ref().is_none_or(|s| s.scales.len() == 1) => {
            let mut stored = stored.clone();
            stored.dims = dims;
            Value::Stored(stored)
        }
        Value::List(list) if dims.len() < 2 => {
            Value::List(List::new(list.values.clone(), dims.is_empty())?)
        }
        _ => {
            return Err(ImportError::new("a constant is reshaped")
                .hint("the converter that wrote the file should have folded this operator"));
        }
    })
}

/// Reshapes to constant dimensions; -1 is the one that follows from the others.
pub fn reshape<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = &node.input(0)?.value;
    let mut target: Vec<i64> = match node.optional(1) {
        Some(_) => node.list(1)?,
        None => {
            let options = node.table.builtin_options_as_reshape_options();
            let shape = options.and_then(|o| o.new_shape());
            let shape = shape.ok_or_else(|| {
                ImportError::new("is missing")
                    .attribute("new_shape")
                    .hint("the file is damaged")
            })?;
            shape.iter().take(MAX_RANK + 1).map(i64::from).collect()
        }
    };
    if target.len() > MAX_RANK {
        return Err(ImportError::new(format!("{} dimensions", target.len())));
    }
    if let (Value::Act(_), Some(first)) = (x, target.first_mut())
        && context.batch > 1
        && usize::try_from(*first) == Ok(context.batch)
    {
        *first = 1;
    }
    let count: usize = elements(&x.dims()).unwrap_or(0);
    let bad =
        || ImportError::new(format!("cannot reshape to {target:?}")).hint("the file is damaged");
    let mut dims = vec![];
    let mut rest = None;
    for (i, &d) in target.iter().enumerate() {
        dims.push(match usize::try_from(d) {
            Ok(d) => d,
            Err(_) if d == -1 && rest.is_none() => {
                rest = Some(i);
                1
            }
            Err(_) => return Err(bad()),
        });
    }
    if let Some(i) = rest {
        let known = elements(&dims).filter(|&n| n > 0).ok_or_else(bad)?;
        dims[i] = count / known;
    }
    with_dims(x, dims)
}

/// Removes dimensions of 1.
pub fn squeeze<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = &node.input(0)?.value;
    let dims = x.dims();
    let options = node.table.builtin_options_as_squeeze_options();
    let axes = options.and_then(|o| o.squeeze_dims());
    let gone: Vec<bool> = match axes.filter(|a| !a.is_empty()) {
        None => dims.iter().map(|&d| d == 1).collect(),
        Some(axes) => {
            let mut gone = vec![false; dims.len()];
            for axis in axes {
                gone[normalize_axis(axis.into(), dims.len())?] = true;
            }
            gone
        }
    };
    let kept = dims.iter().zip(gone).filter(|(_, gone)| !gone);
    with_dims(x, kept.map(|(&d, _)| d).collect())
}

/// Inserts a dimension of 1.
pub fn expand_dims<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = &node.input(0)?.value;
    let &[axis] = &node.list(1)?[..] else {
        return Err(ImportError::new("not one axis").hint("the file is damaged"));
    };
    let mut dims = x.dims();
    dims.insert(normalize_axis(axis, dims.len() + 1)?, 1);
    with_dims(x, dims)
}

/// A transpose in which only dimensions of 1 move.
pub fn transpose<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = &node.input(0)?.value;
    let dims = x.dims();
    let mut order = vec![];
    for axis in node.list(1)? {
        order.push(normalize_axis(axis, dims.len())?);
    }
    if order.len() != dims.len() || (0..dims.len()).any(|i| !order.contains(&i)) {
        return Err(
            ImportError::new(format!("{order:?} is no permutation of the axes"))
                .hint("the file is damaged"),
        );
    }
    if !order.iter().filter(|&&i| dims[i] > 1).is_sorted() {
        return Err(ImportError::new(format!("{order:?} reorders elements"))
            .hint("networks in TensorFlow's order, NHWC, are supported"));
    }
    with_dims(x, order.iter().map(|&i| dims[i]).collect())
}
