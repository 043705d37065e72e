//! Convolution as a matrix product over strips of unfolded input, and nothing between them.
//!
//! Both sides become pairs of 16-bit values: `vpmaddwd` multiplies sixteen and adds each pair, exactly. Weights stay
//! int8 in memory, in blocks of sixteen filters, and are widened as they are loaded; a strip of the input is
//! widened once for all filters. Padding becomes the zero point there, so no border is a special case.

use super::finish::{CHANNELS, Channels, ORDER, Output};
use super::lanes::{store_i8, store_i16, widen};
use crate::kernels::quads::{EXACT, FLOAT, HIGH, Scaling, WeightSums, with_scaling};
use crate::kernels::spans::Spans;
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
    spans: Spans,
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
    scaling: Scaling,
    output: Output,
}

impl Conv {
    /// Packs the weights; `None` if a group has so few filters that blocks of sixteen would be mostly empty.
    pub fn new(p: &ConvParams<'_>) -> Option<Self> {
        let g = &p.geometry;
        let taps = (g.window.kernel[0] * g.window.kernel[1]) as usize;
        let depth = taps * (g.input.c as usize / p.groups);
        let filters = g.output.c as usize / p.groups;
        if filters < CHANNELS / 2 {
            return None;
        }
        let sums = WeightSums::new(p.weights.chunks_exact(depth).map(|filter| filter.iter()));
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
        Some(Self {
            geometry: *g,
            spans: Spans::new(g),
            groups: p.groups,
            input_zero_point: p.input_zero_point,
            pairs,
            blocks,
            weights,
            channels,
            scaling: Scaling::of(p, &sums, true),
            output: Output::new(&p.requantize),
        })
    }

    /// Pixels of a strip.
    fn strip(&self) -> usize {
        let fit = STRIP / (4 * self.pairs);
        (fit / ROWS).clamp(1, 16) * ROWS
    }

    /// True if the output is one pixel, which is divided by blocks of filters: a fully connected layer.
    fn is_one_pixel(&self) -> bool {
        let output = &self.geometry.output;
        output.h == 1 && output.w == 1 && self.groups == 1
    }

    /// The pixels from `first` on, of the filters of `blocks`. `strip` is memory for their windows, and `output`
    /// their channels.
    #[target_feature(enable = "avx2,fma")]
    fn pixels(
        &self,
        first: usize,
        blocks: Range<usize>,
        input: &[i8],
        output: &mut [i8],
        strip: &mut [i16],
    ) {
        let all = self.geometry.output.c as usize;
        let filters = all / self.groups;
        let count = output.len().div_ceil(all);
        let strip = &mut strip[..count * 2 * self.pairs];
        for group in 0..self.groups {
            self.unfold(first, group, input, strip);
            let (rows, _) = strip.as_chunks::<2>();
            for block in blocks.clone() {
                let number = group * self.blocks + block;
                let weights = &self.weights[number * self.pairs..][..self.pairs];
                let job = Job {
                    weights,
                    channels: &self.channels[number],
                    output: &self.output,
                    filters: (filters - block * CHANNELS).min(CHANNELS),
                    stride: all,
                };
                let into = &mut output[group * filters + (block - blocks.start) * CHANNELS..];
                with_scaling!(self.scaling, job.rows(rows, into));
            }
        }
    }

    /// The windows of pixels from `first` on, of one group, one row of `2 * pairs` values each.
    #[target_feature(enable = "avx2,fma")]
    fn unfold(&self, first: usize, group: usize, input: &[i8], strip: &mut [i16]) {
        let g = &self.geometry;
        let [kh, kw] = g.window.kernel.map(|k| k as usize);
        let (all, width) = (g.input.c as usize, g.input.w as usize);
        let part = all / self.groups;
        // Neighbours in a row of the window are neighbours in memory.
        let dense = self.groups == 1 && g.window.dilation[1] == 1;
        let row_len = 2 * self.pairs;
        let mut start = 0;
        for [y, x] in self.spans.from(first) {
            if start == strip.len() {
                return;
            }
            let (rows, columns) = (y.taps(), x.taps());
            let whole = rows.len() == kh && columns.len() == kw;
            if !whole {
                strip[start..][..row_len].fill(self.input_zero_point.into());
            } else {
                // Beyond an odd number of values; its weight is 0.
                strip[start + row_len - 1] = 0;
            }
            let rows = if columns.is_empty() { 0..0 } else { rows };
            for ky in rows {
                let at = y.at(ky) * width;
                if dense {
                    let to = start + (ky * kw + columns.start) * part;
                    let at = (at + x.at(columns.start)) * all;
                    copy(strip, to, &input[at..], columns.len() * part, whole);
                    continue;
                }
                for kx in columns.clone() {
                    let to = start + (ky * kw + kx) * part;
                    let at = (at + x.at(kx)) * all + group * part;
                    copy(strip, to, &input[at..], part, false);
                }
            }
            start += row_len;
        }
    }
}

