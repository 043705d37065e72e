//! Transpose.

use super::super::context::Context;
use super::super::node::Node;
use super::super::quantized::keep_coding;
use super::super::tensor::{Data, Steps, Tensor};
use super::super::value::{Act, Order, Value};
use super::normalize_axis;
use crate::graph::Op;
use crate::import::ImportError;
use std::rc::Rc;

/// Transposes a constant in any way. Transposes an activation between NCHW and NHWC, within its channels (a
/// channel shuffle), or where only dimensions of 1 move.
pub fn transpose(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.input(0)?;
    let rank = x.dims().len();
    let mut perm = vec![];
    match node.attributes.ints("perm") {
        None => perm = (0..rank).rev().collect(),
        Some(given) => {
            for &axis in given {
                perm.push(normalize_axis(axis, rank)?);
            }
        }
    }
    if (0..rank).any(|i| !perm.contains(&i)) || perm.len() != rank {
        return Err(ImportError::new("is no permutation of the axes")
            .attribute("perm")
            .hint("the file is damaged"));
    }
    let dims: Vec<usize> = perm.iter().map(|&p| x.dims()[p]).collect();
    match x {
        Value::Const(t) => constant(context, t, &perm, dims).map(Value::Const),
        Value::Act(a) => activation(context, node, a, &perm, dims),
    }
}

fn constant(
    context: &mut Context,
    t: &Tensor,
    perm: &[usize],
    dims: Vec<usize>,
) -> Result<Tensor, ImportError> {
    let mut stride = vec![1usize; perm.len()];
    for i in (1..perm.len()).rev() {
        stride[i - 1] = stride[i] * t.dims[i];
    }
    let at = |index: &[usize]| {
        let places = index.iter().zip(perm);
        places.map(|(&i, &p)| i * stride[p]).sum::<usize>()
    };
    let data = match &t.data {
        Data::Int(v) => Data::Int(Rc::new(context.rearrange(&dims, |i| v[at(i)])?)),
        Data::Float(v) => Data::Float(Rc::new(context.rearrange(&dims, |i| v[at(i)])?)),
    };
    let moved = |s: &Rc<Steps>| {
        let axis = perm.iter().position(|&p| p == s.axis).unwrap_or(0);
        Rc::new(Steps {
            axis,
            scales: s.scales.clone(),
        })
    };
    Ok(Tensor {
        dims,
        data,
        kind: t.kind,
        steps: t.steps.as_ref().map(moved),
    })
}

/// What a Transpose does to the axes that are longer than 1.
#[derive(Debug, PartialEq)]
enum Move {
    /// They keep their order.
    Nothing,
    /// Channels and places change sides: from CHW to HWC or back.
    Order,
    /// The channels, seen as a matrix with this many rows, are transposed.
    Shuffle(usize),
}

/// What a Transpose by `perm` does to the elements of `x`; `None` if it is none of these.
fn classify(x: &Act, perm: &[usize]) -> Option<Move> {
    let real = |axis: &usize| x.dims[*axis] > 1;
    let old: Vec<usize> = (0..perm.len()).filter(real).collect();
    let new: Vec<usize> = perm.iter().copied().filter(real).collect();
    if new == old {
        return Some(Move::Nothing);
    }
    // Channel axes come first or last, and their product is the number of channels.
    let channels = x.shape.c as usize;
    let whole = |axes: &[usize]| axes.iter().map(|&a| x.dims[a]).product::<usize>() == channels;
    let split = |n: &usize| match x.is_order(Order::Chw) {
        true => whole(&old[..*n]),
        false => whole(&old[*n..]),
    };
    let (first, last) = old.split_at((0..=old.len()).find(split)?);
    let (channel_axes, moved) = match x.is_order(Order::Chw) {
        true => (first, new.strip_suffix(last)),
        false => (last, new.strip_prefix(first)),
    };
    if let Some(moved) = moved {
        // A rotation of the channel axes is the transpose of a matrix.
        let rows = channel_axes.iter().position(|a| moved.first() == Some(a))?;
        let (a, b) = channel_axes.split_at(rows);
        let shuffle = Move::Shuffle(a.iter().map(|&a| x.dims[a]).product());
        return (moved == [b, a].concat()).then_some(shuffle);
    }
    (new == [last, first].concat()).then_some(Move::Order)
}

fn activation(
    context: &mut Context,
    node: &Node,
    x: &Act,
    perm: &[usize],
    dims: Vec<usize>,
) -> Result<Value, ImportError> {
    let unsupported = || {
        ImportError::new(format!("{perm:?} reorders elements"))
            .attribute("perm")
            .hint("changes between NCHW and NHWC and channel shuffles are supported")
    };
    match classify(x, perm).ok_or_else(unsupported)? {
        Move::Nothing => Ok(Value::Act(Act { dims, ..x.clone() })),
        Move::Order => Ok(Value::Act(Act {
            order: match x.order {
                Order::Chw => Order::Hwc,
                Order::Hwc => Order::Chw,
            },
            dims,
            ..x.clone()
        })),
        Move::Shuffle(groups) => {
            let x = node.stored(0)?;
            let groups = u32::try_from(groups).map_err(|_| unsupported())?;
            let id = context.push(&node.name, Op::Shuffle { groups }, &[x.node])?;
            let value = Value::Act(Act {
                node: id,
                dims,
                ..x.clone()
            });
            Ok(keep_coding(context, value, x))
        }
    }
}
