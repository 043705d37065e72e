//! Convolution as a matrix product over strips of unfolded input, and nothing between them.
//!
//! Weights lie in blocks of sixteen filters, four values of a filter together. A tile multiplies a few pixels by a
//! few blocks, with all sums in registers. Padding becomes the zero point in the strip, so no border is a special
//! case.

use super::{
    BLOCK, Channels, EXACT, FLOAT, HIGH, Job, Line, Output, Quads, Scaling, flip, with_scaling,
};
use crate::kernels::spans::Spans;
use crate::kernels::{ConvParams, Geometry, Prepacked, Units};
use core::ops::Range;

/// Bytes of a strip, so that it stays in the second-level cache beside a panel of weights.
const STRIP: usize = 192 << 10;

/// Pixels of a strip are a multiple of this, so that most tiles are whole.
const PIXELS: usize = 24;

/// A convolution with packed weights.
#[derive(Debug)]
pub struct Conv<Q: Quads> {
    q: Q,
    geometry: Geometry,
    spans: Spans,
    groups: usize,
    input_zero_point: i8,
    /// Quads of values under a window, of one group.
    quads: usize,
    /// Filters of one group, divided.
    panels: Vec<Panel>,
    /// `[group][panel][quad][block of the panel]`.
    weights: Vec<Line>,
    /// `[group][block]`.
    channels: Vec<Channels>,
    scaling: Scaling,
    output: Output,
}

/// Blocks of filters that are multiplied together.
#[derive(Clone, Copy, Debug)]
struct Panel {
    first: usize,
    blocks: usize,
}

impl<Q: Quads> Conv<Q> {
    /// Packs the weights; `None` if a group has so few filters that blocks of sixteen would be mostly empty.
    pub fn new(q: Q, p: &ConvParams<'_>) -> Option<Self> {
        let g = &p.geometry;
        let taps = (g.window.kernel[0] * g.window.kernel[1]) as usize;
        let depth = taps * (g.input.c as usize / p.groups);
        let filters = g.output.c as usize / p.groups;
        if filters < BLOCK / 2 {
            return None;
        }
        let weight = |filter: usize, k: usize| p.weights[filter * depth + k];
        let scaling = Scaling::of(p, depth, weight);
        let flipped = |filter: usize| {
            let sum: i32 = (0..depth).map(|k| i32::from(weight(filter, k))).sum();
            i32::from(Q::FLIP).wrapping_mul(sum)
        };
        let blocks = filters.div_ceil(BLOCK);
        let panels = match is_one_pixel(g, p.groups) {
            // Parts of the output must have one length.
            true => fixed_panels(blocks, Q::BLOCKS),
            false => even_panels(blocks, Q::BLOCKS),
        };
        let quads = depth.div_ceil(4);
        let mut weights = Vec::with_capacity(p.groups * blocks * quads);
        let mut channels = Vec::with_capacity(p.groups * blocks);
        for group in 0..p.groups {
            let end = (group + 1) * filters;
            let of = |block: usize| {
                let first = group * filters + block * BLOCK;
                first..(first + BLOCK).min(end)
            };
            channels.extend(
                (0..blocks).map(|block| Channels::new(&p.requantize, scaling, of(block), flipped)),
            );
            for panel in &panels {
                for quad in 0..quads {
                    for block in panel.first..panel.first + panel.blocks {
                        let mut line = Line::ZERO;
                        let (each, _) = line.0.as_chunks_mut::<4>();
                        for (each, filter) in each.iter_mut().zip(of(block)) {
                            for (w, k) in each.iter_mut().zip(4 * quad..depth) {
                                *w = weight(filter, k);
                            }
                        }
                        weights.push(line);
                    }
                }
            }
        }
        Some(Self {
            q,
            geometry: *g,
            spans: Spans::new(g),
            groups: p.groups,
            input_zero_point: p.input_zero_point,
            quads,
            panels,
            weights,
            channels,
            scaling,
            output: Output::new(&p.requantize),
        })
    }

    /// Pixels of a strip.
    fn strip(&self) -> usize {
        let fit = STRIP / (4 * self.quads);
        let all = self.geometry.output.h as usize * self.geometry.output.w as usize;
        ((fit / PIXELS).clamp(1, 16) * PIXELS).min(all)
    }

    /// True if windows are pixels, and rows of the strip lie as in the input.
    fn is_plain(&self) -> bool {
        let (g, w) = (&self.geometry, &self.geometry.window);
        w.is_unpadded()
            && (w.kernel, w.stride) == ([1, 1], [1, 1])
            && self.groups == 1
            && g.input.c.is_multiple_of(4)
    }

