//! What every layer must give, as plain loops over `docs/reference/arithmetic.md`.
//!
//! It is slow and simple on purpose, and shares no code with any kernel: a mistake in a kernel, or in a helper that
//! several kernels call, cannot hide here. It reads models through [`crate::model`], and nothing else of this crate.
//!
//! - [`int8`]: exact, in 64 and 128 bits; [`Rules`] are its few decisions, so that a test can make a wrong one.
//! - [`float`]: in f64, with the size of what was summed, which a tolerance is a part of.

pub mod float;
pub mod int8;
#[cfg(test)]
mod tests;

pub use int8::{Normative, Rules};

use crate::model::{Shape, Window};

/// Calls `f(row, column, channel)` for every element of a tensor, in the order of memory.
fn each<T>(shape: Shape, mut f: impl FnMut(usize, usize, usize) -> T) -> Vec<T> {
    let mut values = Vec::with_capacity(shape.len());
    for y in 0..shape.h as usize {
        for x in 0..shape.w as usize {
            for c in 0..shape.c as usize {
                values.push(f(y, x, c));
            }
        }
    }
    values
}

/// Where element `(row, column, channel)` of a tensor lies.
fn at(shape: Shape, y: usize, x: usize, c: usize) -> usize {
    (y * shape.w as usize + x) * shape.c as usize + c
}

/// The window's taps at output position `(y, x)`, in reading order: the input's row and column under each, or
/// `None` if it falls on padding.
fn taps(window: &Window, input: Shape, y: usize, x: usize) -> Vec<Option<(usize, usize)>> {
    let place = |axis: usize, output: usize, tap: u32, len: u32| {
        let at = output as i64 * window.stride[axis] as i64
            + tap as i64 * window.dilation[axis] as i64
            - window.pad_before[axis] as i64;
        (at >= 0 && at < len as i64).then_some(at as usize)
    };
    let mut taps = Vec::new();
    for ky in 0..window.kernel[0] {
        for kx in 0..window.kernel[1] {
            let (row, column) = (place(0, y, ky, input.h), place(1, x, kx, input.w));
            taps.push(row.zip(column));
        }
    }
    taps
}

/// Channels whose squares a local response norm adds up for channel `c`.
fn neighbours(size: u32, channels: u32, c: usize) -> impl Iterator<Item = usize> {
    let (c, size) = (c as i64, size as i64);
    let (first, last) = (c - (size - 1) / 2, c + size / 2);
    (0..channels as usize).filter(move |i| (first..=last).contains(&(*i as i64)))
}

/// Which channel of the input a channel shuffle puts at `c`.
fn shuffled(groups: u32, channels: u32, c: usize) -> usize {
    let (groups, channels) = (groups as usize, channels as usize);
    c % groups * (channels / groups) + c / groups
}

/// The input's element at an output position of a slice.
fn sliced(start: &[u32; 3], step: &[u32; 2], y: usize, x: usize, c: usize) -> [usize; 3] {
    [
        start[0] as usize + y * step[0] as usize,
        start[1] as usize + x * step[1] as usize,
        start[2] as usize + c,
    ]
}

/// The input's element at an output position of a padding, or `None` around the input.
fn inside(before: &[u32; 3], input: Shape, position: [usize; 3]) -> Option<[usize; 3]> {
    let mut element = [0; 3];
    for (axis, len) in [input.h, input.w, input.c].into_iter().enumerate() {
        element[axis] = position[axis].checked_sub(before[axis] as usize)?;
        if element[axis] >= len as usize {
            return None;
        }
    }
    Some(element)
}

/// Which input of a concatenation channel `c` comes from, and which of its channels it is.
fn part(channels: impl Iterator<Item = u32>, mut c: usize) -> (usize, usize) {
    for (input, channels) in channels.enumerate() {
        if c < channels as usize {
            return (input, c);
        }
        c -= channels as usize;
    }
    panic!("the inputs of a concatenation have all channels of its output")
}
