//! Arithmetic on the dimensions of source tensors: products, axes, ranges.

use super::ImportError;

/// The most dimensions that a tensor may have. Real networks have up to 5.
pub const MAX_RANK: usize = 16;

/// The number of elements of a tensor of `dims`. `None` if there are more than [`MAX_RANK`] dimensions, or if
/// the product, or a part of it, is larger than memory could hold.
pub fn elements(dims: &[usize]) -> Option<usize> {
    if dims.len() > MAX_RANK {
        return None;
    }
    let bound = dims
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d.max(1)))?;
    (bound <= isize::MAX as usize / 8).then(|| if dims.contains(&0) { 0 } else { bound })
}

/// Formats dimensions for messages: `1x16x32x32`.
pub fn show(dims: &[usize]) -> String {
    if dims.is_empty() {
        return "scalar".into();
    }
    dims.iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join("x")
}

/// Resolves `axis` of a tensor of `rank` dimensions; a negative axis counts from the end.
pub fn normalize_axis(axis: i64, rank: usize) -> Result<usize, ImportError> {
    let from_end = if axis < 0 {
        axis.checked_add(rank as i64)
    } else {
        Some(axis)
    };
    let axis_in = from_end
        .and_then(|a| usize::try_from(a).ok())
        .filter(|&a| a < rank);
    axis_in.ok_or_else(|| {
        ImportError::new(format!("axis {axis} of {rank} dimensions")).hint("the file is damaged")
    })
}

/// A range of indices: `start`, `start + step`, and so on, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The first index.
    pub start: usize,
    /// From one index to the next; may be negative.
    pub step: i64,
    /// The number of indices.
    pub count: usize,
}

/// Resolves Python's `start:end:step` for a dimension of `len` elements; `None` if the step is 0.
pub fn range(start: i64, end: i64, step: i64, len: usize) -> Option<Range> {
    let len = i64::try_from(len).ok()?;
    let from_end = |v: i64| if v < 0 { v.saturating_add(len) } else { v };
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let (start, end) = (
        from_end(start).clamp(low, high),
        from_end(end).clamp(low, high),
    );
    let distance = if step > 0 { end - start } else { start - end };
    let steps = step.checked_abs().filter(|&s| s > 0)?;
    let count = if distance <= 0 {
        0
    } else {
        (distance - 1) / steps + 1
    };
    Some(Range {
        start: usize::try_from(start).unwrap_or(0),
        step,
        count: usize::try_from(count).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Range, range};

    #[test]
    fn ranges_are_pythons() {
        let r = |start, step, count| Some(Range { start, step, count });
        assert_eq!(range(0, i64::MAX, 2, 5), r(0, 2, 3));
        assert_eq!(range(1, -1, 1, 5), r(1, 1, 3));
        assert_eq!(range(-3, 100, 1, 5), r(2, 1, 3));
        assert_eq!(range(-1, i64::MIN, -1, 4), r(3, -1, 4));
        assert_eq!(range(5, 2, 1, 9), r(5, 1, 0));
        assert_eq!(range(0, 5, 0, 9), None);
        assert_eq!(range(0, 5, i64::MIN, 9), None);
        assert_eq!(range(0, 0, 1, 0), r(0, 1, 0));
    }
}
