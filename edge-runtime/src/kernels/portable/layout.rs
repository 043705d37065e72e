//! Operators that move elements: concatenation, slices, padding, channel shuffles.

use super::requantize::rescale;
use crate::kernels::{ConcatPart, PadParams, ShuffleParams, SliceParams};

/// Writes one input of a concatenation into its channels of the output.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn concat_part(p: &ConcatPart, input: &[i8], output: &mut [i8]) {
    let pixels = output
        .chunks_exact_mut(p.output_channels)
        .zip(input.chunks_exact(p.channels));
    let [from, to] = p.zero_points;
    for (out, pixel) in pixels {
        for (q, i) in out[p.first_channel..][..p.channels].iter_mut().zip(pixel) {
            *q = rescale(*i, from, p.rescale, to);
        }
    }
}

/// Copies the strided part of `input` that starts at `p.start` and has the output's shape.
pub fn slice<T: Copy>(p: &SliceParams, input: &[T], output: &mut [T]) {
    let (from, to) = (p.input, p.output);
    let c = to.c as usize;
    let mut out = output.chunks_exact_mut(c);
    for y in 0..to.h as usize {
        let row = p.start[0] as usize + y * p.step[0] as usize;
        for x in 0..to.w as usize {
            let col = p.start[1] as usize + x * p.step[1] as usize;
            let at = (row * from.w as usize + col) * from.c as usize + p.start[2] as usize;
            let Some(pixel) = out.next() else { return };
            pixel.copy_from_slice(&input[at..][..c]);
        }
    }
}

/// Channel `j` of each pixel of `output` is channel `j % groups * (channels / groups) + j / groups` of
/// the same pixel of `input`.
pub fn shuffle<T: Copy>(p: &ShuffleParams, input: &[T], output: &mut [T]) {
    let per_group = p.channels / p.groups;
    let pixels = output
        .chunks_exact_mut(p.channels)
        .zip(input.chunks_exact(p.channels));
    for (out, pixel) in pixels {
        for (k, row) in out.chunks_exact_mut(p.groups).enumerate() {
            for (g, value) in row.iter_mut().enumerate() {
                *value = pixel[g * per_group + k];
            }
        }
    }
}

/// Copies `input` into the middle of `output` and the zero point around it.
pub fn pad(p: &PadParams, input: &[i8], output: &mut [i8]) {
    let (from, to) = (p.input, p.output);
    let c = from.c as usize;
    output.fill(p.zero_point);
    for (i, pixel) in input.chunks_exact(c).enumerate() {
        let (y, x) = (
            i / from.w as usize + p.before[0] as usize,
            i % from.w as usize + p.before[1] as usize,
        );
        let at = (y * to.w as usize + x) * to.c as usize + p.before[2] as usize;
        output[at..][..c].copy_from_slice(pixel);
    }
}
