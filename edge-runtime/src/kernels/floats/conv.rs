//! Convolution as a matrix product that finds its rows in the input; see `quads::Conv`, whose plan this is.

use super::{BLOCK, Floats, Job};
use crate::kernels::image::{Copying, Image};
use crate::kernels::panels::Panel;
use crate::kernels::{FloatConvParams, Geometry, PrepackedFloat};
use core::ops::Range;

/// Elements of the image, so that it stays in the second-level cache beside a panel of weights.
const IMAGE: usize = 64 << 10;

/// A convolution with packed weights.
#[derive(Debug)]
pub struct FloatConv<F: Floats> {
    f: F,
    geometry: Geometry,
    groups: usize,
    image: Image,
    /// True if the input itself is the image: windows are pixels, and there is no padding.
    plain: bool,
    /// Rows of outputs that share an image.
    rows: usize,
    /// Where the windows of the pixels of these rows start in the image.
    origins: Vec<u32>,
    /// Where the runs of a window start, from its origin on.
    runs: Vec<usize>,
    /// Elements of a run.
    run: usize,
    /// Filters of one group, divided.
    panels: Vec<Panel>,
    /// `[group][panel][run][element][block of the panel]`.
    weights: Vec<[f32; BLOCK]>,
    /// `[group][block]`.
    bias: Vec<[f32; BLOCK]>,
    clamp: Option<[f32; 2]>,
}

impl<F: Floats> FloatConv<F> {
    /// Packs the weights; `None` if a group has so few filters that blocks of sixteen would be mostly empty, or the
    /// windows are no way to be laid out.
    pub fn new(f: F, p: &FloatConvParams<'_>) -> Option<Self> {
        let g = &p.geometry;
        let window = &g.window;
        let filters = g.output.c as usize / p.groups;
        if filters < BLOCK / 2 {
            return None;
        }
        let image = Image::new(g);
        if !image.is_reasonable(p.weights.len()) {
            return None;
        }
        let (runs, run) = image.runs(p.groups);
        let depth = runs.len() * run;
        let blocks = filters.div_ceil(BLOCK);
        let panels = Panel::even(blocks, F::BLOCKS);
        let mut weights = Vec::with_capacity(p.groups * blocks * depth);
        let mut bias = Vec::with_capacity(p.groups * blocks);
        for group in 0..p.groups {
            let end = (group + 1) * filters;
            let of = |block: usize| {
                let first = group * filters + block * BLOCK;
                first..(first + BLOCK).min(end)
            };
            for block in 0..blocks {
                let mut sixteen = [0.0; BLOCK];
                let some = of(block);
                sixteen[..some.len()].copy_from_slice(&p.bias[some]);
                bias.push(sixteen);
            }
            for panel in &panels {
                for k in 0..depth {
                    for block in panel.first..panel.first + panel.blocks {
                        let mut sixteen = [0.0; BLOCK];
                        for (w, filter) in sixteen.iter_mut().zip(of(block)) {
                            *w = p.weights[filter * depth + k];
                        }
                        weights.push(sixteen);
                    }
                }
            }
        }
        let plain = window.is_unpadded()
            && (window.kernel, window.stride) == ([1, 1], [1, 1])
            && g.output.h == g.input.h
            && g.output.w == g.input.w;
        let rows = match plain {
            true => g.output.h as usize,
            false => image.rows(IMAGE),
        };
        let pixels = (0..rows).flat_map(|y| (0..g.output.w as usize).map(move |x| [y, x]));
        Some(Self {
            f,
            geometry: *g,
            groups: p.groups,
            plain,
            rows,
            origins: pixels.map(|at| image.origin(at) as u32).collect(),
            image,
            runs,
            run,
            panels,
            weights,
            bias,
            clamp: p.clamp,
        })
    }
}

#[derive(Clone, Copy)]
struct AsIs;

impl Copying<f32> for AsIs {
    #[inline(always)]
    fn copy(self, from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(&from[..to.len()]);
    }
}

impl<F: Floats> PrepackedFloat for FloatConv<F> {
    fn run(&self, input: &[f32], output: &mut [f32]) {
        let row_len = self.geometry.output.w as usize * self.geometry.output.c as usize;
        let mut image = match self.plain {
            true => vec![],
            false => vec![0.0; self.image.len(self.rows)],
        };
        let height = self.geometry.output.h as usize;
        let parts = output.chunks_mut(self.rows * row_len);
        for (first, output) in (0..height).step_by(self.rows).zip(parts) {
            let rows = first..first + output.len() / row_len;
            self.f.enabled(Rows {
                conv: self,
                rows,
                input,
                image: &mut image,
                output,
            });
        }
    }
}

/// Rows of an output.
struct Rows<'j, F: Floats> {
    conv: &'j FloatConv<F>,
    rows: Range<usize>,
    input: &'j [f32],
    image: &'j mut [f32],
    output: &'j mut [f32],
}

