//! Weights laid out for one family of processors: what the layouts are, and how long each part is.
//!
//! `docs/reference/format.md` draws them. A layout is a pure function of family and geometry; the converter packs,
//! the reader checks lengths, the kernels compute. Knows no kernel.

pub mod mve;

use super::{Shape, Window, align};
use mve::{MAX_DEPTHWISE_TAPS, MveConv, MveDepthwise};
use serde::{Deserialize, Serialize};

/// Processors that read one set of layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// ARMv7E-M and ARMv8-M with the DSP extension: Cortex-M4, M7, M33.
    Dsp,
    /// ARMv8.1-M with the integer vector extension (Helium): Cortex-M52, M55, M85.
    Mve,
}

impl Family {
    /// Its name, as `inspect` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Dsp => "dsp",
            Family::Mve => "mve",
        }
    }
}

/// What a packed file says of the file that it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    /// Whom it is for.
    pub family: Family,
    /// SHA-256 of the trunk before packing: the identity that heads are bound to.
    #[serde(deserialize_with = "super::sha256::read")]
    pub trunk_sha256: [u8; 32],
    /// Bytes of the arena before packing: without the layers' scratch.
    pub arena_bytes: u32,
}

/// A range of the arena that one layer uses while it runs; `offset` and `len` are multiples of 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// First byte.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

/// How the weights of a packed convolution lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Layout {
    /// Convolutions of one group. By pairs of output channels, an odd last one with zeros: for every
    /// four taps `k..k+4` of the pair `(a, b)` the bytes `a[k] b[k] a[k+2] b[k+2]`, then
    /// `a[k+1] b[k+1] a[k+3] b[k+3]`. The taps of a filter are in the order of OHWI, with zeros up to a
    /// multiple of 8.
    DspConv,
    /// Depthwise 3x3 of at least 4 channels, dilation 1, horizontal stride 1 or 2. By channels: nine
    /// bytes.
    DspDepthwise,
    /// Convolutions of one group. By fours of output channels, the last filled up with zeros: for every 16
    /// taps `k..k+16` the 16 bytes of each of the four channels. The taps of a filter are in the order of
    /// OHWI, with zeros up to a multiple of 16. See [`MveConv`].
    MveConv,
    /// Depthwise, at most 64 taps. For every 16 outputs of a row, until the channels repeat: weights
    /// of every tap, then biases, multipliers and shifts; there are no records. See [`MveDepthwise`].
    MveDepthwise,
}

/// Input elements that [`Layout::DspDepthwise`] expands at a time should not take more bytes than this.
const DEPTHWISE_BAND: usize = 8 << 10;

/// Channels that [`Layout::DspDepthwise`] expands together.
pub const DEPTHWISE_CHANNELS: usize = 4;

/// What one packed channel adds, multiplies and shifts: 16 bytes, in the order the assembly loads them.
///
/// `q = saturate((high32(acc * multiplier) + rounding) >> right)`, which is the requantization of
/// `docs/reference/arithmetic.md` for `right = n + input shift - 32` from 1 to 23. A channel with a larger n whose
/// output is always the same is stored with multiplier 0 and `right = 24`: the rounding's high byte is the
/// output. Its own multiplier is kept in bits that then have no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct ChannelRecord {
    /// Bias, shifted left by the layer's input shift; as it is in a constant channel.
    pub bias: i32,
    /// In [2^30, 2^31), or 0 in a constant channel.
    pub multiplier: i32,
    /// `2^(right - 1) + (output zero point << right)`. Of a constant channel the output in the high byte,
    /// and bits 0..24 of the multiplier.
    pub rounding: i32,
    /// `right` in bits 0..8, all that the processor's shift looks at; n in bits 8..16; bits 24..31 of a
    /// constant channel's multiplier in bits 16..23; else zero.
    pub shift: u32,
}

/// Largest shift of the high word for which rounding and zero point fit 32 bits.
const MAX_RIGHT: u8 = 23;

/// The shift of a constant channel: it leaves the high byte.
const CONSTANT_RIGHT: u8 = 24;

