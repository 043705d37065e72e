//! SLICE, STRIDED_SLICE, SPLIT and PAD.

use super::super::context::Context;
use super::super::node::{Node, required};
use super::super::schema::{ActivationFunctionType, BuiltinOperator as Code};
use super::super::value::{Act, List, Value};
use crate::import::ImportError;
use crate::import::dims::{Range, normalize_axis, range};
use crate::import::layers;

/// Maps a dimension of the file's tensor to the graph's rows (0), columns (1) or channels (2).
fn place(x: &Act, axis: usize) -> Option<usize> {
    if axis + 1 == x.dims.len() && x.has_channels_last() {
        return Some(2);
    }
    (x.is_image() && (1..3).contains(&axis)).then(|| axis - 1)
}

/// SLICE: begins and sizes; a size of -1 goes to the end.
pub fn slice<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = &node.input(0)?.value;
    let dims = x.dims();
    let (begin, size) = (node.list(1)?, node.list(2)?);
    if begin.len() != dims.len() || size.len() != dims.len() {
        return Err(ImportError::new(format!(
            "{} beginnings and {} sizes for {} dimensions",
            begin.len(),
            size.len(),
            dims.len()
        ))
        .hint("the file is damaged"));
    }
    let mut ranges = vec![];
    for ((&begin, &size), &d) in begin.iter().zip(&size).zip(&dims) {
        let wrong = || {
            ImportError::new(format!(
                "a slice from {begin} of {size} leaves {d} elements"
            ))
            .hint("the file is damaged")
        };
        let start = usize::try_from(begin)
            .ok()
            .filter(|&b| b <= d)
            .ok_or_else(wrong)?;
        let count = match size {
            -1 => d - start,
            _ => usize::try_from(size).map_err(|_| wrong())?,
        };
        if count > d - start {
            return Err(wrong());
        }
        ranges.push(Range {
            start,
            step: 1,
            count,
        });
    }
    take(context, node, x, &ranges)
}

/// STRIDED_SLICE: Python's `begin:end:stride`, with masks that leave out bounds or take a single element.
pub fn strided_slice<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Value<'a>, ImportError> {
    let options = required(node.table.builtin_options_as_strided_slice_options())?;
    for (name, mask) in [
        ("ellipsis_mask", options.ellipsis_mask()),
        ("new_axis_mask", options.new_axis_mask()),
    ] {
        if mask != 0 {
            return Err(ImportError::new("is not supported")
                .attribute(name)
                .hint("write the slice with one range for every dimension"));
        }
    }
    let x = &node.input(0)?.value;
    let dims = x.dims();
    let (begin, end, stride) = (node.list(1)?, node.list(2)?, node.list(3)?);
    if begin.len() > dims.len() || [end.len(), stride.len()] != [begin.len(); 2] {
        return Err(ImportError::new(format!(
            "{} beginnings, {} ends and {} strides for {} dimensions",
            begin.len(),
            end.len(),
            stride.len(),
            dims.len()
        ))
        .hint("the file is damaged"));
    }
    let mut ranges = vec![];
    let mut kept = vec![];
    for (axis, &d) in dims.iter().enumerate() {
        let in_mask = |mask: i32| axis < begin.len() && mask >> axis & 1 == 1;
        let shrinks = in_mask(options.shrink_axis_mask());
        let r = if axis >= begin.len() {
            range(0, i64::MAX, 1, d)
        } else if shrinks {
            let start = normalize_axis(begin[axis], d)? as i64;
            range(start, start + 1, 1, d)
        } else {
            let step = stride[axis];
            let backward = step < 0;
            let first = if backward { i64::MAX } else { 0 };
            let last = if backward { i64::MIN } else { i64::MAX };
            let start = if in_mask(options.begin_mask()) {
                first
            } else {
                begin[axis]
            };
            let end = if in_mask(options.end_mask()) {
                last
            } else {
                end[axis]
            };
            range(start, end, step, d)
        };
        ranges
            .push(r.ok_or_else(|| ImportError::new("a stride of 0").hint("the file is damaged"))?);
        if !shrinks {
            kept.push(axis);
        }
    }
    let value = take(context, node, x, &ranges)?;
    Ok(match value {
        Value::Act(act) => Value::Act(Act {
            dims: kept.iter().map(|&a| act.dims[a]).collect(),
            ..act
        }),
        Value::List(list) => Value::List(List {
            scalar: kept.is_empty(),
            ..list
        }),
        other => other,
    })
}

/// SPLIT into equal parts; the axis is the first input.
pub fn split<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Vec<Value<'a>>, ImportError> {
    let x = node.act(1)?;
    let axis = one_axis(node, 0, x)?;
    let parts = node.outputs;
    if parts == 0 || !x.dims[axis].is_multiple_of(parts) {
        let d = x.dims[axis];
        return Err(
            ImportError::new(format!("{parts} equal parts of {d}")).hint("the file is damaged")
        );
    }
    let sizes = vec![x.dims[axis] / parts; parts];
    cut(context, node, x, axis, &sizes)
}

