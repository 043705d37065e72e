//! Pooling over windows of dilation 1.

use super::requantize::saturate;
use crate::kernels::{AvgPoolParams, Geometry};
use core::ops::Range;

/// Maximum of the elements under the window; padding never wins.
pub fn max_pool(g: &Geometry, input: &[i8], output: &mut [i8]) {
    each_position(g, output, |out, at| {
        out.fill(i8::MIN);
        for pixel in at.pixels(g, input) {
            for (q, i) in out.iter_mut().zip(pixel) {
                *q = (*q).max(*i);
            }
        }
    });
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
pub fn avg_pool(params: &AvgPoolParams<'_>, input: &[i8], output: &mut [i8]) {
    const BLOCK: usize = 32;
    let g = &params.geometry;
    each_position(g, output, |out, at| {
        let count = at.rows.len() * at.cols.len();
        let zero = params.input_zero_point as i32 * count as i32;
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let mut sums = [0i32; BLOCK];
            for pixel in at.pixels(g, input) {
                for (s, i) in sums.iter_mut().zip(&pixel[block * BLOCK..]) {
                    *s += *i as i32;
                }
            }
            for (q, s) in out.iter_mut().zip(sums) {
                *q = params.finish(s - zero, count);
            }
        }
    });
}

/// The part of the input under the window at one position.
struct Patch {
    rows: Range<usize>,
    cols: Range<usize>,
}

impl Patch {
    fn pixels<'i>(&self, g: &Geometry, input: &'i [i8]) -> impl Iterator<Item = &'i [i8]> {
        let (w, c) = (g.input.w as usize, g.input.c as usize);
        let cols = self.cols.clone();
        self.rows
            .clone()
            .flat_map(move |y| cols.clone().map(move |x| &input[(y * w + x) * c..][..c]))
    }
}

fn each_position(g: &Geometry, output: &mut [i8], mut each: impl FnMut(&mut [i8], Patch)) {
    let mut out = output.chunks_exact_mut(g.output.c as usize);
    for y in 0..g.output.h as usize {
        for x in 0..g.output.w as usize {
            let Some(pixel) = out.next() else { return };
            let input_range = |axis, at| {
                let (taps, origin) = g.taps(axis, at);
                (origin + taps.start as isize) as usize..(origin + taps.end as isize) as usize
            };
            let patch = Patch {
                rows: input_range(0, y),
                cols: input_range(1, x),
            };
            each(pixel, patch);
        }
    }
}
