//! Slice and Pad.

use super::super::context::{Context, Node};
use super::super::tensor::{Data, Tensor};
use super::super::value::{Act, Order, Value};
use super::normalize_axis;
use crate::graph::{Op, Shape};
use crate::import::ImportError;
use crate::import::dims::{Range, range};

/// Which dimension of the graph's HWC a dimension of the view is: 0 rows, 1 columns, 2 channels.
fn place(x: &Act, axis: usize) -> Option<usize> {
    if x.channel_axis() == Some(axis) {
        return Some(2);
    }
    let Shape { h, w, c } = x.shape;
    let (h, w, c) = (h as usize, w as usize, c as usize);
    if x.order == Order::Chw && x.dims == [1, c, h, w] && axis >= 2 {
        return Some(axis - 2);
    }
    (x.order == Order::Hwc && x.dims == [1, h, w, c] && (1..3).contains(&axis)).then(|| axis - 1)
}

/// Integers from an input (newer opsets) or an attribute (older ones).
fn ints(node: &Node, input: usize, attribute: &str) -> Result<Option<Vec<i64>>, ImportError> {
    match node.optional_tensor(input)? {
        Some(t) => t.ints().map(|v| Some(v.to_vec())),
        None => Ok(node.attributes.ints(attribute).map(<[i64]>::to_vec)),
    }
}

/// Part of a tensor.
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
        Value::Act(_) => slice_act(context, node, node.act(0)?, &ranges),
    }
}

fn slice_constant(
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

fn slice_act(
    context: &mut Context,
    node: &Node,
    x: &Act,
    ranges: &[Range],
) -> Result<Value, ImportError> {
    let mut start = [0u32; 3];
    let mut step = [1u32; 3];
    let mut size = [x.shape.h, x.shape.w, x.shape.c];
    let mut dims = x.dims.clone();
    for (axis, r) in ranges.iter().enumerate() {
        if (*r
            == Range {
                start: 0,
                step: 1,
                count: x.dims[axis],
            })
            || (r.count == 1 && x.dims[axis] == 1)
        {
            continue;
        }
        let unsupported = || {
            ImportError::new(format!("slices axis {axis} from {} by {} ({} elements)", r.start, r.step, r.count))
                .hint("slices of rows and columns with steps from 1 on, and of adjacent channels, are supported")
        };
        let at = place(x, axis).ok_or_else(unsupported)?;
        let narrow = |v: usize| u32::try_from(v).map_err(|_| unsupported());
        if r.step < 1 || r.count == 0 || (at == 2 && r.step != 1 && r.count > 1) {
            return Err(unsupported());
        }
        start[at] = narrow(r.start)?;
        // A step that is never taken may be any.
        step[at] = if r.count == 1 {
            1
        } else {
            u32::try_from(r.step).map_err(|_| unsupported())?
        };
        size[at] = narrow(r.count)?;
        dims[axis] = r.count;
    }
    if dims == x.dims {
        return Ok(Value::Act(x.clone()));
    }
    let shape = Shape::new(size[0], size[1], size[2]);
    let id = context.push(
        &node.name,
        Op::Slice {
            start,
            step: [step[0], step[1]],
            shape,
        },
        &[x.node],
    )?;
    Ok(Value::Act(Act {
        node: id,
        shape,
        dims,
        ..x.clone()
    }))
}

/// Zeros around a feature map.
pub fn pad(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.act(0)?;
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
    if value != 0.0 {
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
    let (mut before, mut after) = ([0u32; 3], [0u32; 3]);
    let mut dims = x.dims.clone();
    for (i, &axis) in axes.iter().enumerate() {
        let axis = normalize_axis(axis, rank)?;
        let (low, high) = (pads[i], pads[i + axes.len()]);
        if (low, high) == (0, 0) {
            continue;
        }
        let bad = || {
            ImportError::new(format!("{low} and {high} around axis {axis}"))
                .attribute("pads")
                .hint("zeros around rows, columns and channels are supported; a negative pad is a slice")
        };
        let at = place(x, axis).ok_or_else(bad)?;
        before[at] = u32::try_from(low).map_err(|_| bad())?;
        after[at] = u32::try_from(high).map_err(|_| bad())?;
        dims[axis] += before[at] as usize + after[at] as usize;
    }
    if dims == x.dims {
        return Ok(Value::Act(x.clone()));
    }
    let id = context.push(&node.name, Op::Pad { before, after }, &[x.node])?;
    Ok(Value::Act(Act {
        node: id,
        shape: context.graph.nodes[id].shape,
        dims,
        ..x.clone()
    }))
}