impl ChannelRecord {
    /// The record for these numbers, or `None` if shift or bias are too small or large.
    pub fn new(
        bias: i32,
        multiplier: i32,
        shift: u8,
        input_shift: u8,
        zero_point: i8,
    ) -> Option<Self> {
        let right = shift.checked_add(input_shift)?.checked_sub(32)?;
        if !(1..=MAX_RIGHT).contains(&right) {
            return None;
        }
        Some(Self {
            bias: i32::try_from((bias as i64) << input_shift).ok()?,
            multiplier,
            rounding: ((zero_point as i32) << right) + (1 << (right - 1)),
            shift: right as u32 | (shift as u32) << 8,
        })
    }

    /// The record of a channel whose output is always `output`.
    pub fn constant(bias: i32, multiplier: i32, shift: u8, output: i8) -> Self {
        let high = (multiplier as u32) >> 24;
        Self {
            bias,
            multiplier: 0,
            rounding: (output as i32) << 24 | multiplier & 0xff_ffff,
            shift: CONSTANT_RIGHT as u32 | (shift as u32) << 8 | high << 16,
        }
    }

    /// Bias, multiplier and shift as they were before packing.
    pub fn original(&self, input_shift: u8) -> (i32, i32, u8) {
        let shift = (self.shift >> 8) as u8;
        if self.multiplier == 0 {
            let high = (self.shift >> 16 << 24) as i32;
            return (self.bias, self.rounding & 0xff_ffff | high, shift);
        }
        (self.bias >> input_shift, self.multiplier, shift)
    }

    /// True if the record is one that [`Self::new`] or [`Self::constant`] makes of numbers in their ranges.
    pub fn is_valid(&self, input_shift: u8, zero_point: i8) -> bool {
        let (bias, multiplier, shift) = self.original(input_shift);
        let again = match self.multiplier {
            0 => Some(Self::constant(
                bias,
                multiplier,
                shift,
                (self.rounding >> 24) as i8,
            )),
            _ => Self::new(bias, multiplier, shift, input_shift, zero_point),
        };
        multiplier >= 1 << 30 && (1..=62).contains(&shift) && again == Some(*self)
    }
}

