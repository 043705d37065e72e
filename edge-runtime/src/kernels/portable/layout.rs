//! Operators that move elements: concatenation, slices, padding, channel shuffles.

use super::requantize::rescale;
use crate::model::{Rescale, Shape};

/// Writes one input of a concatenation into its channels (from `first_channel`) of the output.
///
/// `zero_points` are the input's and the output's.
pub fn concat_part(
    input: &[i8],
    in_channels: usize,
    by: Rescale,
    zero_points: [i8; 2],
    output: &mut [i8],
    out_channels: usize,
    first_channel: usize,
) {
    let rows = output
        .chunks_exact_mut(out_channels)
        .zip(input.chunks_exact(in_channels));
    for (out, pixel) in rows {
        for (q, i) in out[first_channel..][..in_channels].iter_mut().zip(pixel) {
            *q = rescale(*i, zero_points[0], by, zero_points[1]);
        }
    }
}

/// Copies the strided part of `input` that starts at `start` and has the output's shape.
pub fn slice<T: Copy>(
    shapes: [Shape; 2],
    start: [u32; 3],
    step: [u32; 2],
    input: &[T],
    output: &mut [T],
) {
    let [from, to] = shapes;
    let c = to.c as usize;
    let mut out = output.chunks_exact_mut(c);
    for y in 0..to.h as usize {
        let row = start[0] as usize + y * step[0] as usize;
        for x in 0..to.w as usize {
            let col = start[1] as usize + x * step[1] as usize;
            let at = (row * from.w as usize + col) * from.c as usize + start[2] as usize;
            let Some(pixel) = out.next() else { return };
            pixel.copy_from_slice(&input[at..][..c]);
        }
    }
}

/// Channel `j` of each pixel of `output` is channel `j % groups * (channels / groups) + j / groups` of
/// the same pixel of `input`.
pub fn shuffle<T: Copy>(groups: usize, channels: usize, input: &[T], output: &mut [T]) {
    let per_group = channels / groups;
    let pixels = output
        .chunks_exact_mut(channels)
        .zip(input.chunks_exact(channels));
    for (out, pixel) in pixels {
        for (k, row) in out.chunks_exact_mut(groups).enumerate() {
            for (g, value) in row.iter_mut().enumerate() {
                *value = pixel[g * per_group + k];
            }
        }
    }
}

/// Copies `input` into the middle of `output` and `zero` around it.
pub fn pad<T: Copy>(shapes: [Shape; 2], before: [u32; 3], zero: T, input: &[T], output: &mut [T]) {
    let [from, to] = shapes;
    let c = from.c as usize;
    output.fill(zero);
    for (i, pixel) in input.chunks_exact(c).enumerate() {
        let (y, x) = (
            i / from.w as usize + before[0] as usize,
            i % from.w as usize + before[1] as usize,
        );
        let at = (y * to.w as usize + x) * to.c as usize + before[2] as usize;
        output[at..][..c].copy_from_slice(pixel);
    }
}