    /// The windows of pixels from `first` on, of one group, one row of `4 * quads` values each.
    #[inline(always)]
    fn unfold(&self, first: usize, group: usize, input: &[i8], strip: &mut [i8]) {
        let g = &self.geometry;
        let q = self.q;
        let [kh, kw] = g.window.kernel.map(|k| k as usize);
        let (all, width) = (g.input.c as usize, g.input.w as usize);
        if self.is_plain() {
            return flip(q, &input[first * all..], strip, strip.len(), false);
        }
        let part = all / self.groups;
        // Neighbours in a row of the window are neighbours in memory.
        let dense = self.groups == 1 && g.window.dilation[1] == 1;
        let row_len = 4 * self.quads;
        let padding = self.input_zero_point ^ Q::FLIP as i8;
        let mut start = 0;
        for [y, x] in self.spans.from(first) {
            if start == strip.len() {
                return;
            }
            let (rows, columns) = (y.taps(), x.taps());
            let whole = rows.len() == kh && columns.len() == kw;
            if !whole {
                strip[start..][..row_len].fill(padding);
            }
            let rows = if columns.is_empty() { 0..0 } else { rows };
            for ky in rows {
                let at = y.at(ky) * width;
                if dense {
                    let to = start + (ky * kw + columns.start) * part;
                    let from = &input[(at + x.at(columns.start)) * all..];
                    flip(q, from, &mut strip[to..], columns.len() * part, whole);
                    continue;
                }
                for kx in columns.clone() {
                    let to = start + (ky * kw + kx) * part;
                    let from = &input[(at + x.at(kx)) * all + group * part..];
                    flip(q, from, &mut strip[to..], part, false);
                }
            }
            // Values beyond the depth are whatever they are: their weights are 0.
            start += row_len;
        }
    }
}

/// True if the output is one pixel, which is divided by panels: a fully connected layer.
fn is_one_pixel(g: &Geometry, groups: usize) -> bool {
    g.output.h == 1 && g.output.w == 1 && groups == 1
}

/// Panels of `most` blocks, and one of the rest.
fn fixed_panels(blocks: usize, most: usize) -> Vec<Panel> {
    let panel = |first| Panel {
        first,
        blocks: most.min(blocks - first),
    };
    (0..blocks).step_by(most).map(panel).collect()
}

/// As few panels as can be, of nearly the same size.
fn even_panels(blocks: usize, most: usize) -> Vec<Panel> {
    let count = blocks.div_ceil(most);
    let first = |i: usize| blocks * i / count;
    let panel = |i| Panel {
        first: first(i),
        blocks: first(i + 1) - first(i),
    };
    (0..count).map(panel).collect()
}

/// The pixels from `first` on, of the filters of `panels`.
struct Pixels<'j, Q: Quads> {
    conv: &'j Conv<Q>,
    first: usize,
    panels: Range<usize>,
    input: &'j [i8],
    /// The channels of the panels.
    output: &'j mut [i8],
    /// Memory for the windows.
    strip: &'j mut [i8],
}

impl<Q: Quads> Job<Q> for Pixels<'_, Q> {
    #[inline(always)]
    fn run(self, q: Q) {
        let conv = self.conv;
        let all = conv.geometry.output.c as usize;
        let (filters, blocks) = (all / conv.groups, conv.channels.len() / conv.groups);
        let count = self.output.len().div_ceil(all);
        let strip = &mut self.strip[..count * 4 * conv.quads];
        let panels = &conv.panels[self.panels];
        let Some(start) = panels.first().map(|panel| panel.first) else {
            return;
        };
        for group in 0..conv.groups {
            conv.unfold(self.first, group, self.input, strip);
            let (rows, _) = strip.as_chunks::<4>();
            for panel in panels {
                let number = group * blocks + panel.first;
                let product = Product {
                    q,
                    weights: &conv.weights[number * conv.quads..][..panel.blocks * conv.quads],
                    channels: &conv.channels[number..][..panel.blocks],
                    output: &conv.output,
                    filters: (filters - panel.first * BLOCK).min(panel.blocks * BLOCK),
                    stride: all,
                };
                let into =
                    &mut self.output[group * filters + (panel.first - start) * BLOCK..];
                with_scaling!(conv.scaling, product.panel(rows, into));
            }
        }
    }
}

/// A panel of filters.
struct Product<'j, Q: Quads> {
    q: Q,
    weights: &'j [Line],
    channels: &'j [Channels],
    output: &'j Output,
    /// Filters of the panel; the last block may have fewer than sixteen.
    filters: usize,
    /// From one pixel's output to the next.
    stride: usize,
}

