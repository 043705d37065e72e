//! Convolution of 3x3, stride 1, with 4 multiplications where the definition has 9: Winograd's F(2x2, 3x3), in
//! integers.
//!
//! Four outputs come from a tile of 4x4 inputs: `A' ((G g G') * (B' d B)) A`, summed over the channels (Lavin and
//! Gray 2016). `G` has halves, so its rows are taken twice, and the sums come out four times as large; they divide
//! by 4 without rest. All values fit: with inputs of 8 bits `B' d B` is at most 512, `G g G'` at most 9 * 128, so
//! with 256 channels the products sum to less than 2^28, and nine of those sums to less than 2^31. The result is
//! the definition's, exactly.
//!
//! Transformed weights take 3.6 times the memory, so layers with many filters are left to [`super::conv`].

use super::finish::{CHANNELS, Channels, ORDER, Output};
use super::lanes::{load_i16, load_i32, store_i8, store_i16, store_i32, widen};
use crate::kernels::quads::{EXACT, FLOAT, HIGH, Scaling, WeightSums, with_scaling};
use crate::kernels::{ConvParams, Geometry, Prepacked, Units};
use core::arch::x86_64::*;
use core::ops::Range;

/// Tiles that are multiplied together: with sixteen filters, all registers are in use.
const ROWS: usize = 6;

/// Values of a transformed tile.
const PLACES: usize = 16;

/// Bytes of transformed inputs, so that they stay in the second-level cache.
const STRIP: usize = 128 << 10;

/// Products of channels beyond which the transformed weights take too much memory.
const MOST: usize = 256 * 256;

/// A convolution with transformed weights.
#[derive(Debug)]
pub struct Winograd {
    geometry: Geometry,
    /// Pairs of input channels.
    pairs: usize,
    /// `[block][place][pair][place in ORDER][2]`.
    weights: Vec<[i16; 2 * CHANNELS]>,
    /// One for each block of sixteen filters.
    channels: Vec<Channels>,
    scaling: Scaling,
    output: Output,
    /// What the padding reads: a zero point for each channel.
    padding: Vec<i8>,
}

/// Twice the weights' transformation along one axis.
fn transformed([a, b, c]: [i16; 3]) -> [i16; 4] {
    [2 * a, a + b + c, a - b + c, 2 * c]
}

impl Winograd {
    /// Transforms the weights; `None` if the convolution is not of the kind, or there is nothing to gain.
    pub fn new(p: &ConvParams<'_>) -> Option<Self> {
        let g = &p.geometry;
        let w = &g.window;
        let of_the_kind =
            (w.kernel, w.stride, w.dilation) == ([3, 3], [1, 1], [1, 1]) && p.groups == 1;
        let (inputs, filters) = (g.input.c as usize, g.output.c as usize);
        let whole = inputs.is_multiple_of(CHANNELS) && filters.is_multiple_of(CHANNELS);
        let pays = inputs <= 256 && inputs * filters <= MOST && g.output.h * g.output.w >= 64;
        if !(of_the_kind && whole && pays) {
            return None;
        }
        let (pairs, blocks) = (inputs / 2, filters / CHANNELS);
        let mut weights = vec![[0; 2 * CHANNELS]; blocks * PLACES * pairs];
        for filter in 0..filters {
            let (block, channel) = (filter / CHANNELS, filter % CHANNELS);
            let place = ORDER[channel]; // the order is its own inverse
            for c in 0..inputs {
                let at = |y: usize, x: usize| {
                    i16::from(p.weights[((filter * 3 + y) * 3 + x) * inputs + c])
                };
                let rows = [0, 1, 2].map(|y| transformed([at(y, 0), at(y, 1), at(y, 2)]));
                for x in 0..4 {
                    let column = transformed(rows.map(|row| row[x]));
                    for (y, value) in column.into_iter().enumerate() {
                        let group = (block * PLACES + 4 * y + x) * pairs + c / 2;
                        weights[group][2 * place + c % 2] = value;
                    }
                }
            }
        }
        let sums = WeightSums::new(
            p.weights
                .chunks_exact(9 * inputs)
                .map(|filter| filter.iter()),
        );
        let block = |first| Channels::new(&p.requantize, first, filters);
        Some(Self {
            geometry: *g,
            pairs,
            weights,
            channels: (0..filters).step_by(CHANNELS).map(block).collect(),
            scaling: Scaling::of(p, &sums, true),
            output: Output::new(&p.requantize),
            padding: vec![p.input_zero_point; inputs],
        })
    }