impl Layout {
    /// Its name, as `inspect` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Layout::DspConv => "dsp-conv",
            Layout::DspDepthwise => "dsp-depthwise",
            Layout::MveConv => "mve-conv",
            Layout::MveDepthwise => "mve-depthwise",
        }
    }

    /// True on a microcontroller whose program has no kernel for the layout: it holds nothing there, and what
    /// computes its sizes is not linked.
    const fn is_foreign(self) -> bool {
        let here = match self {
            Layout::DspConv | Layout::DspDepthwise => cfg!(feature = "arm-dsp"),
            Layout::MveConv | Layout::MveDepthwise => cfg!(feature = "arm-mve"),
        };
        cfg!(all(target_arch = "arm", target_os = "none")) && !here
    }

    /// True if the layout can hold a convolution with this window, in so many groups or depthwise.
    #[inline(never)] // once in a microcontroller's program, whose kernels ask it as well as the reader
    pub fn holds(self, window: &Window, groups: u32, depthwise: bool) -> bool {
        if self.is_foreign() {
            return false;
        }
        match self {
            Layout::DspConv | Layout::MveConv => !depthwise && groups == 1,
            Layout::DspDepthwise => {
                depthwise
                    && groups as usize >= DEPTHWISE_CHANNELS
                    && window.kernel == [3, 3]
                    && window.dilation == [1, 1]
                    && (1..=2).contains(&window.stride[1])
            }
            Layout::MveDepthwise => {
                let taps = window.kernel[0] as u64 * window.kernel[1] as u64;
                depthwise && taps <= MAX_DEPTHWISE_TAPS
            }
        }
    }

    /// True if the activations may be shifted left by so many bits before they are multiplied.
    pub const fn shifts_input(self, by: u8) -> bool {
        match self {
            Layout::DspConv | Layout::DspDepthwise | Layout::MveConv | Layout::MveDepthwise => {
                by == 0 || by == 8
            }
        }
    }

    /// True if the numbers that lie among packed weights are in range.
    pub fn weights_are_valid(
        self,
        weights: &[u8],
        input_shift: u8,
        window: &Window,
        input: Shape,
        output: Shape,
    ) -> bool {
        if self.is_foreign() {
            return false;
        }
        match self {
            Layout::MveDepthwise => {
                MveDepthwise::new(window, input, output).are_valid(weights, input_shift)
            }
            Layout::DspConv | Layout::DspDepthwise | Layout::MveConv => true,
        }
    }

    /// Bytes of packed weights.
    pub fn weights_len(self, window: &Window, input: Shape, output: Shape) -> u64 {
        if self.is_foreign() {
            return u64::MAX;
        }
        match self {
            Layout::DspConv => {
                conv_depth(window, input).saturating_mul((output.c as u64).next_multiple_of(2))
            }
            Layout::DspDepthwise => 9 * output.c as u64,
            Layout::MveConv => MveConv::new(window, input, output).weights_len(),
            Layout::MveDepthwise => MveDepthwise::new(window, input, output).weights_len(),
        }
    }

    /// Number of channel records.
    pub fn records(self, output: Shape) -> u64 {
        match self {
            Layout::DspConv => (output.c as u64).next_multiple_of(2),
            Layout::DspDepthwise => output.c as u64,
            Layout::MveConv => (output.c as u64).next_multiple_of(4),
            Layout::MveDepthwise => 0,
        }
    }

    /// Bytes of scratch.
    pub fn scratch_len(self, window: &Window, input: Shape, output: Shape) -> u64 {
        if self.is_foreign() {
            return u64::MAX;
        }
        match self {
            Layout::DspConv => {
                let depth = conv_depth(window, input);
                // Four columns of 16 bits; and one of 8 where whole words cannot be expanded in place.
                let bytes = if input.c.is_multiple_of(4) {
                    0
                } else {
                    depth + 16
                };
                depth
                    .saturating_mul(8)
                    .saturating_add(bytes)
                    .next_multiple_of(16)
            }
            Layout::DspDepthwise => {
                let band = DepthwiseBand::new(window, input, output);
                let rows = (band.input_rows * DEPTHWISE_CHANNELS) as u64;
                (rows * band.pitch as u64).next_multiple_of(16)
            }
            Layout::MveConv => MveConv::new(window, input, output).scratch_len(),
            Layout::MveDepthwise => MveDepthwise::new(window, input, output).scratch_len(),
        }
    }
}

/// Taps of a [`Layout::DspConv`] filter, with the zeros at its end.
pub fn conv_depth(window: &Window, input: Shape) -> u64 {
    let area = window.kernel[0] as u64 * window.kernel[1] as u64;
    area.saturating_mul(input.c as u64).next_multiple_of(8)
}

/// Where tap `k` of filter `c` lies in [`Layout::DspConv`]; `depth` is [`conv_depth`].
pub fn conv_place(c: usize, k: usize, depth: usize) -> usize {
    let (pair, lane) = (c / 2, c % 2);
    // Within eight bytes: taps 0 and 2 in the first four, 1 and 3 in the others.
    let tap = [0, 4, 2, 6][k % 4];
    pair * 2 * depth + k / 4 * 8 + tap + lane
}

/// Where tap `tap` of channel `c` lies in [`Layout::DspDepthwise`].
pub fn depthwise_place(c: usize, tap: usize) -> usize {
    9 * c + tap
}

/// How [`Layout::DspDepthwise`] goes over a map: bands of output rows, whose input rows are expanded to
/// 16 bits, one plane per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseBand {
    /// Bytes of an expanded row, a multiple of 4.
    pub pitch: usize,
    /// Output rows of a band, at least one.
    pub output_rows: usize,
    /// Input rows, padding included, under so many output rows.
    pub input_rows: usize,
}

impl DepthwiseBand {
    /// The bands of a 3x3 window.
    pub fn new(window: &Window, _input: Shape, output: Shape) -> Self {
        // Outputs are computed in pairs, and inputs are read in pairs.
        let pairs = output.w.div_ceil(2) as usize;
        let columns = (2 * pairs - 1) * window.stride[1] as usize + 3;
        let pitch = columns.next_multiple_of(2) * 2;
        let stride = window.stride[0] as usize;
        let room = DEPTHWISE_BAND / (pitch * DEPTHWISE_CHANNELS);
        let output_rows = (room.saturating_sub(3) / stride + 1).min(output.h as usize);
        Self {
            pitch,
            output_rows,
            input_rows: (output_rows - 1) * stride + 3,
        }
    }
}

