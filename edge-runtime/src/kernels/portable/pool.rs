//! Pooling over windows of dilation 1.

use super::requantize::saturate;
use crate::kernels::{AvgPoolParams, Geometry};
use core::ops::Range;
use core::slice::ChunksExact;

/// Maximum of the elements under the window; padding never wins.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn max_pool(g: &Geometry, input: &[i8], output: &mut [i8]) {
    each_position(g, output, |out, under| {
        out.fill(i8::MIN);
        for y in under.rows.clone() {
            for pixel in under.row(g, input, y) {
                for (q, i) in out.iter_mut().zip(pixel) {
                    *q = (*q).max(*i);
                }
            }
        }
    });
}

/// As [`max_pool`], for processors with long vectors: a block of channels stays in registers for all taps.
#[cfg(feature = "std")]
#[inline(always)]
pub fn max_pool_in_blocks(g: &Geometry, input: &[i8], output: &mut [i8]) {
    let channels = g.input.c as usize;
    let mut pixels = output.chunks_exact_mut(channels);
    for y in 0..g.output.h as usize {
        for x in 0..g.output.w as usize {
            let Some(pixel) = pixels.next() else { return };
            in_blocks!(channels, MOST, max_block(g, input, [y, x], pixel));
        }
    }
}

/// Most channels of a block.
#[cfg(feature = "std")]
const MOST: usize = 192;

/// `count` channels of one output pixel, from `first` on; says how many.
#[cfg(feature = "std")]
#[inline(always)]
fn max_block(
    g: &Geometry,
    input: &[i8],
    [y, x]: [usize; 2],
    pixel: &mut [i8],
    first: usize,
    count: usize,
) -> usize {
    let (channels, width) = (g.input.c as usize, g.input.w as usize);
    let (rows, y0) = g.taps(0, y);
    let (columns, x0) = g.taps(1, x);
    let mut most = [i8::MIN; MOST];
    for ky in rows {
        let row = (y0 + ky as isize) as usize * width;
        for kx in columns.clone() {
            let at = (row + (x0 + kx as isize) as usize) * channels + first;
            for (most, value) in most[..count].iter_mut().zip(&input[at..][..count]) {
                *most = (*most).max(*value);
            }
        }
    }
    pixel[first..][..count].copy_from_slice(&most[..count]);
    count
}

impl AvgPoolParams<'_> {
    /// The mean for a sum of `q - zero_point` over `count` elements.
    #[inline(always)]
    fn finish(&self, sum: i32, count: usize) -> i8 {
        let m = match self.multipliers {
            [one] => *one,
            many => many[count - 1],
        };
        let scaled = (sum * m + (1 << (self.shift - 1))) >> self.shift;
        saturate(scaled + self.output_zero_point as i32, [i8::MIN, i8::MAX])
    }
}

/// Mean of the elements under the window.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub fn avg_pool(params: &AvgPoolParams<'_>, input: &[i8], output: &mut [i8]) {
    const BLOCK: usize = 32;
    let g = &params.geometry;
    each_position(g, output, |out, under| {
        let count = under.rows.len() * under.columns.len();
        let zero = params.input_zero_point as i32 * count as i32;
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let mut sums = [0i32; BLOCK];
            for y in under.rows.clone() {
                for pixel in under.row(g, input, y) {
                    for (s, i) in sums.iter_mut().zip(&pixel[block * BLOCK..]) {
                        *s += *i as i32;
                    }
                }
            }
            for (q, s) in out.iter_mut().zip(sums) {
                *q = params.finish(s - zero, count);
            }
        }
    });
}

/// The part of the input under the window at one position.
struct Under {
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Under {
    /// The pixels of row `y`.
    #[inline(always)]
    fn row<'i>(&self, g: &Geometry, input: &'i [i8], y: usize) -> ChunksExact<'i, i8> {
        let (w, c) = (g.input.w as usize, g.input.c as usize);
        let row = &input[(y * w + self.columns.start) * c..];
        row[..self.columns.len() * c].chunks_exact(c)
    }
}

#[inline(always)]
fn each_position(g: &Geometry, output: &mut [i8], each: impl Fn(&mut [i8], &Under)) {
    let mut out = output.chunks_exact_mut(g.output.c as usize);
    for y in 0..g.output.h as usize {
        let rows = inside(g, 0, y);
        for x in 0..g.output.w as usize {
            let Some(pixel) = out.next() else { return };
            let under = Under {
                rows: rows.clone(),
                columns: inside(g, 1, x),
            };
            each(pixel, &under);
        }
    }
}

/// Rows or columns of the input under the window at an output position.
#[inline(never)] // once in a microcontroller's program
fn inside(g: &Geometry, axis: usize, at: usize) -> Range<usize> {
    let (taps, origin) = g.taps(axis, at);
    (origin + taps.start as isize) as usize..(origin + taps.end as isize) as usize
}