impl<Q: Quads> Product<'_, Q> {
    /// All rows of a strip.
    #[inline(always)]
    fn panel<const SCALING: u8>(&self, rows: &[[i8; 4]], output: &mut [i8]) {
        if Q::BLOCKS == 1 {
            return self.rows::<1, 6, 3, 2, SCALING>(rows, output);
        }
        match self.channels.len() {
            4 => self.rows::<4, 6, 3, 2, SCALING>(rows, output),
            3 => self.rows::<3, 8, 4, 2, SCALING>(rows, output),
            2 => self.rows::<2, 8, 4, 2, SCALING>(rows, output),
            _ => self.rows::<1, 8, 4, 2, SCALING>(rows, output),
        }
    }

    /// Tiles of `A` rows, and then of fewer.
    #[inline(always)]
    fn rows<const N: usize, const A: usize, const B: usize, const C: usize, const SCALING: u8>(
        &self,
        rows: &[[i8; 4]],
        output: &mut [i8],
    ) {
        let (weights, _) = self.weights.as_chunks::<N>();
        let count = rows.len() / weights.len();
        let mut first = 0;
        while first < count {
            let (rows, output) = (
                &rows[first * weights.len()..],
                &mut output[first * self.stride..],
            );
            first += match count - first {
                left if left >= A => self.tile::<N, A, SCALING>(weights, rows, output),
                left if left >= B => self.tile::<N, B, SCALING>(weights, rows, output),
                left if left >= C => self.tile::<N, C, SCALING>(weights, rows, output),
                _ => self.tile::<N, 1, SCALING>(weights, rows, output),
            };
        }
    }

    /// `R` rows by `N` blocks; says how many rows.
    #[inline(always)]
    fn tile<const N: usize, const R: usize, const SCALING: u8>(
        &self,
        weights: &[[Line; N]],
        rows: &[[i8; 4]],
        output: &mut [i8],
    ) -> usize {
        let q = self.q;
        let quads = weights.len();
        let mut each: [&[[i8; 4]]; R] = [&[]; R];
        for (i, row) in each.iter_mut().enumerate() {
            *row = &rows[i * quads..][..quads];
        }
        let mut bias = [q.sums(&self.channels[0].bias); N];
        for b in 1..N {
            bias[b] = q.sums(&self.channels[b].bias);
        }
        let mut sums = [bias; R];
        for (k, lines) in weights.iter().enumerate() {
            let mut w = [q.load(&lines[0]); N];
            for b in 1..N {
                w[b] = q.load(&lines[b]);
            }
            for i in 0..R {
                let quad = q.repeat(each[i][k]);
                for b in 0..N {
                    sums[i][b] = q.multiply_add(sums[i][b], quad, w[b]);
                }
            }
        }
        let output = &mut output[..(R - 1) * self.stride + self.filters];
        let whole = self.filters == N * BLOCK;
        // Another array: what a loop indexes that is not unrolled lies in memory, and there the sums must not be.
        let mut scaled = [[sums[0][0]; N]; R];
        for i in 0..R {
            for b in 0..N {
                scaled[i][b] = sums[i][b];
            }
        }
        for b in 0..N {
            let numbers = q.ready(&self.channels[b]);
            for row in &mut scaled {
                row[b] = q.scale::<SCALING>(row[b], &numbers, self.output);
            }
        }
        for (i, row) in scaled.iter().enumerate() {
            let to = &mut output[i * self.stride..];
            if N == 4
                && whole
                && let Some(to) = to.first_chunk_mut()
            {
                let four = [row[0], row[1 % N], row[2 % N], row[3 % N]];
                q.store_4(four, self.output, to);
                continue;
            }
            for b in 0..N {
                let to = &mut to[b * BLOCK..];
                match to.first_chunk_mut() {
                    Some(to) if whole || b + 1 < N => q.store(row[b], self.output, to),
                    _ => {
                        let mut some = [0; BLOCK];
                        q.store(row[b], self.output, &mut some);
                        let left = self.filters - b * BLOCK;
                        to[..left].copy_from_slice(&some[..left]);
                    }
                }
            }
        }
        R
    }
}

impl<Q: Quads> Prepacked for Conv<Q> {
    fn units(&self) -> Units {
        let output = &self.geometry.output;
        let (count, len) = match is_one_pixel(&self.geometry, self.groups) {
            true => (self.panels.len(), Q::BLOCKS * BLOCK),
            false => (output.h as usize * output.w as usize, output.c as usize),
        };
        Units {
            count,
            len,
            total: output.len(),
        }
    }

    fn scratch_len(&self) -> usize {
        (self.strip() * 4 * self.quads).div_ceil(8)
    }

    fn run(&self, units: Range<usize>, input: &[i8], output: &mut [i8], scratch: &mut [u64]) {
        let strip: &mut [i8] = bytemuck::cast_slice_mut(scratch);
        let mut pixels = |first, panels, output| {
            self.q.enabled(Pixels {
                conv: self,
                first,
                panels,
                input,
                output,
                strip,
            });
        };
        if is_one_pixel(&self.geometry, self.groups) {
            return pixels(0, units, output);
        }
        let len = self.strip() * self.geometry.output.c as usize;
        for (first, output) in units.step_by(self.strip()).zip(output.chunks_mut(len)) {
            pixels(first, 0..self.panels.len(), output);
        }
    }
}
