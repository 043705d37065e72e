//! The layouts of [`Family::Mve`](super::Family::Mve): where each weight lies, and how much scratch there is.
//!
//! All lengths are 64 bits wide and saturate, so that a hostile geometry gives a length that no file has.

use crate::model::{Shape, Window};

/// Bytes of a vector register.
pub const LANES: u64 = 16;

/// Most bytes of unfolded pixels that a convolution keeps, unless two pixels need more: eight windows of
/// 3x3x16. More of them would save instructions and cost RAM that small networks count on.
const STRIP: u64 = 1152;

/// Most pixels of a strip; more would save nothing.
const STRIP_PIXELS: u64 = 16;

/// Most taps of a depthwise kernel: a table of them is on the kernel's stack.
pub const MAX_DEPTHWISE_TAPS: u64 = 64;

/// How [`Layout::MveConv`](super::Layout::MveConv) lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MveConv {
    /// Taps times input channels.
    pub taps: u64,
    /// Blocks of 16 taps.
    pub blocks: u64,
    /// Fours of output channels.
    pub quads: u64,
    /// Pixels of the strip of unfolded windows, even; 0 if pixels are multiplied where they lie.
    pub strip: u64,
}

impl MveConv {
    /// The layout of an ungrouped convolution.
    pub fn new(window: &Window, input: Shape, output: Shape) -> Self {
        let area = window.kernel[0] as u64 * window.kernel[1] as u64;
        let taps = area.saturating_mul(input.c as u64);
        let blocks = taps.div_ceil(LANES);
        let direct = area == 1 && window.is_unpadded() && taps.is_multiple_of(LANES);
        let pixels = (output.h as u64).saturating_mul(output.w as u64) / 2;
        let room = STRIP / 2 / blocks.saturating_mul(LANES).max(1);
        let pairs = room.clamp(1, STRIP_PIXELS / 2).min(pixels.max(1));
        Self {
            taps,
            blocks,
            quads: (output.c as u64).div_ceil(4),
            strip: if direct { 0 } else { 2 * pairs },
        }
    }

    /// Bytes of packed weights.
    pub fn weights_len(&self) -> u64 {
        self.quads
            .saturating_mul(self.blocks)
            .saturating_mul(4 * LANES)
    }

    /// Bytes of scratch.
    pub fn scratch_len(&self) -> u64 {
        self.strip.saturating_mul(self.blocks).saturating_mul(LANES)
    }

    /// Where weight `tap` of `channel` lies.
    pub fn place(&self, channel: u64, tap: u64) -> u64 {
        let block = channel / 4 * self.blocks + tap / LANES;
        (block * 4 + channel % 4) * LANES + tap % LANES
    }
}

/// How [`Layout::MveDepthwise`](super::Layout::MveDepthwise) lies.
///
/// A row of the output is one run of `width * channels` elements, computed 16 at a time whatever the number
/// of channels. Which channels 16 such elements hold repeats after `period` times 16, and each 16 have a block of
/// bytes: for every tap 16 weights, then 16 i32 biases, multipliers and shifts in the order [`Self::ORDER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MveDepthwise {
    /// Of the kernel, rounded up to even; one too many has weight 0.
    pub taps: u64,
    /// Channels.
    pub channels: u64,
    /// Number of blocks, after which the channels repeat.
    pub period: u64,
    /// Input rows kept in scratch: what the kernel spans.
    pub rows: u64,
    /// The horizontal stride. The columns of a row in scratch are sorted by their remainder, so that
    /// neighbours in the output read neighbours.
    pub phases: u64,
    /// Columns of each remainder.
    pub columns: u64,
}

impl MveDepthwise {
    /// Lane of each i32 of a block: widening even and odd lanes twice takes them apart so.
    pub const ORDER: [u64; LANES as usize] = [0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15];

    /// The layout of a depthwise convolution.
    pub fn new(window: &Window, input: Shape, output: Shape) -> Self {
        let [kh, kw] = window.kernel.map(u64::from);
        let channels = input.c as u64;
        let common = 1 << channels.trailing_zeros().min(LANES.trailing_zeros());
        let phases = window.stride[1] as u64;
        Self {
            taps: (kh * kw).next_multiple_of(2),
            channels,
            period: channels / common,
            rows: window.span(0),
            phases,
            columns: output.w as u64 + (window.span(1) - 1) / phases,
        }
    }

    /// Bytes of the block of 16 lanes.
    pub fn block_len(&self) -> u64 {
        self.taps * LANES + 3 * 4 * LANES
    }

    /// Bytes of packed weights.
    pub fn weights_len(&self) -> u64 {
        self.period.saturating_mul(self.block_len())
    }

    /// Bytes of one input row in scratch.
    pub fn row_len(&self) -> u64 {
        let columns = self.phases.saturating_mul(self.columns);
        columns.saturating_mul(self.channels)
    }

    /// Bytes of scratch; the last load may pass a row by 15 bytes.
    pub fn scratch_len(&self) -> u64 {
        let rows = self.rows.saturating_mul(self.row_len());
        rows.saturating_add(LANES)
            .checked_next_multiple_of(LANES)
            .unwrap_or(u64::MAX)
    }

