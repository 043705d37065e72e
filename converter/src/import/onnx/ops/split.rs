//! Split, the only supported operator with several outputs.

use super::super::context::Context;
use super::super::node::Node;
use super::super::value::Value;
use super::normalize_axis;
use super::part::{slice_act, slice_constant};
use crate::import::ImportError;
use crate::import::dims::Range;

/// Most outputs. Networks have fewer.
const MAX_OUTPUTS: usize = 1 << 10;

/// Cuts a tensor along an axis into one part per output, of given or equal sizes.
pub fn split(context: &mut Context, node: &Node) -> Result<Vec<Value>, ImportError> {
    let x = node.input(0)?;
    let dims = x.dims();
    let axis = normalize_axis(node.attributes.int("axis", 0), dims.len())?;
    let length = dims[axis];
    let outputs = node.attributes.0.output.len();
    if outputs > MAX_OUTPUTS {
        return Err(ImportError::new(format!(
            "{outputs} outputs; up to {MAX_OUTPUTS} are supported"
        )));
    }
    let given = match node.optional_tensor(1)? {
        Some(t) => Some(t.ints()?.to_vec()),
        None => node.attributes.ints("split").map(<[i64]>::to_vec),
    };
    let sizes: Vec<usize> = match given {
        Some(sizes) => sizes
            .iter()
            .map(|&s| usize::try_from(s).unwrap_or(usize::MAX))
            .collect(),
        None => {
            // If the length does not divide, the last part is smaller.
            let part = length.div_ceil(outputs.max(1));
            let size = |i: usize| part.min(length.saturating_sub(part.saturating_mul(i)));
            (0..outputs).map(size).collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |n, &s| n.checked_add(s));
    if total != Some(length) || sizes.len() != outputs {
        return Err(ImportError::new(format!(
            "splits axis {axis} of {length} elements into {outputs} outputs of {sizes:?}"
        ))
        .attribute("split")
        .hint("the file is damaged"));
    }
    let mut ranges: Vec<Range> = dims
        .iter()
        .map(|&count| Range {
            start: 0,
            step: 1,
            count,
        })
        .collect();
    let mut start = 0;
    let mut parts = vec![];
    for count in sizes {
        ranges[axis] = Range {
            start,
            step: 1,
            count,
        };
        start += count;
        parts.push(match x {
            Value::Const(t) => slice_constant(context, t, &ranges).map(Value::Const)?,
            Value::Act(_) => slice_act(context, node, node.stored(0)?, &ranges)?,
        });
    }
    Ok(parts)
}
