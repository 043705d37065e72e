//! Convolution as a matrix product that finds its rows in the input.
//!
//! Some rows of the input are copied with the padding around them ([`Image`]). There a window is a few runs of
//! neighbouring values, and the windows of neighbouring pixels overlap: nothing is unfolded, and no border is a
//! special case. Weights lie in blocks of sixteen filters, four values of a filter together. A tile multiplies a few
//! pixels by a few blocks, with all sums in registers.

use super::{
    BLOCK, Channels, EXACT, FLOAT, Flipping, HIGH, Job, Line, Output, Quads, Scaling, Step,
    WeightSums, with_scaling,
};
use crate::kernels::image::Image;
use crate::kernels::panels::Panel;
use crate::kernels::{ConvParams, Geometry, Prepacked, Units};
use core::ops::Range;

/// Bytes of the image, so that it stays in the second-level cache beside a panel of weights.
const IMAGE: usize = 160 << 10;

/// A convolution with packed weights.
#[derive(Debug)]
pub struct Conv<Q: Quads> {
    q: Q,
    geometry: Geometry,
    groups: usize,
    image: Image,
    /// What the padding reads.
    padding: i8,
    /// Rows of outputs that share an image.
    rows: usize,
    /// Where the windows of the pixels of these rows start in the image.
    origins: Vec<u32>,
    /// Where the runs of a window start, from its origin on.
    runs: Vec<usize>,
    /// Quads of a run.
    run: usize,
    /// Filters of one group, divided.
    panels: Vec<Panel>,
    /// `[group][panel][run][quad][block of the panel]`.
    weights: Vec<Line>,
    /// `[group][block]`.
    channels: Vec<Channels>,
    scaling: Scaling,
    output: Output,
}

impl<Q: Quads> Conv<Q> {
    /// Packs the weights; `None` if a group has too few filters for blocks of sixteen, or the windows are no way to be laid
    /// out.
    pub fn new(q: Q, p: &ConvParams<'_>) -> Option<Self> {
        let g = &p.geometry;
        let taps = (g.window.kernel[0] * g.window.kernel[1]) as usize;
        let depth = taps * (g.input.c as usize / p.groups);
        let filters = g.output.c as usize / p.groups;
        if filters < Q::FEWEST {
            return None;
        }
        let sums = WeightSums::new(p.weights.chunks_exact(depth).map(|filter| filter.iter()));
        let scaling = Scaling::of(p, &sums, Q::FLOATS);
        let blocks = filters.div_ceil(BLOCK);
        let panels = match is_one_pixel(g, p.groups) {
            // Parts of the output must have one length.
            true => Panel::fixed(blocks, Q::BLOCKS),
            false => Panel::even(blocks, Q::BLOCKS),
        };
        let image = Image::new(g);
        if !image.is_reasonable(p.weights.len()) {
            return None;
        }
        let (runs, len) = image.runs(p.groups);
        let run = len.div_ceil(4);
        let mut weights = Vec::with_capacity(p.groups * blocks * runs.len() * run);
        let mut channels = Vec::with_capacity(p.groups * blocks);
        for group in 0..p.groups {
            let end = (group + 1) * filters;
            let of = |block: usize| {
                let first = group * filters + block * BLOCK;
                first..(first + BLOCK).min(end)
            };
            let numbers =
                |block| Channels::new(&p.requantize, scaling, of(block), |c| sums.flipped::<Q>(c));
            channels.extend((0..blocks).map(numbers));
            for panel in &panels {
                for (i, quad) in (0..runs.len()).flat_map(|i| (0..run).map(move |k| (i, k))) {
                    for block in panel.first..panel.first + panel.blocks {
                        let mut line = Line::ZERO;
                        let (each, _) = line.0.as_chunks_mut::<4>();
                        let four = 4 * quad..len.min(4 * quad + 4);
                        for (each, filter) in each.iter_mut().zip(of(block)) {
                            let run = &p.weights[filter * depth + i * len..][..len];
                            each[..four.len()].copy_from_slice(&run[four.clone()]);
                        }
                        weights.push(line);
                    }
                }
            }
        }
        let rows = image.rows(IMAGE);
        let pixels = (0..rows).flat_map(|y| (0..g.output.w as usize).map(move |x| [y, x]));
        Some(Self {
            q,
            geometry: *g,
            groups: p.groups,
            rows,
            origins: pixels.map(|at| image.origin(at) as u32).collect(),
            image,
            padding: p.input_zero_point ^ Q::FLIP as i8,
            runs,
            run,
            panels,
            weights,
            channels,
            scaling,
            output: Output::new(&p.requantize),
        })
    }
}