/// Copies `len` int8 values as 16 bits each to `strip[at..]`; a few more if what follows is written later.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn copy(strip: &mut [i16], at: usize, from: &[i8], len: usize, more: bool) {
    let strip = &mut strip[at..];
    let whole = len.next_multiple_of(16);
    let len = if more && whole <= strip.len() && whole <= from.len() {
        whole
    } else {
        len
    };
    let (to16, to) = strip[..len].as_chunks_mut::<16>();
    let (from16, from) = from[..len].as_chunks::<16>();
    for (to, from) in to16.iter_mut().zip(from16) {
        store_i16(to, widen(from));
    }
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
    /// From one pixel's output to the next.
    stride: usize,
}

impl Job<'_> {
    /// All rows of a strip, one after another.
    #[target_feature(enable = "avx2,fma")]
    fn rows<const SCALING: u8>(&self, rows: &[[i16; 2]], output: &mut [i8]) {
        let pairs = self.weights.len();
        let mut first = 0;
        for rows in rows.chunks(ROWS * pairs) {
            let output = &mut output[first * self.stride..];
            match rows.len() / pairs {
                6 => self.tile::<6, SCALING>(rows, output),
                5 => self.tile::<5, SCALING>(rows, output),
                4 => self.tile::<4, SCALING>(rows, output),
                3 => self.tile::<3, SCALING>(rows, output),
                2 => self.tile::<2, SCALING>(rows, output),
                _ => self.tile::<1, SCALING>(rows, output),
            }
            first += ROWS;
        }
    }

    /// `N` rows.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn tile<const N: usize, const SCALING: u8>(&self, rows: &[[i16; 2]], output: &mut [i8]) {
        let pairs = self.weights.len();
        // A loop: closures are not compiled for AVX2.
        let mut each: [&[[i16; 2]]; N] = [&[]; N];
        for (i, row) in each.iter_mut().enumerate() {
            *row = &rows[i * pairs..][..pairs];
        }
        let mut acc = [self.channels.bias(); N];
        for (k, both) in self.weights.iter().enumerate() {
            let (halves, _) = both.as_chunks::<16>();
            let w = [widen(&halves[0]), widen(&halves[1])];
            for i in 0..N {
                let pair = _mm256_set1_epi32(bytemuck::cast(each[i][k]));
                acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(pair, w[0]));
                acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(pair, w[1]));
            }
        }
        let output = &mut output[..(N - 1) * self.stride + self.filters];
        for i in 0..N {
            let q = self.output.of::<SCALING>(acc[i], self.channels);
            let to = &mut output[i * self.stride..];
            match to.first_chunk_mut() {
                Some(to) if self.filters == CHANNELS => store_i8(to, q),
                _ => store_some(&mut to[..self.filters], q),
            }
        }
    }
}

/// Stores the first values.
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn store_some(to: &mut [i8], values: __m128i) {
    let mut all = [0; CHANNELS];
    store_i8(&mut all, values);
    to.copy_from_slice(&all[..to.len()]);
}

impl Prepacked for Conv {
    fn units(&self) -> Units {
        let output = &self.geometry.output;
        let (count, len) = match self.is_one_pixel() {
            true => (self.blocks, CHANNELS),
            false => (output.h as usize * output.w as usize, output.c as usize),
        };
        Units {
            count,
            len,
            total: output.len(),
        }
    }

    fn scratch_len(&self) -> usize {
        (self.strip() * 2 * self.pairs).div_ceil(4)
    }

    fn run(&self, units: Range<usize>, input: &[i8], output: &mut [i8], scratch: &mut [u64]) {
        let strip: &mut [i16] = bytemuck::cast_slice_mut(scratch);
        if self.is_one_pixel() {
            // SAFETY: `Avx2::prepack_conv` makes this where the processor has AVX2.
            return unsafe { self.pixels(0, units, input, output, strip) };
        }
        let len = self.strip() * self.geometry.output.c as usize;
        let firsts = units.step_by(self.strip());
        for (first, output) in firsts.zip(output.chunks_mut(len)) {
            // SAFETY: `Avx2::prepack_conv` makes this where the processor has AVX2.
            unsafe { self.pixels(first, 0..self.blocks, input, output, strip) }
        }
    }
}