const _: () = assert!(align(core::mem::size_of::<ChannelRecord>()) == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::requantize;
    use proptest::prelude::*;

    /// What the processor does with a record.
    fn apply(record: &ChannelRecord, acc: i32) -> i8 {
        let high = ((acc as i64 * record.multiplier as i64) >> 32) as i32;
        let sum = high.checked_add(record.rounding).expect("no overflow");
        (sum >> (record.shift & 0xff)).clamp(-128, 127) as i8
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_record_is_the_requantization(
            acc: i32, bias: i32, m in 1i32 << 30..=i32::MAX, n in 1u8..=62, zp: i8, wide: bool,
        ) {
            let input_shift = if wide { 8 } else { 0 };
            let (acc, bias) = (acc >> input_shift, bias >> input_shift);
            let Some(record) = ChannelRecord::new(bias, m, n, input_shift, zp) else {
                prop_assert!(!(33..=55).contains(&(n + input_shift)));
                return Ok(());
            };
            prop_assert!(record.is_valid(input_shift, zp));
            prop_assert_eq!(record.original(input_shift), (bias, m, n));
            let expected = requantize(acc, m, n, zp, [i8::MIN, i8::MAX]);
            prop_assert_eq!(apply(&record, acc << input_shift), expected);
        }

        #[test]
        fn a_constant_is_constant(acc: i32, bias: i32, m in 1i32 << 30..=i32::MAX, n in 1u8..=62, q: i8) {
            let record = ChannelRecord::constant(bias, m, n, q);
            prop_assert!(record.is_valid(0, 0) && record.is_valid(8, 5));
            prop_assert_eq!(record.original(8), (bias, m, n));
            prop_assert_eq!(apply(&record, acc), q);
        }
    }

    #[test]
    fn records_that_were_tampered_with() {
        let good = ChannelRecord::new(-5, 1 << 30, 40, 8, -128).unwrap();
        assert!(good.is_valid(8, -128));
        assert!(!good.is_valid(0, -128) && !good.is_valid(8, -127));
        let constant = ChannelRecord::constant(7, i32::MAX, 62, 3);
        for bad in [
            ChannelRecord {
                bias: good.bias + 1,
                ..good
            },
            ChannelRecord {
                multiplier: (1 << 30) - 1,
                ..good
            },
            ChannelRecord {
                multiplier: -1,
                ..good
            },
            ChannelRecord {
                multiplier: 0,
                ..good
            },
            ChannelRecord {
                rounding: good.rounding + 1,
                ..good
            },
            ChannelRecord {
                shift: good.shift + 1,
                ..good
            },
            ChannelRecord {
                shift: good.shift | 1 << 16,
                ..good
            },
            ChannelRecord {
                shift: constant.shift | 1 << 8,
                ..constant
            },
            ChannelRecord {
                shift: constant.shift | 1 << 23,
                ..constant
            },
            ChannelRecord {
                shift: constant.shift & 0xffff,
                ..constant
            },
        ] {
            assert!(!bad.is_valid(8, -128), "{bad:?}");
        }
    }

    #[test]
    fn bands_cover_what_they_read() {
        let window = |stride| Window {
            kernel: [3, 3],
            stride: [stride; 2],
            ..Window::POINT
        };
        for stride in 1..=2 {
            for side in 1..200 {
                let shape = Shape::new(side, side, 8);
                let band = DepthwiseBand::new(&window(stride), shape, shape);
                assert!(band.output_rows >= 1 && band.output_rows <= side as usize);
                let bytes = band.pitch * band.input_rows * DEPTHWISE_CHANNELS;
                assert!(
                    bytes <= DEPTHWISE_BAND || band.output_rows == 1,
                    "{side}: {bytes}"
                );
            }
        }
    }
}
