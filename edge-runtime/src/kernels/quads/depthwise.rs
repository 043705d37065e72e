//! Depthwise convolution over vertical quads: four rows of the input under one another, interleaved.
//!
//! One instruction then multiplies four taps of a column, of sixteen channels. The rows of the input, with the
//! padding around them, are interleaved once, four by four; a window reads the one or two quads (or more, if it is
//! high) that its rows lie in. Rows of a quad that are not the window's have the weight 0, so there are weights for
//! every place that a window's first row may have in its quad.

use super::{
    BLOCK, Channels, EXACT, FLOAT, HIGH, Job, Line, Output, Quads, Scaling, Step, WeightSums,
    with_scaling,
};
use crate::kernels::{ConvParams, Geometry, Prepacked, Units};
use core::ops::Range;

/// Bytes of interleaved rows, so that they stay in the second-level cache.
const LINES: usize = 128 << 10;

/// Most rows under a window.
const MOST: usize = 64;

/// Bytes that interleaved rows, or weights, may take in any case.
const REASONABLE: usize = 1 << 20;

/// A depthwise convolution with packed weights.
#[derive(Debug)]
pub struct Depthwise<Q: Quads> {
    q: Q,
    geometry: Geometry,
    /// Rows under a window.
    window: usize,
    /// Columns that a row of outputs reads, the padding included.
    columns: usize,
    /// Blocks of channels; the last may have fewer than sixteen.
    blocks: usize,
    /// Rows of outputs that share interleaved rows.
    rows: usize,
    /// By the place of the window's first row in its quad.
    phases: [Phase; 4],
    /// One for each block.
    channels: Vec<Channels>,
    scaling: Scaling,
    output: Output,
    input_zero_point: i8,
    /// A row of zero points.
    padding: Vec<i8>,
}

/// Windows whose first row has a certain place in its quad.
#[derive(Debug, Default)]
struct Phase {
    /// Quads that the window reads.
    quads: usize,
    /// `[block][quad][column of the window]`; empty if there is no such window.
    weights: Vec<Line>,
}

impl<Q: Quads> Depthwise<Q> {
    /// Packs the weights; `None` if there are too many rows under a window, or windows so far apart or with such holes that
    /// interleaving whole rows is no way to compute them.
    pub fn new(q: Q, p: &ConvParams<'_>) -> Option<Self> {
        let g = &p.geometry;
        let w = &g.window;
        let channels = g.output.c as usize;
        let [kh, kw] = w.kernel.map(|k| k as usize);
        let [down, right] = w.dilation.map(|d| d as usize);
        let window = (kh - 1) * down + 1;
        if window > MOST {
            return None;
        }
        let columns = (g.output.w as usize - 1) * w.stride[1] as usize + (kw - 1) * right + 1;
        // As many rows of outputs as fit, one at least.
        let stride = w.stride[0] as usize;
        let bytes = |rows: usize| {
            let quads = ((rows - 1) * stride + window).div_ceil(4);
            quads * columns * channels.next_multiple_of(BLOCK) * 4
        };
        let height = g.output.h as usize;
        let rows = (1..=height).rev().find(|rows| bytes(*rows) <= LINES);
        let rows = rows.unwrap_or(1);
        let reasonable = 16 * (g.input.len() + g.output.len());
        if bytes(rows) > reasonable.max(REASONABLE) {
            return None;
        }
        let weight = |c: usize, tap: usize| p.weights[tap * channels + c];
        let sums = WeightSums::new((0..channels).map(|c| p.weights[c..].iter().step_by(channels)));
        let scaling = Scaling::of(p, &sums, Q::FLOATS);
        let blocks: Vec<Range<usize>> = (0..channels)
            .step_by(BLOCK)
            .map(|first| first..(first + BLOCK).min(channels))
            .collect();
        let phase = |place: usize| {
            let quads = (place + window).div_ceil(4);
            let mut weights = Vec::with_capacity(blocks.len() * quads * kw);
            for block in &blocks {
                for (quad, kx) in (0..quads).flat_map(|quad| (0..kw).map(move |kx| (quad, kx))) {
                    let mut line = Line::ZERO;
                    let (each, _) = line.0.as_chunks_mut::<4>();
                    for (each, c) in each.iter_mut().zip(block.clone()) {
                        for (i, w) in each.iter_mut().enumerate() {
                            let row = (4 * quad + i).checked_sub(place);
                            let ky = row.filter(|row| row.is_multiple_of(down));
                            if let Some(ky) = ky.map(|row| row / down).filter(|ky| *ky < kh) {
                                *w = weight(c, ky * kw + kx);
                            }
                        }
                    }
                    weights.push(line);
                }
            }
            Phase { quads, weights }
        };
        // Only the places that occur.
        let occurs = |place: &usize| (0..rows.min(4)).any(|y| y * stride % 4 == *place);
        let lines = |place: usize| (place + window).div_ceil(4) * kw * blocks.len();
        let packed: usize = (0..4).filter(occurs).map(lines).sum();
        if packed * size_of::<Line>() > (32 * p.weights.len()).max(REASONABLE) {
            return None;
        }
        let phases = [0, 1, 2, 3].map(|place| match occurs(&place) {
            true => phase(place),
            false => Phase::default(),
        });
        Some(Self {
            q,
            geometry: *g,
            window,
            columns,
            blocks: blocks.len(),
            rows,
            phases,
            channels: blocks
                .into_iter()
                .map(|block| Channels::new(&p.requantize, scaling, block, |c| sums.flipped::<Q>(c)))
                .collect(),
            scaling,
            output: Output::new(&p.requantize),
            input_zero_point: p.input_zero_point,
            padding: vec![p.input_zero_point; g.input.w as usize * channels],
        })
    }

