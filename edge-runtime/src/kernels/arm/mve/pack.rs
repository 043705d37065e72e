//! How the MVE kernels want their weights: what the converter writes and the kernels read.
//!
//! Knows no file and no allocator; every function writes into slices of the length that its layout says.

use crate::kernels::{ConvParams, Geometry};

/// What one multiplication takes: bytes of a vector register.
pub const LANES: usize = 16;

/// Most bytes of unfolded pixels that a convolution keeps, unless two pixels need more.
const STRIP: usize = 2048;

/// Most pixels of a strip; more would save nothing.
const STRIP_PIXELS: usize = 16;

/// Requantization of one output channel: `(((acc + bias) * multiplier >> 32) + rounding) >> -shift`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Channel {
    /// With the zero-point term folded in.
    pub bias: i32,
    /// In [2^30, 2^31), or 0 for a channel whose output is always the same.
    pub multiplier: i32,
    /// Half a step, and the output's zero point at the scale before the shift.
    pub rounding: i32,
    /// Negative: what `vshl` takes for a shift to the right.
    pub shift: i32,
}

impl Channel {
    /// The record of `channel`, if the rule of `docs/arithmetic.md` can be written so: not for shifts below
    /// 33, and not where 32 bits do not hold the sum.
    pub fn new(params: &ConvParams<'_>, channel: usize, weights: impl Iterator<Item = i8>) -> Option<Self> {
        let (bias, m) = (params.bias[channel], params.multiplier[channel]);
        let shift = params.shift[channel].checked_sub(32).filter(|s| *s >= 1)?;
        let zero = params.output_zero_point as i64;
        // No accumulator is larger.
        let most = weights.fold(bias.unsigned_abs() as i64, |s, w| s + 128 * w.unsigned_abs() as i64);
        let high = ((most * m as i64) >> 32) + 1;
        let half = 1i64 << (shift - 1);
        if high < half {
            // Too small ever to reach half a step: the output is the zero point.
            let (multiplier, rounding) = (0, (2 * zero + 1) as i32);
            return Some(Self { bias: 0, multiplier, rounding, shift: -1 });
        }
        let rounding = half + (zero << shift);
        let fits = most <= i32::MAX as i64 && rounding.abs() + high <= i32::MAX as i64;
        fits.then_some(Self { bias, multiplier: m, rounding: rounding as i32, shift: -(shift as i32) })
    }
}

/// How a dense convolution is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvLayout {
    /// Taps times input channels.
    pub taps: usize,
    /// Output channels.
    pub channels: usize,
    /// Pixels are multiplied where they lie: a 1x1 window over whole vectors.
    pub direct: bool,
    /// Pixels of a strip, 0 if `direct`.
    pub strip: usize,
}

impl ConvLayout {
    /// The layout of an ungrouped convolution.
    pub fn new(g: &Geometry) -> Self {
        let [kh, kw] = [g.window.kernel[0] as usize, g.window.kernel[1] as usize];
        let taps = kh * kw * g.input.c as usize;
        let direct = [kh, kw] == [1, 1] && g.window.is_unpadded() && taps.is_multiple_of(LANES);
        let pixels = (g.output.h as usize * g.output.w as usize).next_multiple_of(2);
        let room = STRIP / taps.next_multiple_of(LANES);
        let strip = if direct { 0 } else { (room & !1).clamp(2, STRIP_PIXELS).min(pixels) };
        Self { taps, channels: g.output.c as usize, direct, strip }
    }

    /// Sixteens of taps.
    pub fn blocks(&self) -> usize {
        self.taps.div_ceil(LANES)
    }

    /// Fours of channels.
    pub fn quads(&self) -> usize {
        self.channels.div_ceil(4)
    }

    /// Bytes of packed weights.
    pub fn weights_len(&self) -> usize {
        self.quads() * self.blocks() * 4 * LANES
    }

    /// Records of channels.
    pub fn channels_len(&self) -> usize {
        self.quads() * 4
    }

    /// Bytes of scratch memory that running takes.
    pub fn scratch_len(&self) -> usize {
        self.strip * self.blocks() * LANES
    }

