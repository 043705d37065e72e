//! Convolution as a matrix product over strips of unfolded input, and nothing between them.
//!
//! Both sides become pairs of 16-bit values: `vpmaddwd` multiplies sixteen and adds each pair, exactly. Weights stay
//! int8 in memory, in blocks of sixteen filters, and are widened as they are loaded; a strip of the input is
//! widened once for all filters. Padding becomes the zero point there, so no border is a special case.

use super::finish::{CHANNELS, Channels, ORDER, Output};
use super::lanes::{store_i8, widen};
use crate::kernels::{ConvParams, Geometry, Prepacked, Units};
use core::arch::x86_64::*;
use core::ops::Range;

/// Rows of a strip that are multiplied together: with sixteen filters, all registers are in use.
const ROWS: usize = 6;

/// Bytes of a strip, so that it stays in the second-level cache beside a block of weights.
const STRIP: usize = 96 << 10;

/// A convolution with packed weights.
#[derive(Debug)]
pub struct Conv {
    geometry: Geometry,
    groups: usize,
    input_zero_point: i8,
    /// Pairs of values under a window, of one group.
    pairs: usize,
    /// Blocks of filters in one group.
    blocks: usize,
    /// `[group][block][pair][place in ORDER][2]`.
    weights: Vec<[i8; 2 * CHANNELS]>,
    /// `[group][block]`.
    channels: Vec<Channels>,
    output: Output,
}

impl Conv {
    /// Packs the weights.
    pub fn new(p: &ConvParams<'_>) -> Self {
        let g = &p.geometry;
        let taps = (g.window.kernel[0] * g.window.kernel[1]) as usize;
        let depth = taps * (g.input.c as usize / p.groups);
        let filters = g.output.c as usize / p.groups;
        let (pairs, blocks) = (depth.div_ceil(2), filters.div_ceil(CHANNELS));
        let mut weights = Vec::with_capacity(p.groups * blocks * pairs);
        let mut channels = Vec::with_capacity(p.groups * blocks);
        for group in 0..p.groups {
            let end = (group + 1) * filters;
            for first in (group * filters..end).step_by(CHANNELS) {
                channels.push(Channels::new(&p.requantize, first, end));
                for pair in 0..pairs {
                    let mut both = [0; 2 * CHANNELS];
                    for (place, channel) in ORDER.iter().enumerate() {
                        for k in 0..2 {
                            let (filter, at) = (first + channel, 2 * pair + k);
                            if filter < end && at < depth {
                                both[2 * place + k] = p.weights[filter * depth + at];
                            }
                        }
                    }
                    weights.push(both);
                }
            }
        }
        Self {
            geometry: *g,
            groups: p.groups,
            input_zero_point: p.input_zero_point,
            pairs,
            blocks,
            weights,
            channels,
            output: Output::new(&p.requantize),
        }
    }

    /// Pixels of a strip.
    fn strip(&self) -> usize {
        let fit = STRIP / (4 * self.pairs);
        (fit / ROWS).clamp(1, 16) * ROWS
    }

    /// The pixels from `first` on; `strip` has two values for each of `pairs`, and `output` the pixels' channels.
    #[target_feature(enable = "avx2")]
    fn pixels(&self, first: usize, input: &[i8], output: &mut [i8], strip: &mut [i16]) {
        let all = self.geometry.output.c as usize;
        let filters = all / self.groups;
        let count = output.len() / all;
        let strip = &mut strip[..count * 2 * self.pairs];
        for group in 0..self.groups {
            self.unfold(first, group, input, strip);
            let (rows, _) = strip.as_chunks::<2>();
            for block in 0..self.blocks {
                let number = group * self.blocks + block;
                let weights = &self.weights[number * self.pairs..][..self.pairs];
                let into = group * filters + block * CHANNELS;
                let job = Job {
                    weights,
                    channels: &self.channels[number],
                    output: &self.output,
                    filters: (filters - block * CHANNELS).min(CHANNELS),
                };
                let mut rows = rows.chunks(ROWS * self.pairs);
                for pixels in output.chunks_mut(ROWS * all) {
                    let Some(rows) = rows.next() else { return };
                    match rows.len() / self.pairs {
                        6 => job.tile::<6>(rows, &mut pixels[into..], all),
                        5 => job.tile::<5>(rows, &mut pixels[into..], all),
                        4 => job.tile::<4>(rows, &mut pixels[into..], all),
                        3 => job.tile::<3>(rows, &mut pixels[into..], all),
                        2 => job.tile::<2>(rows, &mut pixels[into..], all),
                        _ => job.tile::<1>(rows, &mut pixels[into..], all),
                    }
                }
            }
        }
    }