    /// Lines of a quad of rows.
    fn row_len(&self) -> usize {
        self.blocks * self.columns
    }

    /// Quads that so many rows of outputs read.
    fn quads(&self, rows: usize) -> usize {
        ((rows - 1) * self.geometry.window.stride[0] as usize + self.window).div_ceil(4)
    }

    /// Interleaves what rows of outputs read, to lines `[quad][block][column]`.
    #[inline(always)]
    fn interleave(&self, rows: Range<usize>, input: &[i8], lines: &mut [Line]) {
        let q = self.q;
        let g = &self.geometry;
        let [height, width, channels] = [g.input.h, g.input.w, g.input.c].map(|v| v as usize);
        let [top, left] = g.window.pad_before.map(|p| p as usize);
        let before = left.min(self.columns);
        let inside = width.min(self.columns - before);
        let padding = &self.padding[..inside * channels];
        let outside = q.interleave([&[self.input_zero_point; 4 * BLOCK]; 4])[0];
        let first = rows.start * g.window.stride[0] as usize;
        let quads = lines.chunks_exact_mut(self.row_len());
        for (quad, lines) in quads.take(self.quads(rows.len())).enumerate() {
            let mut four = [padding; 4];
            for (i, row) in four.iter_mut().enumerate() {
                let y = (first + 4 * quad + i).wrapping_sub(top);
                if y < height {
                    *row = &input[y * width * channels..][..inside * channels];
                }
            }
            for line in lines.chunks_exact_mut(self.columns) {
                let (padding, rest) = line.split_at_mut(before);
                for line in padding.iter_mut().chain(&mut rest[inside..]) {
                    q.save(outside, line);
                }
            }
            let mut places = Places {
                lines,
                at: before,
                columns: self.columns,
            };
            if channels.is_multiple_of(BLOCK) {
                // Blocks of channels are blocks of the whole row.
                places.take(q, four, inside * channels);
                continue;
            }
            for x in (0..inside * channels).step_by(channels) {
                places.take(q, four.map(|row| &row[x..]), channels);
            }
        }
    }
}

/// Where interleaved values go: block after block of a column, and then the next column.
struct Places<'l> {
    /// `[block][column]`.
    lines: &'l mut [Line],
    at: usize,
    columns: usize,
}

impl Places<'_> {
    /// Interleaves the first `len` values of four rows, which are whole pixels. What follows them in the rows may be
    /// interleaved too, into lanes that nothing uses.
    #[inline(always)]
    fn take<Q: Quads>(&mut self, q: Q, rows: [&[i8]; 4], len: usize) {
        for first in (0..len).step_by(4 * BLOCK) {
            let count = (len - first).div_ceil(BLOCK);
            let rest = rows.map(|row| &row[first..]);
            let quads = match rest.map(|row| row.first_chunk()) {
                [Some(a), Some(b), Some(c), Some(d)] => q.interleave([a, b, c, d]),
                _ => q.interleave(copies(rest).each_ref()),
            };
            self.put(q, quads, count);
        }
    }

    /// Stores the first `count` sixteens.
    #[inline(always)]
    fn put<Q: Quads>(&mut self, q: Q, quads: [Q::Quads; 4], count: usize) {
        for k in 0..4 {
            if k < count {
                q.save(quads[k], &mut self.lines[self.at]);
                self.at += self.columns;
                if self.at >= self.lines.len() {
                    self.at -= self.lines.len() - 1;
                }
            }
        }
    }
}

