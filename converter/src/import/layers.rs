//! Layers that ONNX and TensorFlow Lite describe alike: slices, pads, concatenations of many inputs.
//!
//! The source format describes them along the dimensions of its own tensor. A function `place` maps such a
//! dimension to the graph's rows (0), columns (1) or channels (2); `None` if it is none of them.

use super::ImportError;
use super::dims::Range;
use crate::graph::{NodeId, Op, Shape};
use edge_runtime::model::MAX_INPUTS;

/// The layer that cuts `ranges` out of a map of `shape`, and the dimensions of the result. There is one range
/// for each of `dims`. `None` if nothing is cut off.
pub fn slice(
    shape: Shape,
    dims: &[usize],
    ranges: &[Range],
    place: impl Fn(usize) -> Option<usize>,
) -> Result<Option<(Op, Vec<usize>)>, ImportError> {
    let mut start = [0u32; 3];
    let mut step = [1u32; 3];
    let mut size = [shape.h, shape.w, shape.c];
    let mut result = dims.to_vec();
    for (axis, (r, &count)) in ranges.iter().zip(dims).enumerate() {
        let all = Range {
            start: 0,
            step: 1,
            count,
        };
        if *r == all || (r.count == 1 && count == 1) {
            continue;
        }
        let unsupported = || {
            let Range { start, step, count } = r;
            ImportError::new(format!("slices axis {axis} from {start} by {step} ({count} elements)"))
                .hint("slices of rows and columns with steps from 1 on, and of adjacent channels, are supported")
        };
        let at = place(axis).ok_or_else(unsupported)?;
        let narrow = |v: usize| u32::try_from(v).map_err(|_| unsupported());
        if r.step < 1 || r.count == 0 || (at == 2 && r.step != 1 && r.count > 1) {
            return Err(unsupported());
        }
        start[at] = narrow(r.start)?;
        // With one element the step does not matter.
        step[at] = match r.count {
            1 => 1,
            _ => u32::try_from(r.step).map_err(|_| unsupported())?,
        };
        size[at] = narrow(r.count)?;
        result[axis] = r.count;
    }
    if result == dims {
        return Ok(None);
    }
    let op = Op::Slice {
        start,
        step: [step[0], step[1]],
        shape: Shape::new(size[0], size[1], size[2]),
    };
    Ok(Some((op, result)))
}

/// The layer that puts zeros around a map, and the dimensions of the result. Each of `pads` is an axis, the
/// zeros before and the zeros after. `None` if there are no zeros to add.
pub fn pad(
    dims: &[usize],
    pads: impl IntoIterator<Item = (usize, i64, i64)>,
    place: impl Fn(usize) -> Option<usize>,
) -> Result<Option<(Op, Vec<usize>)>, ImportError> {
    let (mut before, mut after) = ([0u32; 3], [0u32; 3]);
    let mut result = dims.to_vec();
    for (axis, low, high) in pads {
        if (low, high) == (0, 0) {
            continue;
        }
        let bad = || {
            ImportError::new(format!("{low} and {high} around axis {axis}"))
                .attribute("pads")
                .hint("zeros around rows, columns and channels are supported; a negative pad is a slice")
        };
        let at = place(axis).ok_or_else(bad)?;
        before[at] = u32::try_from(low).map_err(|_| bad())?;
        after[at] = u32::try_from(high).map_err(|_| bad())?;
        result[axis] += before[at] as usize + after[at] as usize;
    }
    if result == dims {
        return Ok(None);
    }
    Ok(Some((Op::Pad { before, after }, result)))
}

/// Reduces the inputs of a concatenation to the number that one layer takes: joins them in groups with
/// `push`, which gets the index of the group.
pub fn few_inputs(
    mut ids: Vec<NodeId>,
    mut push: impl FnMut(usize, &[NodeId]) -> Result<NodeId, ImportError>,
) -> Result<Vec<NodeId>, ImportError> {
    while ids.len() > MAX_INPUTS {
        let mut joined = vec![];
        for (i, group) in ids.chunks(MAX_INPUTS).enumerate() {
            joined.push(match group {
                [one] => *one,
                _ => push(i, group)?,
            });
        }
        ids = joined;
    }
    Ok(ids)
}