/// SPLIT_V into parts of given sizes; the axis is the third input.
pub fn split_v<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Vec<Value<'a>>, ImportError> {
    let x = node.act(0)?;
    let axis = one_axis(node, 2, x)?;
    let given = node.list(1)?;
    let known: i64 = given
        .iter()
        .filter(|&&s| s >= 0)
        .fold(0, |n, &s| n.saturating_add(s));
    let size = |&s: &i64| match s {
        -1 => usize::try_from(x.dims[axis] as i64 - known).unwrap_or(usize::MAX),
        s => usize::try_from(s).unwrap_or(usize::MAX),
    };
    let sizes: Vec<usize> = given.iter().map(size).collect();
    let sum = sizes.iter().try_fold(0usize, |n, &s| n.checked_add(s));
    if sum != Some(x.dims[axis]) || sizes.len() != node.outputs {
        return Err(
            ImportError::new(format!("parts of {given:?} of {}", x.dims[axis]))
                .hint("the file is damaged"),
        );
    }
    cut(context, node, x, axis, &sizes)
}

fn one_axis(node: &Node, i: usize, x: &Act) -> Result<usize, ImportError> {
    match node.list(i)?[..] {
        [axis] => normalize_axis(axis, x.dims.len()),
        _ => Err(ImportError::new("not one axis").hint("the file is damaged")),
    }
}

fn cut<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
    x: &Act,
    axis: usize,
    sizes: &[usize],
) -> Result<Vec<Value<'a>>, ImportError> {
    let mut start = 0;
    let mut parts = vec![];
    for &count in sizes {
        let mut ranges = whole(x);
        ranges[axis] = Range {
            start,
            step: 1,
            count,
        };
        start += count;
        parts.push(Value::Act(take_act(context, node, x, &ranges)?));
    }
    Ok(parts)
}

fn whole(x: &Act) -> Vec<Range> {
    let all = |&count: &usize| Range {
        start: 0,
        step: 1,
        count,
    };
    x.dims.iter().map(all).collect()
}

/// Cuts `ranges` out of `x`, one range for each dimension.
fn take<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
    x: &Value<'a>,
    ranges: &[Range],
) -> Result<Value<'a>, ImportError> {
    match (x, ranges) {
        (Value::Act(_), _) => take_act(context, node, node.act(0)?, ranges).map(Value::Act),
        (_, [r]) => {
            let list = node.list(0)?;
            let at = |i: usize| r.start.checked_add_signed(i as isize * r.step as isize);
            let element = |i: usize| at(i).and_then(|i| list.get(i)).copied();
            let values: Option<Vec<i64>> = (0..r.count).map(element).collect();
            let values = values.ok_or_else(|| ImportError::new("a slice beyond the list"))?;
            List::new(values, false).map(Value::List)
        }
        _ => Err(ImportError::new("a slice of a constant")
            .hint("the converter that wrote the file should have folded this operator")),
    }
}

fn take_act<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
    x: &Act,
    ranges: &[Range],
) -> Result<Act, ImportError> {
    let Some((op, dims)) = layers::slice(x.shape, &x.dims, ranges, |axis| place(x, axis))? else {
        return Ok(x.clone());
    };
    let id = context.push(node, op, &[x.node])?;
    let id = context.activate(node, id, ActivationFunctionType::NONE)?;
    Ok(Act {
        node: id,
        shape: context.graph.nodes[id].shape,
        dims,
        softmax: false,
    })
}

/// Puts zeros around a feature map.
pub fn pad<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = node.act(0)?;
    let rank = x.dims.len();
    if node.code == Code::PADV2 {
        match node.stored(2)?.reals()?[..] {
            [0.0] => {}
            ref other => {
                return Err(ImportError::new(format!(
                    "pads with {:?}",
                    &other[..other.len().min(4)]
                ))
                .hint("only padding with zeros is supported"));
            }
        }
    }
    let pads = node.list(1)?;
    if pads.len() != 2 * rank {
        return Err(
            ImportError::new(format!("{} paddings for {rank} dimensions", pads.len()))
                .hint("the file is damaged"),
        );
    }
    let pairs = pads.as_chunks::<2>().0.iter().enumerate();
    let around = pairs.map(|(axis, &[low, high])| (axis, low, high));
    let Some((op, dims)) = layers::pad(&x.dims, around, |axis| place(x, axis))? else {
        return Ok(Value::Act(x.clone()));
    };
    let id = context.push(node, op, &[x.node])?;
    let id = context.activate(node, id, ActivationFunctionType::NONE)?;
    Ok(Value::Act(Act {
        node: id,
        shape: context.graph.nodes[id].shape,
        dims,
        softmax: false,
    }))
}
