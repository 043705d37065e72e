//! Depthwise convolution over vertical quads: four rows of the input under one another, interleaved.
//!
//! One instruction then multiplies four taps of a column, of sixteen channels. Rows are interleaved once and read by
//! every output row whose window lies in them: four rows serve two rows of outputs of a 3x3 window, and eight rows
//! four of a 5x5 window. A tap outside of the window has the weight 0. Padding is interleaved as zero points, so no
//! border is a special case.

use super::{BLOCK, Channels, EXACT, FLOAT, HIGH, Job, Line, Output, Quads, Scaling, with_scaling};
use crate::kernels::{ConvParams, Geometry, Prepacked, Units};
use core::ops::Range;

/// Channels that are interleaved together.
const WIDE: usize = 4 * BLOCK;

/// Most taps of a column.
const MOST: usize = 64;

/// A depthwise convolution with packed weights.
#[derive(Debug)]
pub struct Depthwise<Q: Quads> {
    q: Q,
    geometry: Geometry,
    /// Quads of a column: of the rows that one group of output rows reads.
    quads: usize,
    /// Output rows that share them.
    rows: usize,
    /// Columns that a row of outputs reads, the padding included.
    columns: usize,
    /// `[block][output row][column of the window][quad]`.
    weights: Vec<Line>,
    /// One for each block.
    channels: Vec<Channels>,
    scaling: Scaling,
    output: Output,
    /// What the padding reads: a zero point for each channel.
    padding: Vec<i8>,
}

impl<Q: Quads> Depthwise<Q> {
    /// Packs the weights; `None` if there are too few channels or too many taps.
    pub fn new(q: Q, p: &ConvParams<'_>) -> Option<Self> {
        let g = &p.geometry;
        let channels = g.output.c as usize;
        let [kh, kw] = g.window.kernel.map(|k| k as usize);
        if channels < BLOCK || kh > MOST {
            return None;
        }
        let quads = kh.div_ceil(4);
        let [stride, step] = [g.window.stride[1], g.window.dilation[1]].map(|v| v as usize);
        // With dilation, rows of the window are no neighbours, and another row of outputs reads others.
        let down = g.window.stride[0] as usize;
        let rows = match g.window.dilation[0] {
            1 => (4 * quads - kh) / down + 1,
            _ => 1,
        };
        let weight = |c: usize, tap: usize| p.weights[tap * channels + c];
        let scaling = Scaling::of(p, kh * kw, weight);
        let flipped = |c: usize| {
            let sum: i32 = (0..kh * kw).map(|tap| i32::from(weight(c, tap))).sum();
            i32::from(Q::FLIP).wrapping_mul(sum)
        };
        let mut weights = Vec::new();
        let mut numbers = Vec::new();
        for first in (0..channels).step_by(BLOCK) {
            let block = first..(first + BLOCK).min(channels);
            numbers.push(Channels::new(
                &p.requantize,
                scaling,
                block.clone(),
                flipped,
            ));
            for row in 0..rows {
                for kx in 0..kw {
                    for quad in 0..quads {
                        let mut line = Line::ZERO;
                        let (each, _) = line.0.as_chunks_mut::<4>();
                        for (each, c) in each.iter_mut().zip(block.clone()) {
                            for (i, w) in each.iter_mut().enumerate() {
                                let tap = (4 * quad + i).checked_sub(row * down);
                                if let Some(ky) = tap.filter(|ky| *ky < kh) {
                                    *w = weight(c, ky * kw + kx);
                                }
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
            quads,
            rows,
            columns: (g.output.w as usize - 1) * stride + (kw - 1) * step + 1,
            weights,
            channels: numbers,
            scaling,
            output: Output::new(&p.requantize),
            padding: vec![p.input_zero_point; channels],
        })
    }

    /// Interleaves up to 64 channels from `first` on of the rows that the output rows from `row` on read, to lines
    /// `[block][column][quad]`.
    #[inline(always)]
    fn interleave(&self, row: usize, first: usize, input: &[i8], lines: &mut [Line]) {
        let q = self.q;
        let g = &self.geometry;
        let (channels, width, height) =
            (g.input.c as usize, g.input.w as usize, g.input.h as usize);
        let count = WIDE.min(channels - first);
        let padding = &self.padding[..count];
        let [top, left] = g.window.pad_before.map(|p| p as usize);
        let step = g.window.dilation[0] as usize;
        let len = self.columns * self.quads;
        let (a, rest) = lines.split_at_mut(len);
        let (b, rest) = rest.split_at_mut(len);
        let (c, d) = rest.split_at_mut(len);
        let d = &mut d[..len];
        for quad in 0..self.quads {
            let mut rows: [Option<&[i8]>; 4] = [None; 4];
            for (i, to) in rows.iter_mut().enumerate() {
                let y = row * g.window.stride[0] as usize + (4 * quad + i) * step;
                if let Some(y) = y.checked_sub(top).filter(|y| *y < height) {
                    *to = Some(&input[y * width * channels..][..width * channels]);
                }
            }
            for column in 0..self.columns {
                let x = column.wrapping_sub(left);
                let mut four = [padding; 4];
                if x < width {
                    for (of, row) in four.iter_mut().zip(rows) {
                        if let Some(row) = row {
                            *of = &row[x * channels + first..][..count];
                        }
                    }
                }
                let at = column * self.quads + quad;
                q.interleave(four, [&mut a[at], &mut b[at], &mut c[at], &mut d[at]]);
            }
        }
    }
}

/// Rows of an output.
struct Rows<'j, Q: Quads> {
    conv: &'j Depthwise<Q>,
    rows: Range<usize>,
    input: &'j [i8],
    output: &'j mut [i8],
    /// Memory for interleaved rows.
    lines: &'j mut [Line],
}

impl<Q: Quads> Job<Q> for Rows<'_, Q> {
    #[inline(always)]
    fn run(self, q: Q) {
        let conv = self.conv;
        let g = &conv.geometry;
        let channels = g.output.c as usize;
        let row_len = g.output.w as usize * channels;
        let len = conv.columns * conv.quads;
        let per_row = g.window.kernel[1] as usize * conv.quads;
        let groups = self.output.chunks_mut(conv.rows * row_len);
        for (row, output) in self.rows.step_by(conv.rows).zip(groups) {
            for first in (0..channels).step_by(WIDE) {
                conv.interleave(row, first, self.input, self.lines);
                let blocks = first / BLOCK..(first + WIDE).min(channels).div_ceil(BLOCK);
                for (block, lines) in blocks.zip(self.lines.chunks_exact(len)) {
                    for (i, output) in output.chunks_mut(row_len).enumerate() {
                        let number = block * conv.rows + i;
                        let row = Row {
                            q,
                            lines,
                            weights: &conv.weights[number * per_row..][..per_row],
                            channels: &conv.channels[block],
                            shared: &conv.output,
                            stride: g.window.stride[1] as usize * conv.quads,
                            step: g.window.dilation[1] as usize * conv.quads,
                            quads: conv.quads,
                            first: block * BLOCK,
                            pixel: channels,
                        };
                        with_scaling!(conv.scaling, row.run(output));
                    }
                }
            }
        }
    }
}

/// Sixteen channels of a row of outputs.
struct Row<'j, Q: Quads> {
    q: Q,
    lines: &'j [Line],
    weights: &'j [Line],
    channels: &'j Channels,
    shared: &'j Output,
    /// Lines from one output to the next.
    stride: usize,
    /// Lines from one column of the window to the next.
    step: usize,
    quads: usize,
    /// The first channel.
    first: usize,
    /// Channels of a pixel.
    pixel: usize,
}

impl<Q: Quads> Row<'_, Q> {
    #[inline(always)]
    fn run<const SCALING: u8>(&self, output: &mut [i8]) {
        match (self.weights.len(), self.step == self.quads) {
            (3, true) => self.dense::<3, SCALING>(output),
            (10, true) => self.dense::<10, SCALING>(output),
            _ => self.any::<SCALING>(output),
        }
    }