    /// True if the numbers of all blocks are in range: no weight is -128, of which two products would not fit
    /// 16 bits; multipliers are in [2^30, 2^31), shifts those of n from 1 to 62 in the sum's high word.
    pub fn are_valid(&self, blocks: &[u8], input_shift: u8) -> bool {
        let lanes = LANES as usize;
        let right = 1..=30 + i32::from(input_shift);
        let block = |bytes: &[u8]| {
            let (weights, values) = bytes.split_at((self.taps * LANES) as usize);
            let value = |at: &[u8]| i32::from_le_bytes([at[0], at[1], at[2], at[3]]);
            let mut values = values.chunks_exact(4).map(value).skip(lanes);
            weights.iter().all(|w| *w != 0x80)
                && values.by_ref().take(lanes).all(|m| m >= 1 << 30)
                && values.all(|left| right.contains(&left.wrapping_neg()))
        };
        blocks.chunks_exact(self.block_len() as usize).all(block)
    }

    /// The channel of `lane` in `block`.
    pub fn channel(&self, block: u64, lane: u64) -> u64 {
        (block * LANES + lane) % self.channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_weight_of_a_convolution_has_a_place_of_its_own() {
        for (k, c, out) in [(1, 16, 4), (3, 3, 5), (1, 17, 9), (2, 8, 1)] {
            let window = Window {
                kernel: [k, k],
                ..Window::POINT
            };
            let shapes = [Shape::new(9, 9, c), Shape::new(9, 9, out)];
            let layout = MveConv::new(&window, shapes[0], shapes[1]);
            let taps = (k * k * c) as u64;
            let places: HashSet<u64> = (0..out as u64)
                .flat_map(|o| (0..taps).map(move |t| layout.place(o, t)))
                .collect();
            assert_eq!(places.len() as u64, taps * out as u64);
            assert!(places.iter().all(|at| *at < layout.weights_len()));
            assert_eq!(layout.strip == 0, (k, c) == (1, 16));
        }
    }

    #[test]
    fn a_strip_is_bounded_and_even() {
        for (c, side, pixels) in [
            (3, 96, 16),
            (64, 8, 2),
            (16, 32, 8),
            (8, 32, 14),
            (300, 1, 2),
            (8, 1, 2),
        ] {
            let window = Window {
                kernel: [3, 3],
                pad_before: [1, 1],
                pad_after: [1, 1],
                ..Window::POINT
            };
            let shape = Shape::new(side, side, c);
            assert_eq!(
                MveConv::new(&window, shape, shape).strip,
                pixels,
                "{c} {side}"
            );
        }
    }

    #[test]
    fn the_channels_of_a_row_repeat_after_the_period() {
        for (channels, period) in [(1, 1), (8, 1), (16, 1), (24, 3), (32, 2), (5, 5), (40, 5)] {
            let window = Window {
                kernel: [3, 3],
                ..Window::POINT
            };
            let shape = Shape::new(8, 8, channels);
            let layout = MveDepthwise::new(&window, shape, Shape::new(6, 6, channels));
            assert_eq!(layout.period, period);
            for lane in 0..LANES {
                assert_eq!(layout.channel(layout.period, lane), layout.channel(0, lane));
            }
        }
        let mut order = MveDepthwise::ORDER;
        order.sort();
        assert!(order.iter().copied().eq(0..LANES));
    }

    #[test]
    fn numbers_of_a_block() {
        let window = Window {
            kernel: [1, 2],
            ..Window::POINT
        };
        let layout = MveDepthwise::new(&window, Shape::new(1, 2, 16), Shape::new(1, 1, 16));
        let (taps, lanes) = (2 * 16, 16);
        let mut block = vec![127; layout.block_len() as usize];
        let mut put = |i: usize, value: i32| {
            block[taps + 4 * i..][..4].copy_from_slice(&value.to_le_bytes());
        };
        (0..lanes).for_each(|i| put(lanes + i, 1 << 30));
        (0..lanes).for_each(|i| put(2 * lanes + i, -30));
        assert!(layout.are_valid(&block, 0));
        let refused = |at: usize, bytes: &[u8]| {
            let mut other = block.clone();
            other[at..][..bytes.len()].copy_from_slice(bytes);
            assert!(!layout.are_valid(&other, 0), "{at}");
        };
        // A weight of -128; a multiplier below 2^30; shifts to the left and beyond n = 62.
        refused(taps - 1, &[0x80]);
        refused(taps + 4 * lanes, &((1 << 30) - 1i32).to_le_bytes());
        refused(taps + 4 * (2 * lanes), &5i32.to_le_bytes());
        refused(taps + 4 * (3 * lanes - 1), &(-31i32).to_le_bytes());
        refused(taps + 4 * (3 * lanes - 1), &i32::MIN.to_le_bytes());
    }

    #[test]
    fn hostile_geometries_saturate() {
        let most = [u32::MAX; 2];
        let window = Window {
            kernel: most,
            stride: most,
            dilation: most,
            pad_before: most,
            pad_after: most,
        };
        let shape = Shape::new(u32::MAX, u32::MAX, u32::MAX);
        assert_eq!(MveConv::new(&window, shape, shape).weights_len(), u64::MAX);
        let small = Window {
            kernel: [1 << 12; 2],
            dilation: [1 << 12; 2],
            ..window
        };
        assert_eq!(
            MveDepthwise::new(&small, shape, shape).scratch_len(),
            u64::MAX
        );
    }
}