impl<F: Floats> Job<F> for Rows<'_, F> {
    #[inline(always)]
    fn run(self, f: F) {
        let conv = self.conv;
        let g = &conv.geometry;
        let [width, all, channels] = [g.output.w, g.output.c, g.input.c].map(|v| v as usize);
        let (filters, blocks) = (all / conv.groups, conv.bias.len() / conv.groups);
        let origins = &conv.origins[..self.rows.len() * width];
        let image: &[f32] = match conv.plain {
            true => self.input,
            false => {
                conv.image
                    .fill(AsIs, 0.0, self.rows, self.input, self.image);
                self.image
            }
        };
        let depth = conv.runs.len() * conv.run;
        for group in 0..conv.groups {
            let image = &image[group * (channels / conv.groups)..];
            for panel in &conv.panels {
                let number = group * blocks + panel.first;
                let product = Product {
                    f,
                    conv,
                    weights: &conv.weights[number * depth..][..panel.blocks * depth],
                    bias: &conv.bias[number..][..panel.blocks],
                    filters: (filters - panel.first * BLOCK).min(panel.blocks * BLOCK),
                    origins,
                };
                product.panel(
                    image,
                    &mut self.output[group * filters + panel.first * BLOCK..],
                );
            }
        }
    }
}

/// Pixels by a panel of filters.
struct Product<'j, F: Floats> {
    f: F,
    conv: &'j FloatConv<F>,
    weights: &'j [[f32; BLOCK]],
    bias: &'j [[f32; BLOCK]],
    /// Filters of the panel; the last block may have fewer than sixteen.
    filters: usize,
    /// Where the window of each pixel starts in the image.
    origins: &'j [u32],
}

impl<F: Floats> Product<'_, F> {
    #[inline(always)]
    fn panel(&self, image: &[f32], output: &mut [f32]) {
        if F::BLOCKS == 1 {
            return self.pixels::<1, 6, 3, 2>(image, output);
        }
        match self.bias.len() {
            4 => self.pixels::<4, 5, 3, 2>(image, output),
            3 => self.pixels::<3, 7, 4, 2>(image, output),
            2 => self.pixels::<2, 10, 5, 2>(image, output),
            _ => self.pixels::<1, 8, 4, 2>(image, output),
        }
    }

    /// Tiles of `A` pixels, and at the end of `B`, `C` or one.
    #[inline(always)]
    fn pixels<const N: usize, const A: usize, const B: usize, const C: usize>(
        &self,
        image: &[f32],
        output: &mut [f32],
    ) {
        let stride = self.conv.geometry.output.c as usize;
        let mut origins = self.origins;
        let mut to = output;
        loop {
            let done = if let Some(some) = origins.first_chunk::<A>() {
                self.tile::<N, A>(image, some, to)
            } else if let Some(some) = origins.first_chunk::<B>() {
                self.tile::<N, B>(image, some, to)
            } else if let Some(some) = origins.first_chunk::<C>() {
                self.tile::<N, C>(image, some, to)
            } else if let Some(some) = origins.first_chunk::<1>() {
                self.tile::<N, 1>(image, some, to)
            } else {
                return;
            };
            origins = &origins[done..];
            // The last pixel's output may end before the next would start.
            to = to.get_mut(done * stride..).unwrap_or_default();
        }
    }

    /// `R` pixels by `N` blocks; says how many pixels.
    #[inline(always)]
    fn tile<const N: usize, const R: usize>(
        &self,
        image: &[f32],
        origins: &[u32; R],
        output: &mut [f32],
    ) -> usize {
        let (f, conv) = (self.f, self.conv);
        let (mut weights, _) = self.weights.as_chunks::<N>();
        let mut bias = [f.load(&self.bias[0]); N];
        for b in 1..N {
            bias[b] = f.load(&self.bias[b]);
        }
        let mut sums = [bias; R];
        for run in &conv.runs {
            let (own, rest) = weights.split_at(conv.run);
            weights = rest;
            let mut each: [&[f32]; R] = [&[]; R];
            for (i, values) in each.iter_mut().enumerate() {
                *values = &image[origins[i] as usize + run..][..own.len()];
            }
            for (k, blocks) in own.iter().enumerate() {
                let mut w = [f.load(&blocks[0]); N];
                for b in 1..N {
                    w[b] = f.load(&blocks[b]);
                }
                for i in 0..R {
                    let value = f.repeat(each[i][k]);
                    for b in 0..N {
                        sums[i][b] = f.multiply_add(sums[i][b], value, w[b]);
                    }
                }
            }
        }
        let stride = conv.geometry.output.c as usize;
        let output = &mut output[..(R - 1) * stride + self.filters];
        if let Some([low, high]) = conv.clamp {
            let (low, high) = (f.repeat(low), f.repeat(high));
            for i in 0..R {
                for b in 0..N {
                    sums[i][b] = f.clamp(sums[i][b], low, high);
                }
            }
        }
        // Another array: what a loop indexes that is not unrolled lies in memory, and there the sums must not be.
        let mut rows = [[sums[0][0]; N]; R];
        for i in 0..R {
            for b in 0..N {
                rows[i][b] = sums[i][b];
            }
        }
        for (i, row) in rows.iter().enumerate() {
            let to = &mut output[i * stride..][..self.filters];
            for (values, to) in row.iter().zip(to.chunks_mut(BLOCK)) {
                if let Some(to) = to.first_chunk_mut() {
                    f.store(*values, to);
                } else {
                    let mut some = [0.0; BLOCK];
                    f.store(*values, &mut some);
                    to.copy_from_slice(&some[..to.len()]);
                }
            }
        }
        R
    }
}