    /// All columns of the window are neighbours: `N` lines, and as many weights in registers.
    #[inline(always)]
    fn dense<const N: usize, const SCALING: u8>(&self, output: &mut [i8]) {
        let q = self.q;
        let (numbers, bias) = (q.ready(self.channels), q.sums(&self.channels.bias));
        let mut w = [q.load(&self.weights[0]); N];
        for (w, line) in w.iter_mut().zip(self.weights) {
            *w = q.load(line);
        }
        for (x, pixel) in output.chunks_exact_mut(self.pixel).enumerate() {
            let lines = &self.lines[x * self.stride..][..N];
            let mut sums = bias;
            for i in 0..N {
                sums = q.multiply_add(sums, q.load(&lines[i]), w[i]);
            }
            self.store(q.scale::<SCALING>(sums, &numbers, self.shared), pixel);
        }
    }

    /// Any window.
    #[inline(always)]
    fn any<const SCALING: u8>(&self, output: &mut [i8]) {
        let q = self.q;
        let (numbers, bias) = (q.ready(self.channels), q.sums(&self.channels.bias));
        for (x, pixel) in output.chunks_exact_mut(self.pixel).enumerate() {
            let mut sums = bias;
            for (kx, weights) in self.weights.chunks_exact(self.quads).enumerate() {
                let lines = &self.lines[x * self.stride + kx * self.step..];
                for (line, w) in lines.iter().zip(weights) {
                    sums = q.multiply_add(sums, q.load(line), q.load(w));
                }
            }
            self.store(q.scale::<SCALING>(sums, &numbers, self.shared), pixel);
        }
    }

    /// Stores the channels of a pixel; the last block may have fewer than sixteen.
    #[inline(always)]
    fn store(&self, scaled: Q::Sums, pixel: &mut [i8]) {
        let to = &mut pixel[self.first..];
        if let Some(to) = to.first_chunk_mut() {
            return self.q.store(scaled, self.shared, to);
        }
        let mut some = [0; BLOCK];
        self.q.store(scaled, self.shared, &mut some);
        to.copy_from_slice(&some[..to.len()]);
    }
}

impl<Q: Quads> Prepacked for Depthwise<Q> {
    /// Rows.
    fn units(&self) -> Units {
        let output = &self.geometry.output;
        Units {
            count: output.h as usize,
            len: output.w as usize * output.c as usize,
            total: output.len(),
        }
    }

    fn scratch_len(&self) -> usize {
        // A line has 8 words; one more, to start on a multiple of its length.
        8 * (4 * self.columns * self.quads + 1)
    }

    fn run(&self, units: Range<usize>, input: &[i8], output: &mut [i8], scratch: &mut [u64]) {
        let (_, lines, _) = bytemuck::pod_align_to_mut(scratch);
        self.q.enabled(Rows {
            conv: self,
            rows: units,
            input,
            output,
            lines,
        });
    }
}