    /// Tiles that are transformed together.
    fn strip(&self) -> usize {
        let fit = STRIP / (PLACES * 4 * self.pairs);
        (fit / ROWS).clamp(1, 8) * ROWS
    }

    /// Tiles in a row.
    fn columns(&self) -> usize {
        self.geometry.output.w.div_ceil(2) as usize
    }

    /// The tiles of a range, counted row by row from `first_row` on, where `output` starts.
    #[target_feature(enable = "avx2,fma")]
    fn tiles(
        &self,
        tiles: Range<usize>,
        first_row: usize,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u64],
    ) {
        let count = tiles.len();
        let channels = 2 * self.pairs;
        let (values, sums) = scratch.split_at_mut((PLACES * self.strip() * channels).div_ceil(4));
        let values = &mut bytemuck::cast_slice_mut(values)[..PLACES * count * channels];
        let sums: &mut [[i32; CHANNELS]] = bytemuck::cast_slice_mut(sums);
        let sums = &mut sums[..PLACES * count];
        for (i, tile) in tiles.clone().enumerate() {
            let (row, column) = (first_row + tile / self.columns(), tile % self.columns());
            self.transform([row, column], input, values, i);
        }
        let (pairs, _) = values.as_chunks::<2>();
        for block in 0..self.channels.len() {
            for place in 0..PLACES {
                let weights = &self.weights[(block * PLACES + place) * self.pairs..][..self.pairs];
                let rows = &pairs[place * count * self.pairs..][..count * self.pairs];
                let sums = &mut sums[place * count..][..count];
                for (rows, sums) in rows.chunks(ROWS * self.pairs).zip(sums.chunks_mut(ROWS)) {
                    match sums.len() {
                        6 => products::<6>(weights, rows, sums),
                        5 => products::<5>(weights, rows, sums),
                        4 => products::<4>(weights, rows, sums),
                        3 => products::<3>(weights, rows, sums),
                        2 => products::<2>(weights, rows, sums),
                        _ => products::<1>(weights, rows, sums),
                    }
                }
            }
            for (i, tile) in tiles.clone().enumerate() {
                let (row, column) = (tile / self.columns(), tile % self.columns());
                with_scaling!(
                    self.scaling,
                    self.finish(block, sums, i, [row, column], output)
                );
            }
        }
    }

    /// `B' d B` of all channels of a tile, to `values[place][tile][channel]`.
    #[target_feature(enable = "avx2,fma")]
    fn transform(&self, [row, column]: [usize; 2], input: &[i8], values: &mut [i16], tile: usize) {
        let g = &self.geometry;
        let channels = 2 * self.pairs;
        let tiles = values.len() / (PLACES * channels);
        let [top, left] = g.window.pad_before.map(|p| p as usize);
        let mut pixels = [&self.padding[..]; PLACES];
        for (i, pixel) in pixels.iter_mut().enumerate() {
            let y = (2 * row + i / 4).wrapping_sub(top);
            let x = (2 * column + i % 4).wrapping_sub(left);
            if y < g.input.h as usize && x < g.input.w as usize {
                *pixel = &input[(y * g.input.w as usize + x) * channels..][..channels];
            }
        }
        for first in (0..channels).step_by(CHANNELS) {
            let mut d = [_mm256_setzero_si256(); PLACES];
            for i in 0..PLACES {
                let Some(of) = pixels[i][first..].first_chunk() else {
                    unreachable!("`new` takes whole blocks of channels")
                };
                d[i] = widen(of);
            }
            for x in 0..4 {
                let [a, b, c, e] = along(d[x], d[4 + x], d[8 + x], d[12 + x]);
                (d[x], d[4 + x], d[8 + x], d[12 + x]) = (a, b, c, e);
            }
            for y in 0..4 {
                let at = 4 * y;
                let [a, b, c, e] = along(d[at], d[at + 1], d[at + 2], d[at + 3]);
                for (x, value) in [a, b, c, e].into_iter().enumerate() {
                    let to = ((at + x) * tiles + tile) * channels + first;
                    let Some(to) = values[to..].first_chunk_mut() else {
                        unreachable!("`new` takes whole blocks of channels")
                    };
                    store_i16(to, value);
                }
            }
        }
    }

    /// `A' m A` of a block of filters at the tile of this row and column, divided by 4, to up to four pixels of the
    /// output. `sums` are those of all tiles of the strip, of which this is number `tile`.
    #[target_feature(enable = "avx2,fma")]
    fn finish<const SCALING: u8>(
        &self,
        block: usize,
        sums: &[[i32; CHANNELS]],
        tile: usize,
        [row, column]: [usize; 2],
        output: &mut [i8],
    ) {
        let shape = &self.geometry.output;
        let (width, filters) = (shape.w as usize, shape.c as usize);
        let (numbers, tiles) = (&self.channels[block], sums.len() / PLACES);
        let mut acc = [[_mm256_setzero_si256(); 2]; 4];
        let bias = numbers.bias();
        for half in 0..2 {
            let mut m = [_mm256_setzero_si256(); PLACES];
            for (place, m) in m.iter_mut().enumerate() {
                let (halves, _) = sums[place * tiles + tile].as_chunks::<8>();
                *m = load_i32(&halves[half]);
            }
            let mut s = [_mm256_setzero_si256(); 8];
            for x in 0..4 {
                [s[x], s[4 + x]] = back(m[x], m[4 + x], m[8 + x], m[12 + x]);
            }
            for y in 0..2 {
                let at = 4 * y;
                let both = back(s[at], s[at + 1], s[at + 2], s[at + 3]);
                for (x, value) in both.into_iter().enumerate() {
                    acc[2 * y + x][half] =
                        _mm256_add_epi32(_mm256_srai_epi32::<2>(value), bias[half]);
                }
            }
        }
        for (i, acc) in acc.into_iter().enumerate() {
            let (y, x) = (2 * row + i / 2, 2 * column + i % 2);
            let at = (y * width + x) * filters + block * CHANNELS;
            // A tile may reach beyond an odd height or width.
            if x < width
                && let Some(to) = output.get_mut(at..).and_then(|to| to.first_chunk_mut())
            {
                store_i8(to, self.output.of::<SCALING>(acc, numbers));
            }
        }
    }
}