    /// Packs OHWI weights. False, and nothing of use written, if a channel has no [`Channel`].
    pub fn pack(&self, params: &ConvParams<'_>, weights: &mut [i8], channels: &mut [Channel]) -> bool {
        weights.fill(0);
        channels.fill(Channel { shift: -1, ..Channel::default() });
        for c in 0..self.channels {
            let filter = &params.weights[c * self.taps..][..self.taps];
            let Some(record) = Channel::new(params, c, filter.iter().copied()) else {
                return false;
            };
            channels[c] = record;
            for (k, w) in filter.iter().enumerate() {
                weights[self.weight_at(c, k)] = *w;
            }
        }
        true
    }

    /// Where weight `tap` of `channel` is.
    pub fn weight_at(&self, channel: usize, tap: usize) -> usize {
        let block = channel / 4 * self.blocks() + tap / LANES;
        (block * 4 + channel % 4) * LANES + tap % LANES
    }
}

/// How a depthwise convolution is laid out.
///
/// A row of the output is one run of `width * channels` elements, computed 16 at a time whatever the number
/// of channels. The pattern of channels in the sixteens repeats after `period` of them; for each there
/// is a block of bytes: the weights of every tap, then bias, multiplier and shift (i32) of the lanes in
/// the order 0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15, in which widening takes them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseLayout {
    /// Of the kernel, rounded up to even (the last one then has weight 0).
    pub taps: usize,
    /// Channels.
    pub channels: usize,
    /// Sixteens after which the channels repeat.
    pub period: usize,
    /// Input rows kept in scratch memory: what the kernel spans.
    pub rows: usize,
    /// Columns of one phase of a row; see [`Self::row_len`].
    pub columns: usize,
    /// Horizontal stride: columns are kept apart by their remainder, so that neighbours in the output read
    /// neighbours in scratch memory.
    pub phases: usize,
}

/// Lane of each i32 in a block of the depthwise layout.
const ORDER: [usize; LANES] = [0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15];

impl DepthwiseLayout {
    /// The layout of a depthwise convolution.
    pub fn new(g: &Geometry) -> Self {
        let w = &g.window;
        let channels = g.input.c as usize;
        let common = 1 << channels.trailing_zeros().min(LANES.trailing_zeros());
        let phases = w.stride[1] as usize;
        let reach = (w.kernel[1] as usize - 1) * w.dilation[1] as usize;
        Self {
            taps: (w.kernel[0] as usize * w.kernel[1] as usize).next_multiple_of(2),
            channels,
            period: channels / common,
            rows: (w.kernel[0] as usize - 1) * w.dilation[0] as usize + 1,
            columns: g.output.w as usize + reach / phases,
            phases,
        }
    }

    /// Bytes of the block of 16 lanes.
    pub fn block_len(&self) -> usize {
        self.taps * LANES + 3 * 4 * LANES
    }

    /// Bytes of packed weights.
    pub fn weights_len(&self) -> usize {
        self.period * self.block_len()
    }

    /// Bytes of one input row in scratch memory.
    pub fn row_len(&self) -> usize {
        self.phases * self.columns * self.channels
    }

    /// Bytes of scratch memory that running takes; the last load may pass a row by 15 bytes.
    pub fn scratch_len(&self) -> usize {
        self.rows * self.row_len() + LANES
    }

    /// Packs 1HWC weights. False, and nothing of use written, if a channel's shift is below 33.
    pub fn pack(&self, params: &ConvParams<'_>, weights: &mut [i8]) -> bool {
        if params.shift.iter().any(|n| *n < 33) {
            return false;
        }
        weights.fill(0);
        for (b, block) in weights.chunks_exact_mut(self.block_len()).enumerate() {
            let channel = |lane| (b * LANES + lane) % self.channels;
            let (filters, numbers) = block.split_at_mut(self.taps * LANES);
            for (tap, values) in params.weights.chunks_exact(self.channels).enumerate() {
                for lane in 0..LANES {
                    filters[tap * LANES + lane] = values[channel(lane)];
                }
            }
            for (i, lane) in ORDER.into_iter().enumerate() {
                let c = channel(lane);
                let shift = 32 - params.shift[c] as i32;
                for (k, value) in [params.bias[c], params.multiplier[c], shift].into_iter().enumerate() {
                    let bytes = value.to_le_bytes().map(|b| b as i8);
                    numbers[(k * LANES + i) * 4..][..4].copy_from_slice(&bytes);
                }
            }
        }
        true
    }
}
