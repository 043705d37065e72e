//! Slice and Pad.

use super::super::context::Context;
use super::super::node::Node;
use super::super::quantized::{Coding, keep_coding};
use super::super::tensor::{Data, Tensor};
use super::super::value::{Act, Order, Value};
use super::normalize_axis;
use crate::graph::Shape;
use crate::import::ImportError;
use crate::import::dims::{Range, range};
use crate::import::layers;

/// Maps a dimension of the ONNX tensor to the graph's rows (0), columns (1) or channels (2).
fn place(x: &Act, axis: usize) -> Option<usize> {
    if x.channel_axis() == Some(axis) {
        return Some(2);
    }
    let Shape { h, w, c } = x.shape;
    let (h, w, c) = (h as usize, w as usize, c as usize);
    // With one channel both orders are alike; the dimensions tell which it is.
    if x.is_order(Order::Chw) && x.dims == [1, c, h, w] && axis >= 2 {
        return Some(axis - 2);
    }
    (x.is_order(Order::Hwc) && x.dims == [1, h, w, c] && (1..3).contains(&axis)).then(|| axis - 1)
}

/// A list of integers, from an input in newer opsets and from an attribute in older ones.
fn ints(node: &Node, input: usize, attribute: &str) -> Result<Option<Vec<i64>>, ImportError> {
    match node.optional_tensor(input)? {
        Some(t) => t.ints().map(|v| Some(v.to_vec())),
        None => Ok(node.attributes.ints(attribute).map(<[i64]>::to_vec)),
    }
}

/// Cuts a part out of a tensor.
pub fn slice(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let missing = |name: &str| {
        ImportError::new("is missing")
            .attribute(name)
            .hint("the file is damaged")
    };
    let starts = ints(node, 1, "starts")?.ok_or_else(|| missing("starts"))?;
    let ends = ints(node, 2, "ends")?.ok_or_else(|| missing("ends"))?;
    let axes = ints(node, 3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = ints(node, 4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(
            ImportError::new("starts, ends, axes and steps differ in number")
                .hint("the file is damaged"),
        );
    }
    let dims = node.input(0)?.dims();
    let mut ranges: Vec<Range> = dims
        .iter()
        .map(|&d| Range {
            start: 0,
            step: 1,
            count: d,
        })
        .collect();
    for (i, &axis) in axes.iter().enumerate() {
        let axis = normalize_axis(axis, dims.len())?;
        let range = range(starts[i], ends[i], steps[i], dims[axis]);
        ranges[axis] = range.ok_or_else(|| {
            ImportError::new(format!("a step of {}", steps[i])).attribute("steps")
        })?;
    }
    match node.input(0)? {
        Value::Const(t) => slice_constant(context, t, &ranges).map(Value::Const),
        Value::Act(_) => slice_act(context, node, node.stored(0)?, &ranges),
    }
}

/// Cuts a constant.
pub fn slice_constant(
    context: &mut Context,
    t: &Tensor,
    ranges: &[Range],
) -> Result<Tensor, ImportError> {
    let dims: Vec<usize> = ranges.iter().map(|r| r.count).collect();
    let at = |index: &[usize]| {
        index
            .iter()
            .zip(ranges)
            .zip(&t.dims)
            .fold(0, |at, ((&i, r), &d)| {
                at * d
                    + r.start
                        .wrapping_add_signed((i as i64).wrapping_mul(r.step) as isize)
            })
    };
    Ok(match &t.data {
        Data::Int(v) => Tensor::int(dims.clone(), context.fold(&dims, |i| v[at(i)])?),
        Data::Float(v) => Tensor::float(dims.clone(), context.fold(&dims, |i| v[at(i)])?),
    })
}

/// Cuts an activation.
pub fn slice_act(
    context: &mut Context,
    node: &Node,
    x: &Act,
    ranges: &[Range],
) -> Result<Value, ImportError> {
    let Some((op, dims)) = layers::slice(x.shape, &x.dims, ranges, |axis| place(x, axis))? else {
        return Ok(Value::Act(x.clone()));
    };
    let id = context.push(&node.name, op, &[x.node])?;
    let value = Value::Act(Act {
        node: id,
        shape: context.graph.nodes[id].shape,
        dims,
        ..x.clone()
    });
    Ok(keep_coding(context, value, x))
}

/// Puts zeros around a feature map.
pub fn pad(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.stored(0)?;
    let mode = node.attributes.text("mode");
    if !matches!(mode, "" | "constant") {
        return Err(ImportError::new(format!("is '{mode}'"))
            .attribute("mode")
            .hint("only padding with zeros is supported"));
    }
    let value = match node.optional_tensor(2)? {
        Some(t) => t.scalar().unwrap_or(f32::NAN),
        None => node.attributes.get("value").map_or(0.0, |a| a.f),
    };
    if value != x.coding.map_or(0.0, Coding::zero) {
        return Err(ImportError::new(format!("pads with {value}"))
            .hint("only padding with zeros is supported"));
    }
    let pads =
        ints(node, 1, "pads")?.ok_or_else(|| ImportError::new("is missing").attribute("pads"))?;
    let rank = x.dims.len();
    let axes = match node.optional_tensor(3)? {
        Some(t) => t.ints()?.to_vec(),
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(
            ImportError::new(format!("{} numbers for {} axes", pads.len(), axes.len()))
                .attribute("pads"),
        );
    }
    let mut around = vec![];
    for (i, &axis) in axes.iter().enumerate() {
        around.push((normalize_axis(axis, rank)?, pads[i], pads[i + axes.len()]));
    }
    let Some((op, dims)) = layers::pad(&x.dims, around, |axis| place(x, axis))? else {
        return Ok(Value::Act(x.clone()));
    };
    let id = context.push(&node.name, op, &[x.node])?;
    let value = Value::Act(Act {
        node: id,
        shape: context.graph.nodes[id].shape,
        dims,
        ..x.clone()
    });
    Ok(keep_coding(context, value, x))
}