    /// The windows of pixels from `first` on, of one group, one row of `2 * pairs` values each.
    #[target_feature(enable = "avx2")]
    fn unfold(&self, first: usize, group: usize, input: &[i8], strip: &mut [i16]) {
        let g = &self.geometry;
        let [kh, kw] = g.window.kernel.map(|k| k as usize);
        let (all, width) = (g.input.c as usize, g.input.w as usize);
        let part = all / self.groups;
        let columns = g.output.w as usize;
        // Neighbours in a row of the window are neighbours in memory.
        let dense = self.groups == 1 && g.window.dilation[1] == 1;
        let dilation = g.window.dilation.map(|d| d as isize);
        let zero = self.input_zero_point.into();
        for (i, row) in strip.chunks_exact_mut(2 * self.pairs).enumerate() {
            let (y, x) = ((first + i) / columns, (first + i) % columns);
            let (rows, y0) = g.taps(0, y);
            let (cols, x0) = g.taps(1, x);
            let whole = rows.len() == kh && cols.len() == kw;
            if !whole {
                row.fill(zero);
            } else if let Some(last) = row.last_mut() {
                // Beyond an odd number of values; its weight is 0.
                *last = 0;
            }
            for ky in rows {
                let at = (y0 + ky as isize * dilation[0]) as usize * width;
                if dense && !cols.is_empty() {
                    let at = at + (x0 + cols.start as isize) as usize;
                    let to = &mut row[(ky * kw + cols.start) * part..][..cols.len() * part];
                    copy(to, &input[at * all..][..cols.len() * part]);
                    continue;
                }
                for kx in cols.clone() {
                    let at = at + (x0 + kx as isize * dilation[1]) as usize;
                    let to = &mut row[(ky * kw + kx) * part..][..part];
                    copy(to, &input[at * all + group * part..][..part]);
                }
            }
        }
    }
}

/// Copies int8 values as 16 bits each; both slices have one length.
#[inline]
#[target_feature(enable = "avx2")]
fn copy(to: &mut [i16], from: &[i8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = (*from).into();
    }
}

/// A block of filters.
struct Job<'j> {
    weights: &'j [[i8; 2 * CHANNELS]],
    channels: &'j Channels,
    output: &'j Output,
    /// Filters of the block, of which the last has fewer.
    filters: usize,
}

impl Job<'_> {
    /// `N` rows, one after another; their outputs are `stride` apart.
    #[target_feature(enable = "avx2")]
    fn tile<const N: usize>(&self, rows: &[[i16; 2]], output: &mut [i8], stride: usize) {
        let pairs = self.weights.len();
        let rows: [&[[i16; 2]]; N] = core::array::from_fn(|i| &rows[i * pairs..][..pairs]);
        let mut acc = [self.channels.bias(); N];
        for (k, both) in self.weights.iter().enumerate() {
            let (halves, _) = both.as_chunks::<16>();
            let w = [widen(&halves[0]), widen(&halves[1])];
            for i in 0..N {
                let pair = _mm256_set1_epi32(bytemuck::cast(rows[i][k]));
                acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(pair, w[0]));
                acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(pair, w[1]));
            }
        }
        for (i, acc) in acc.into_iter().enumerate() {
            let q = self.output.of(acc, self.channels);
            let to = &mut output[i * stride..];
            match to.first_chunk_mut() {
                Some(to) if self.filters == CHANNELS => store_i8(to, q),
                _ => {
                    let mut all = [0; CHANNELS];
                    store_i8(&mut all, q);
                    to[..self.filters].copy_from_slice(&all[..self.filters]);
                }
            }
        }
    }
}

impl Prepacked for Conv {
    fn units(&self) -> Units {
        let output = &self.geometry.output;
        Units {
            count: output.h as usize * output.w as usize,
            len: output.c as usize,
            total: output.len(),
        }
    }

    fn scratch_len(&self) -> usize {
        (self.strip() * 2 * self.pairs).div_ceil(4)
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.weights) + size_of_val(&*self.channels)
    }

    fn run(&self, units: Range<usize>, input: &[i8], output: &mut [i8], scratch: &mut [u64]) {
        let strip: &mut [i16] = bytemuck::cast_slice_mut(scratch);
        let len = self.strip() * self.geometry.output.c as usize;
        let firsts = units.step_by(self.strip());
        for (first, output) in firsts.zip(output.chunks_mut(len)) {
            // SAFETY: `Avx2::prepack_conv` makes this where the processor has AVX2.
            unsafe { self.pixels(first, input, output, strip) }
        }
    }
}