/// True if the output is one pixel, which is divided by panels: a fully connected layer.
fn is_one_pixel(g: &Geometry, groups: usize) -> bool {
    g.output.h == 1 && g.output.w == 1 && groups == 1
}

/// The pixels from `first` on, of the filters of `panels`.
struct Pixels<'j, Q: Quads> {
    conv: &'j Conv<Q>,
    first: usize,
    panels: Range<usize>,
    input: &'j [i8],
    /// The channels of the panels.
    output: &'j mut [i8],
    /// Memory for the image.
    image: &'j mut [i8],
}

impl<Q: Quads> Job<Q> for Pixels<'_, Q> {
    #[inline(always)]
    fn run(self, q: Q) {
        let conv = self.conv;
        let g = &conv.geometry;
        let [width, all, channels] = [g.output.w, g.output.c, g.input.c].map(|v| v as usize);
        let (filters, blocks) = (all / conv.groups, conv.channels.len() / conv.groups);
        let count = self.output.len().div_ceil(all);
        let panels = &conv.panels[self.panels];
        let Some(start) = panels.first().map(|panel| panel.first) else {
            return;
        };
        let rows = self.first / width..(self.first + count).div_ceil(width);
        conv.image
            .fill(Flipping(q), conv.padding, rows, self.input, self.image);
        let per_block = conv.runs.len() * conv.run;
        for group in 0..conv.groups {
            let image = &self.image[group * (channels / conv.groups)..];
            for panel in panels {
                let number = group * blocks + panel.first;
                let product = Product {
                    q,
                    conv,
                    weights: &conv.weights[number * per_block..][..panel.blocks * per_block],
                    channels: &conv.channels[number..][..panel.blocks],
                    filters: (filters - panel.first * BLOCK).min(panel.blocks * BLOCK),
                    origins: &conv.origins[self.first % width..][..count],
                };
                let into = &mut self.output[group * filters + (panel.first - start) * BLOCK..];
                with_scaling!(conv.scaling, product.panel(image, into));
            }
        }
    }
}

/// Pixels by a panel of filters.
struct Product<'j, Q: Quads> {
    q: Q,
    conv: &'j Conv<Q>,
    weights: &'j [Line],
    channels: &'j [Channels],
    /// Filters of the panel; the last block may have fewer than sixteen.
    filters: usize,
    /// Where the window of each pixel starts in the image.
    origins: &'j [u32],
}