/// The ends of four rows, with zeros behind them.
#[inline(never)]
fn copies(rows: [&[i8]; 4]) -> [[i8; 4 * BLOCK]; 4] {
    let mut copies = [[0; 4 * BLOCK]; 4];
    for (copy, row) in copies.iter_mut().zip(rows) {
        copy[..row.len()].copy_from_slice(row);
    }
    copies
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
        let w = &g.window;
        let channels = g.output.c as usize;
        let row_len = g.output.w as usize * channels;
        let parts = self.output.chunks_mut(conv.rows * row_len);
        for (first, output) in self.rows.step_by(conv.rows).zip(parts) {
            let rows = first..first + output.len() / row_len;
            conv.interleave(rows, self.input, self.lines);
            for (y, output) in output.chunks_exact_mut(row_len).enumerate() {
                let top = y * w.stride[0] as usize;
                let phase = &conv.phases[top % 4];
                let per_block = phase.quads * w.kernel[1] as usize;
                for block in 0..conv.blocks {
                    let row = Row {
                        q,
                        lines: &self.lines[top / 4 * conv.row_len() + block * conv.columns..],
                        next: conv.row_len(),
                        weights: &phase.weights[block * per_block..][..per_block],
                        quads: phase.quads,
                        channels: &conv.channels[block],
                        shared: q.shared(&conv.output),
                        columns: conv.columns,
                        stride: w.stride[1] as usize,
                        dilation: w.dilation[1] as usize,
                        first: block * BLOCK,
                        pixel: channels,
                    };
                    with_scaling!(conv.scaling, row.run(output));
                }
            }
        }
    }
}

/// Sixteen channels of a row of outputs.
struct Row<'j, Q: Quads> {
    q: Q,
    /// Of the window's first quad.
    lines: &'j [Line],
    /// From one quad to the next.
    next: usize,
    weights: &'j [Line],
    quads: usize,
    channels: &'j Channels,
    shared: Q::Shared,
    columns: usize,
    stride: usize,
    dilation: usize,
    /// The first channel.
    first: usize,
    /// Channels of a pixel.
    pixel: usize,
}

impl<Q: Quads> Row<'_, Q> {
    #[inline(always)]
    fn run<const SCALING: u8>(&self, output: &mut [i8]) {
        match (self.weights.len() / self.quads, self.quads, self.dilation) {
            (3, 1, 1) => self.dense::<3, 1, SCALING>(output),
            (3, 2, 1) => self.dense::<3, 2, SCALING>(output),
            (5, 2, 1) => self.dense::<5, 2, SCALING>(output),
            _ => self.any::<SCALING>(output),
        }
    }

    /// `N` columns that are neighbours, of `K` quads, with all weights in registers.
    #[inline(always)]
    fn dense<const N: usize, const K: usize, const SCALING: u8>(&self, output: &mut [i8]) {
        let q = self.q;
        let (numbers, bias) = (q.ready(self.channels), q.start(&self.channels.bias));
        let mut rows: [&[Line]; K] = [&[]; K];
        let mut w = [[q.load(&self.weights[0]); N]; K];
        for k in 0..K {
            rows[k] = &self.lines[k * self.next..][..self.columns];
            for i in 0..N {
                w[k][i] = q.load(&self.weights[k * N + i]);
            }
        }
        for (x, pixel) in output.chunks_exact_mut(self.pixel).enumerate() {
            let mut sums = bias;
            for k in 0..K {
                let lines = &rows[k][x * self.stride..][..N];
                let two = match Q::STEP {
                    Step::Two => N / 2 * 2,
                    _ => 0,
                };
                for i in (0..two).step_by(2) {
                    let quads = [q.load(&lines[i]), q.load(&lines[i + 1])];
                    sums = q.multiply_add_two(sums, quads, [w[k][i], w[k][i + 1]]);
                }
                for i in two..N {
                    sums = q.multiply_add(sums, q.load(&lines[i]), w[k][i]);
                }
            }
            let sums = q.total(sums);
            self.store(q.scale::<SCALING>(sums, &numbers, &self.shared), pixel);
        }
    }

    /// Any window.
    #[inline(always)]
    fn any<const SCALING: u8>(&self, output: &mut [i8]) {
        let q = self.q;
        let (numbers, bias) = (q.ready(self.channels), q.start(&self.channels.bias));
        let per_quad = self.weights.len() / self.quads;
        for (x, pixel) in output.chunks_exact_mut(self.pixel).enumerate() {
            let mut sums = bias;
            for (k, weights) in self.weights.chunks_exact(per_quad).enumerate() {
                let lines = self.lines[k * self.next + x * self.stride..].iter();
                for (line, w) in lines.step_by(self.dilation).zip(weights) {
                    sums = q.multiply_add(sums, q.load(line), q.load(w));
                }
            }
            let sums = q.total(sums);
            self.store(q.scale::<SCALING>(sums, &numbers, &self.shared), pixel);
        }
    }

    /// Stores the channels of a pixel; the last block may have fewer than sixteen.
    #[inline(always)]
    fn store(&self, scaled: Q::Sums, pixel: &mut [i8]) {
        let to = &mut pixel[self.first..];
        if let Some(to) = to.first_chunk_mut() {
            return self.q.store(scaled, &self.shared, to);
        }
        let mut some = [0; BLOCK];
        self.q.store(scaled, &self.shared, &mut some);
        // The usual numbers of channels need no loop.
        match to.len() {
            4 => to.copy_from_slice(&some[..4]),
            8 => to.copy_from_slice(&some[..8]),
            12 => to.copy_from_slice(&some[..12]),
            len => to.copy_from_slice(&some[..len]),
        }
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
        8 * (self.quads(self.rows) * self.row_len() + 1)
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