/// `B'` along one axis.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn along(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 4] {
    [
        _mm256_sub_epi16(a, c),
        _mm256_add_epi16(b, c),
        _mm256_sub_epi16(c, b),
        _mm256_sub_epi16(b, d),
    ]
}

/// `A'` along one axis.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn back(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> [__m256i; 2] {
    [
        _mm256_add_epi32(_mm256_add_epi32(a, b), c),
        _mm256_sub_epi32(_mm256_sub_epi32(b, c), d),
    ]
}

/// Sums of products of `N` tiles at one place with sixteen filters.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn products<const N: usize>(
    weights: &[[i16; 2 * CHANNELS]],
    rows: &[[i16; 2]],
    sums: &mut [[i32; CHANNELS]],
) {
    let pairs = weights.len();
    let mut each: [&[[i16; 2]]; N] = [&[]; N];
    for (i, row) in each.iter_mut().enumerate() {
        *row = &rows[i * pairs..][..pairs];
    }
    let mut acc = [[_mm256_setzero_si256(); 2]; N];
    for (k, both) in weights.iter().enumerate() {
        let (halves, _) = both.as_chunks::<16>();
        let w = [load_i16(&halves[0]), load_i16(&halves[1])];
        for i in 0..N {
            let pair = _mm256_set1_epi32(bytemuck::cast(each[i][k]));
            acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(pair, w[0]));
            acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(pair, w[1]));
        }
    }
    for (sums, acc) in sums.iter_mut().zip(acc) {
        let (halves, _) = sums.as_chunks_mut::<8>();
        store_i32(&mut halves[0], acc[0]);
        store_i32(&mut halves[1], acc[1]);
    }
}

impl Prepacked for Winograd {
    /// Two rows each.
    fn units(&self) -> Units {
        let output = &self.geometry.output;
        Units {
            count: output.h.div_ceil(2) as usize,
            len: 2 * output.w as usize * output.c as usize,
            total: output.len(),
        }
    }

    fn scratch_len(&self) -> usize {
        let values = (PLACES * self.strip() * 2 * self.pairs).div_ceil(4);
        values + PLACES * self.strip() * CHANNELS / 2
    }

    fn run(&self, units: Range<usize>, input: &[i8], output: &mut [i8], scratch: &mut [u64]) {
        let count = units.len() * self.columns();
        for first in (0..count).step_by(self.strip()) {
            let tiles = first..(first + self.strip()).min(count);
            // SAFETY: `Avx2::prepack_conv` makes this where the processor has AVX2.
            unsafe { self.tiles(tiles, units.start, input, output, scratch) }
        }
    }
}
