//! int8 operators over slices: the portable version of each, and faster ones beside it.
//!
//! A kernel knows shapes and numbers, no graph, no file, no arena. Its callers have checked every
//! geometry (`model::check`), so kernels index without further ado; an impossible geometry panics on a
//! bounds check of the portable ones; those in assembly trust it. The portable versions define the arithmetic; a faster one is
//! right when it gives the same bytes.

#[cfg(all(any(feature = "arm-dsp", feature = "arm-mve"), target_arch = "arm"))]
pub mod arm;
mod conv;
mod depthwise;
#[cfg_attr(
    all(feature = "arm-mve", target_arch = "arm"),
    allow(dead_code, reason = "some have a faster version")
)]
mod elementwise;
mod layout;
mod norm;
mod pool;
mod requantize;
#[cfg(test)]
mod tests;

#[cfg(all(feature = "arm-mve", target_arch = "arm"))]
pub use arm::mve::{add, add_in_place, map, map_in_place, mul, mul_in_place};
pub use conv::conv;
pub use depthwise::depthwise;
pub use elementwise::{AddParams, MulParams, PReluParams, prelu, prelu_in_place};
#[cfg(not(all(feature = "arm-mve", target_arch = "arm")))]
pub use elementwise::{add, add_in_place, map, map_in_place, mul, mul_in_place};
pub use layout::{concat_part, pad, shuffle, slice};
pub use norm::{NormParams, local_response_norm};
pub use pool::{AvgPoolParams, avg_pool, max_pool};
pub use requantize::{RequantizeFn, requantize, rescale};

use crate::model::{ChannelRecord, Layout, Shape, Window};

/// True if this build has a kernel for weights that are packed so.
pub const fn runs(layout: Layout) -> bool {
    match layout {
        Layout::DspConv | Layout::DspDepthwise => {
            cfg!(all(feature = "arm-dsp", target_arch = "arm"))
        }
        Layout::MveConv | Layout::MveDepthwise => {
            cfg!(all(feature = "arm-mve", target_arch = "arm"))
        }
    }
}

/// A packed convolution, depthwise or not; see [`crate::model::ConvData::Packed`].
///
/// # Panics
/// If the build has no kernel for the layout, or a length is not what the layout and the shapes say.
pub fn packed(
    layout: Layout,
    g: &Geometry,
    params: &PackedParams<'_>,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [i8],
) {
    match layout {
        #[cfg(all(feature = "arm-dsp", target_arch = "arm"))]
        Layout::DspConv => arm::conv(g, params, input, output, scratch),
        #[cfg(all(feature = "arm-dsp", target_arch = "arm"))]
        Layout::DspDepthwise => arm::depthwise(g, params, input, output, scratch),
        #[cfg(all(feature = "arm-mve", target_arch = "arm"))]
        Layout::MveConv => arm::mve::conv(g, params, input, output, scratch),
        #[cfg(all(feature = "arm-mve", target_arch = "arm"))]
        Layout::MveDepthwise => arm::mve::depthwise(g, params, input, output, scratch),
        #[allow(unreachable_patterns)]
        _ => {
            let _ = (g, params, input, output, scratch);
            unreachable!("the engine refuses layouts without kernel")
        }
    }
}

/// The numbers of a packed convolution.
#[derive(Clone, Copy, Debug)]
pub struct PackedParams<'p> {
    /// Weights as the layout has them; they start on a multiple of 4.
    pub weights: &'p [i8],
    /// One per output channel, and what the layout adds.
    pub records: &'p [ChannelRecord],
    /// Activations are multiplied by 2 to this power: 0 or 8.
    pub input_shift: u8,
    /// What padding reads.
    pub input_zero_point: i8,
    /// Added after scaling, where it is not in the records.
    pub output_zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
}

/// The numbers of an int8 convolution; see [`crate::model::ConvData::I8`].
#[derive(Clone, Copy, Debug)]
pub struct ConvParams<'p> {
    /// Weights, OHWI (depthwise: 1HWC).
    pub weights: &'p [i8],
    /// One per output channel, zero-point term folded in.
    pub bias: &'p [i32],
    /// One per output channel, in [2^30, 2^31).
    pub multiplier: &'p [i32],
    /// One per output channel, in [1, 62].
    pub shift: &'p [u8],
    /// What padding reads.
    pub input_zero_point: i8,
    /// Added after scaling.
    pub output_zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
}

impl ConvParams<'_> {
    /// Output of `channel` for its finished accumulator.
    #[inline(always)]
    fn finish(&self, channel: usize, acc: i32) -> i8 {
        let (m, n) = (self.multiplier[channel], self.shift[channel]);
        requantize(acc, m, n, self.output_zero_point, self.clamp)
    }
}

/// Shapes around a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Of the input.
    pub input: Shape,
    /// Of the output.
    pub output: Shape,
    /// The window.
    pub window: Window,
}

impl Geometry {
    /// True if the window covers something and gives the output's rows and columns. Debug builds of
    /// kernels in assembly ask, which compute addresses of it; the others index slices.
    #[cfg(all(target_arch = "arm", feature = "arm-dsp"))]
    pub(crate) fn is_possible(&self) -> bool {
        let w = &self.window;
        let positive = [w.kernel, w.stride, w.dilation];
        positive.iter().flatten().all(|v| *v > 0)
            && w.output_len(0, self.input.h) == Some(self.output.h)
            && w.output_len(1, self.input.w) == Some(self.output.w)
    }

    /// The taps of the kernel along `axis` that fall inside the input at output position `at`, and the
    /// input index of tap 0 (negative in the padding).
    #[inline(always)]
    fn taps(&self, axis: usize, at: usize) -> (core::ops::Range<usize>, isize) {
        let w = &self.window;
        let len = if axis == 0 {
            self.input.h
        } else {
            self.input.w
        } as isize;
        let origin = (at * w.stride[axis] as usize) as isize - w.pad_before[axis] as isize;
        let (kernel, dilation) = (w.kernel[axis] as isize, w.dilation[axis] as isize);
        let first = if origin < 0 {
            (-origin + dilation - 1) / dilation
        } else {
            0
        };
        let end = if origin >= len {
            0
        } else {
            (len - origin + dilation - 1) / dilation
        };
        let end = end.clamp(0, kernel);
        (first.min(end) as usize..end as usize, origin)
    }
}
