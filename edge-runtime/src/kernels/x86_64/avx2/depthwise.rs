//! Depthwise convolution: two taps at a time, sixteen channels at a time.
//!
//! The values under two taps are interleaved, so that `vpmaddwd` multiplies and adds both. Taps in the padding read
//! a pixel of zero points, so no border is a special case.

use super::finish::{CHANNELS, Channels, Output};
use super::lanes::{load_i16, store_i8, widen};
use crate::kernels::quads::{EXACT, FLOAT, HIGH, Scaling, WeightSums, with_scaling};
use crate::kernels::spans::Spans;
use crate::kernels::{ConvParams, Geometry, Prepacked, Units};
use core::arch::x86_64::*;
use core::ops::Range;

/// Most taps of a window.
const TAPS: usize = 64;

/// A depthwise convolution with packed weights.
#[derive(Debug)]
pub struct Depthwise {
    geometry: Geometry,
    spans: Spans,
    blocks: Vec<Block>,
    scaling: Scaling,
    output: Output,
    /// What taps in the padding read: a zero point for each channel.
    padding: Vec<i8>,
}

/// Sixteen channels. The last block overlaps the one before if the channels are no multiple of sixteen.
#[derive(Debug)]
struct Block {
    first: usize,
    /// For each two taps: of the low and the high half of the interleaved values.
    weights: Vec<[[i16; CHANNELS]; 2]>,
    channels: Channels,
}

impl Depthwise {
    /// Packs the weights; `None` if there are too few channels or too many taps.
    pub fn new(p: &ConvParams<'_>) -> Option<Self> {
        let g = &p.geometry;
        let channels = g.output.c as usize;
        let taps = g.window.kernel[0] as usize * g.window.kernel[1] as usize;
        if channels < CHANNELS || taps > TAPS {
            return None;
        }
        let each = (0..channels).map(|c| p.weights[c..].iter().step_by(channels));
        let sums = WeightSums::new(each);
        let last = channels - CHANNELS;
        let firsts = (0..channels.div_ceil(CHANNELS)).map(|block| (block * CHANNELS).min(last));
        let block = |first: usize| {
            let weight = |tap: usize, channel: usize| match tap < taps {
                true => p.weights[tap * channels + first + channel].into(),
                false => 0,
            };
            // Interleaving works on each half of a vector: places 0 to 3 and 8 to 11 go to the low one.
            let half = |pair: usize, half: usize| {
                core::array::from_fn(|i| weight(2 * pair + i % 2, i / 8 * 8 + 4 * half + i % 8 / 2))
            };
            Block {
                first,
                weights: (0..taps.div_ceil(2))
                    .map(|pair| [half(pair, 0), half(pair, 1)])
                    .collect(),
                channels: Channels::new(&p.requantize, first, channels),
            }
        };
        Some(Self {
            geometry: *g,
            spans: Spans::new(g),
            blocks: firsts.map(block).collect(),
            scaling: Scaling::of(p, &sums, true),
            output: Output::new(&p.requantize),
            padding: vec![p.input_zero_point; channels],
        })
    }

    /// The pixels from `first` on.
    #[target_feature(enable = "avx2,fma")]
    fn pixels<const SCALING: u8>(&self, first: usize, input: &[i8], output: &mut [i8]) {
        let g = &self.geometry;
        let (channels, width) = (g.input.c as usize, g.input.w as usize);
        let [kh, kw] = g.window.kernel.map(|k| k as usize);
        let mut taps = [&self.padding[..]; TAPS];
        let pixels = output.chunks_exact_mut(channels);
        for (pixel, [y, x]) in pixels.zip(self.spans.from(first)) {
            let (rows, columns) = (y.taps(), x.taps());
            if rows.len() < kh || columns.len() < kw {
                taps[..kh * kw].fill(&self.padding);
            }
            for ky in rows {
                let at = y.at(ky) * width;
                for kx in columns.clone() {
                    let at = (at + x.at(kx)) * channels;
                    taps[ky * kw + kx] = &input[at..][..channels];
                }
            }
            self.pixel::<SCALING>(&taps, pixel);
        }
    }

    /// One pixel from the values under its taps.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn pixel<const SCALING: u8>(&self, taps: &[&[i8]; TAPS], pixel: &mut [i8]) {
        let (taps, _) = taps.as_chunks::<2>();
        for block in &self.blocks {
            let mut acc = block.channels.bias();
            for ([a, b], [low, high]) in taps.iter().zip(&block.weights) {
                let (a, b) = (&a[block.first..], &b[block.first..]);
                let (Some(a), Some(b)) = (a.first_chunk(), b.first_chunk()) else {
                    unreachable!("`new` takes sixteen channels at least")
                };
                let (a, b) = (widen(a), widen(b));
                let both = _mm256_unpacklo_epi16(a, b);
                acc[0] = _mm256_add_epi32(acc[0], _mm256_madd_epi16(both, load_i16(low)));
                let both = _mm256_unpackhi_epi16(a, b);
                acc[1] = _mm256_add_epi32(acc[1], _mm256_madd_epi16(both, load_i16(high)));
            }
            let Some(to) = pixel[block.first..].first_chunk_mut() else {
                unreachable!("`new` takes sixteen channels at least")
            };
            store_i8(to, self.output.of::<SCALING>(acc, &block.channels));
        }
    }
}

impl Prepacked for Depthwise {
    fn units(&self) -> Units {
        let output = &self.geometry.output;
        Units {
            count: output.h as usize * output.w as usize,
            len: output.c as usize,
            total: output.len(),
        }
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn run(&self, units: Range<usize>, input: &[i8], output: &mut [i8], _: &mut [u64]) {
        // SAFETY: `Avx2::prepack_depthwise` makes this where the processor has AVX2.
        unsafe { with_scaling!(self.scaling, self.pixels(units.start, input, output)) }
    }
}