impl<Q: Quads> Product<'_, Q> {
    #[inline(always)]
    fn panel<const SCALING: u8>(&self, image: &[i8], output: &mut [i8]) {
        if Q::BLOCKS == 1 {
            return match Q::STEP {
                Step::One => self.pixels::<1, 6, 3, 2, SCALING>(image, output),
                Step::Two => self.pixels::<1, 3, 2, 1, SCALING>(image, output),
                Step::Lanes => self.pixels::<1, 5, 3, 2, SCALING>(image, output),
            };
        }
        match self.channels.len() {
            4 => self.pixels::<4, 5, 3, 2, SCALING>(image, output),
            3 => self.pixels::<3, 7, 4, 2, SCALING>(image, output),
            2 => self.pixels::<2, 10, 5, 2, SCALING>(image, output),
            _ => self.pixels::<1, 8, 4, 2, SCALING>(image, output),
        }
    }

    /// Tiles of `A` pixels, and at the end of `B`, `C` or one.
    #[inline(always)]
    fn pixels<const N: usize, const A: usize, const B: usize, const C: usize, const SCALING: u8>(
        &self,
        image: &[i8],
        output: &mut [i8],
    ) {
        let (weights, _) = self.weights.as_chunks::<N>();
        let stride = self.conv.geometry.output.c as usize;
        let mut origins = self.origins;
        let mut to = output;
        loop {
            let done = if let Some(some) = origins.first_chunk::<A>() {
                self.tile::<N, A, SCALING>(weights, image, some, to)
            } else if let Some(some) = origins.first_chunk::<B>() {
                self.tile::<N, B, SCALING>(weights, image, some, to)
            } else if let Some(some) = origins.first_chunk::<C>() {
                self.tile::<N, C, SCALING>(weights, image, some, to)
            } else if let Some(some) = origins.first_chunk::<1>() {
                self.tile::<N, 1, SCALING>(weights, image, some, to)
            } else {
                return;
            };
            origins = &origins[done..];
            // The last pixel's output may end before the next would start.
            to = to.get_mut(done * stride..).unwrap_or_default();
        }
    }

    /// Adds the products of one quad of each pixel, number `LANE` of four.
    #[inline(always)]
    fn lane<const N: usize, const R: usize, const LANE: i32>(
        &self,
        sums: &mut [[Q::Partial; N]; R],
        many: &[Q::Many; R],
        lines: &[Line; N],
    ) {
        let q = self.q;
        for b in 0..N {
            let w = q.load(&lines[b]);
            for i in 0..R {
                sums[i][b] = q.multiply_add_lane::<LANE>(sums[i][b], many[i], w);
            }
        }
    }

    /// `R` pixels by `N` blocks; says how many pixels.
    #[inline(always)]
    fn tile<const N: usize, const R: usize, const SCALING: u8>(
        &self,
        mut weights: &[[Line; N]],
        image: &[i8],
        origins: &[u32; R],
        output: &mut [i8],
    ) -> usize {
        let (q, conv) = (self.q, self.conv);
        let mut bias = [q.start(&self.channels[0].bias); N];
        for b in 1..N {
            bias[b] = q.start(&self.channels[b].bias);
        }
        let mut sums = [bias; R];
        for run in &conv.runs {
            let (own, rest) = weights.split_at(conv.run);
            weights = rest;
            let mut each: [&[[i8; 4]]; R] = [&[]; R];
            for (i, quads) in each.iter_mut().enumerate() {
                let from = &image[origins[i] as usize + run..][..4 * own.len()];
                *quads = from.as_chunks().0;
            }
            let mut done = 0;
            if Q::STEP == Step::Lanes {
                for (k, lines) in own.as_chunks::<4>().0.iter().enumerate() {
                    let mut many = [q.many(&[[0; 4]; 4]); R];
                    for i in 0..R {
                        many[i] = q.many(&each[i].as_chunks().0[k]);
                    }
                    self.lane::<N, R, 0>(&mut sums, &many, &lines[0]);
                    self.lane::<N, R, 1>(&mut sums, &many, &lines[1]);
                    self.lane::<N, R, 2>(&mut sums, &many, &lines[2]);
                    self.lane::<N, R, 3>(&mut sums, &many, &lines[3]);
                }
                done = own.len() / 4 * 4;
            }
            if Q::STEP == Step::Two {
                for (k, lines) in own.as_chunks::<2>().0.iter().enumerate() {
                    let mut quads = [[[0; 4]; 2]; R];
                    for i in 0..R {
                        quads[i] = each[i].as_chunks().0[k];
                    }
                    for b in 0..N {
                        let mut column = [sums[0][b]; R];
                        for i in 0..R {
                            column[i] = sums[i][b];
                        }
                        let weights = [&lines[0][b], &lines[1][b]];
                        column = q.multiply_add_rows(column, quads, weights);
                        for i in 0..R {
                            sums[i][b] = column[i];
                        }
                    }
                }
                done = own.len() / 2 * 2;
            }
            for (k, lines) in own.iter().enumerate().skip(done) {
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
        }
        // Another array: what a loop indexes that is not unrolled lies in memory, and there the sums must not be.
        let mut rows = [[q.total(sums[0][0]); N]; R];
        let shared = q.shared(&conv.output);
        let mut numbers = [q.ready(&self.channels[0]); N];
        for b in 0..N {
            numbers[b] = q.ready(&self.channels[b]);
            for i in 0..R {
                rows[i][b] = q.total(sums[i][b]);
            }
        }
        let stride = conv.geometry.output.c as usize;
        let output = &mut output[..(R - 1) * stride + self.filters];
        for (i, row) in rows.iter().enumerate() {
            let mut scaled = *row;
            for b in 0..N {
                scaled[b] = q.scale::<SCALING>(row[b], &numbers[b], &shared);
            }
            let to = &mut output[i * stride..][..self.filters];
            match to.len() == N * BLOCK {
                // A length that is known when this is compiled.
                true => q.store_row(scaled, &shared, &mut to[..N * BLOCK]),
                false => q.store_row(scaled, &shared, to),
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
        self.image.len(self.rows).div_ceil(8)
    }

    fn run(&self, units: Range<usize>, input: &[i8], output: &mut [i8], scratch: &mut [u64]) {
        let image: &mut [i8] = bytemuck::cast_slice_mut(scratch);
        let mut pixels = |first, panels, output| {
            self.q.enabled(Pixels {
                conv: self,
                first,
                panels,
                input,
                output,
                image,
            });
        };
        if is_one_pixel(&self.geometry, self.groups) {
            return pixels(0, units, output);
        }
        let [width, channels] =
            [self.geometry.output.w, self.geometry.output.c].map(|v| v as usize);
        let (mut first, mut rest) = (units.start, output);
        while first < units.end {
            // Up to the end of a row.
            let end = ((first / width + self.rows) * width).min(units.end);
            let (own, after) = rest.split_at_mut((end - first) * channels);
            pixels(first, 0..self.panels.len(), own);
            (first, rest) = (end, after);
        }
    }
}
