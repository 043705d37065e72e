//! The numbers of an operator, made once from a layer: what every backend reads instead of the layer itself.
//!
//! Each struct has a function `of(weights, layer)`, the one place that takes such a layer apart. It borrows from
//! the layer and from a [`Weights`] source, and allocates nothing. It gives `None` for a layer of another kind,
//! a float one included, and panics on a layer that `Model::parse` would refuse. What the numbers mean,
//! [`super::portable`] defines and `docs/reference/arithmetic.md` states.

use super::Geometry;
use crate::model::norm_table::NormTable;
use crate::model::{
    Blob, ChannelRecord, ConvData, Layer, Layout, MapFunction, Model, Op, Operand, Rescale,
};
use crate::tensor::{Shape, Window};

/// Where the numbers of a layer lie: in a file, or where a backend has copied or packed them.
pub trait Weights {
    /// The bytes of a blob, from an address that is a multiple of 4.
    fn bytes(&self, blob: Blob) -> &[u8];
}

impl Weights for Model<'_> {
    #[inline(always)]
    fn bytes(&self, blob: Blob) -> &[u8] {
        self.u8s(blob)
    }
}

/// i32 values of a blob.
#[inline(always)]
fn i32s(weights: &(impl Weights + ?Sized), blob: Blob) -> &[i32] {
    bytemuck::cast_slice(weights.bytes(blob))
}

/// int8 values of a blob.
#[inline(always)]
fn i8s(weights: &(impl Weights + ?Sized), blob: Blob) -> &[i8] {
    bytemuck::cast_slice(weights.bytes(blob))
}

/// Zero points of the first two inputs.
#[inline(always)]
fn two_zero_points(layer: &Layer<'_>) -> [i8; 2] {
    let [a, b] = [&layer.inputs[0], &layer.inputs[1]];
    [a.quant.zero_point, b.quant.zero_point]
}

impl Geometry {
    /// A window between the first input of a layer and its output.
    #[inline(always)]
    fn around(layer: &Layer<'_>, window: &Window) -> Self {
        Self {
            input: layer.inputs[0].shape,
            output: layer.output.shape,
            window: *window,
        }
    }

    /// The shapes of a [`Op::MaxPool`].
    #[inline(always)]
    pub fn of_max_pool(layer: &Layer<'_>) -> Option<Self> {
        match &layer.op {
            Op::MaxPool { window } => Some(Self::around(layer, window)),
            _ => None,
        }
    }
}

/// The numbers of an int8 convolution, depthwise or not; see [`ConvData::I8`].
#[derive(Clone, Copy, Debug)]
pub struct ConvParams<'p> {
    /// Shapes and window.
    pub geometry: Geometry,
    /// Channel groups; divides both channel counts. A depthwise convolution has one per channel.
    pub groups: usize,
    /// Weights, OHWI (depthwise: 1HWC).
    pub weights: &'p [i8],
    /// What padding reads.
    pub input_zero_point: i8,
    /// From the sums to the output.
    pub requantize: RequantizeParams<'p>,
}

impl<'p> ConvParams<'p> {
    /// Of an int8 convolution, depthwise or not, that is not packed.
    #[inline(always)]
    pub fn of(weights: &'p (impl Weights + ?Sized), layer: &'p Layer<'_>) -> Option<Self> {
        let (window, groups, data) = match &layer.op {
            Op::Conv {
                window,
                groups,
                data,
            } => (window, *groups, data),
            Op::DepthwiseConv { window, data } => (window, layer.inputs[0].shape.c, data),
            _ => return None,
        };
        let ConvData::I8 {
            weights: filters,
            bias,
            multiplier,
            shift,
            clamp,
        } = *data
        else {
            return None;
        };
        Some(Self {
            geometry: Geometry::around(layer, window),
            groups: groups as usize,
            weights: i8s(weights, filters),
            input_zero_point: layer.inputs[0].quant.zero_point,
            requantize: RequantizeParams {
                bias: i32s(weights, bias),
                multiplier: i32s(weights, multiplier),
                shift: weights.bytes(shift),
                zero_point: layer.output.quant.zero_point,
                clamp,
            },
        })
    }
}

/// The numbers of a float convolution; see [`ConvData::F32`].
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct FloatConvParams<'p> {
    /// Shapes and window.
    pub geometry: Geometry,
    /// Channel groups; divides both channel counts.
    pub groups: usize,
    /// Weights, OHWI.
    pub weights: &'p [f32],
    /// One per output channel.
    pub bias: &'p [f32],
    /// Smallest and largest output, if there are such.
    pub clamp: Option<[f32; 2]>,
}

/// The numbers of a float depthwise convolution; see [`ConvData::F32`].
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct FloatDepthwiseParams<'p> {
    /// Shapes and window.
    pub geometry: Geometry,
    /// Weights, HWC.
    pub weights: &'p [f32],
    /// One per channel.
    pub bias: &'p [f32],
    /// Smallest and largest output, if there are such.
    pub clamp: Option<[f32; 2]>,
}

/// How the sums of a convolution become its int8 output.
#[derive(Clone, Copy, Debug)]
pub struct RequantizeParams<'p> {
    /// One per output channel, the input's zero point folded in.
    pub bias: &'p [i32],
    /// One per output channel, in [2^30, 2^31).
    pub multiplier: &'p [i32],
    /// One per output channel, in [1, 62].
    pub shift: &'p [u8],
    /// Added after scaling.
    pub zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
}

/// Sums of products, before the bias is added.
#[derive(Clone, Copy, Debug)]
pub enum Sums<'s> {
    /// Integers.
    I32(&'s [i32]),
    /// Integers that f32 holds exactly, below 2^24.
    F32(&'s [f32]),
}

/// Whose windows become the rows of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct UnfoldParams {
    /// Shapes and window.
    pub geometry: Geometry,
    /// Channel groups; divides the input's channels.
    pub groups: usize,
    /// What padding reads.
    pub zero_point: i8,
}

impl UnfoldParams {
    /// Values of one row of the matrix: taps times the channels of a group.
    pub fn depth(&self) -> usize {
        let [kh, kw] = self.geometry.window.kernel.map(|k| k as usize);
        kh * kw * (self.geometry.input.c as usize / self.groups)
    }
}

/// The numbers of a packed convolution; see [`ConvData::Packed`].
#[derive(Clone, Copy, Debug)]
pub struct PackedParams<'p> {
    /// How the weights lie.
    pub layout: Layout,
    /// Shapes and window.
    pub geometry: Geometry,
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

impl<'p> PackedParams<'p> {
    /// Of a packed convolution, depthwise or not.
    #[inline(always)]
    pub fn of(weights: &'p (impl Weights + ?Sized), layer: &'p Layer<'_>) -> Option<Self> {
        let (Op::Conv { window, data, .. } | Op::DepthwiseConv { window, data }) = &layer.op else {
            return None;
        };
        let ConvData::Packed {
            layout,
            weights: filters,
            channels,
            input_shift,
            clamp,
            scratch: _,
        } = *data
        else {
            return None;
        };
        Some(Self {
            layout,
            geometry: Geometry::around(layer, window),
            weights: i8s(weights, filters),
            records: bytemuck::cast_slice(weights.bytes(channels)),
            input_shift,
            input_zero_point: layer.inputs[0].quant.zero_point,
            output_zero_point: layer.output.quant.zero_point,
            clamp,
        })
    }
}

/// The numbers of an int8 mean; see [`Op::AvgPool`].
#[derive(Clone, Copy, Debug)]
pub struct AvgPoolParams<'p> {
    /// Shapes and window.
    pub geometry: Geometry,
    /// Multiplier for a divisor of `k + 1`, or the only one.
    pub multipliers: &'p [i32],
    /// Common shift, 1 to 30.
    pub shift: u8,
    /// Of the input.
    pub input_zero_point: i8,
    /// Of the output.
    pub output_zero_point: i8,
}

impl<'p> AvgPoolParams<'p> {
    /// Of an int8 mean.
    #[inline(always)]
    pub fn of(weights: &'p (impl Weights + ?Sized), layer: &'p Layer<'_>) -> Option<Self> {
        let Op::AvgPool {
            window,
            multipliers,
            shift,
            ..
        } = &layer.op
        else {
            return None;
        };
        Some(Self {
            geometry: Geometry::around(layer, window),
            multipliers: i32s(weights, *multipliers),
            shift: *shift,
            input_zero_point: layer.inputs[0].quant.zero_point,
            output_zero_point: layer.output.quant.zero_point,
        })
    }
}

/// The numbers of an int8 addition; see [`Op::Add`].
#[derive(Clone, Copy, Debug)]
pub struct AddParams {
    /// Zero points of the two inputs.
    pub zero_points: [i8; 2],
    /// Multipliers of the two inputs, at most 2^21 in magnitude.
    pub multipliers: [i32; 2],
    /// Common shift, 1 to 30.
    pub shift: u8,
    /// Added after scaling.
    pub output_zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
}

impl AddParams {
    /// Of an addition.
    #[inline(always)]
    pub fn of(layer: &Layer<'_>) -> Option<Self> {
        let Op::Add {
            multipliers,
            shift,
            clamp,
            ..
        } = &layer.op
        else {
            return None;
        };
        Some(Self {
            zero_points: two_zero_points(layer),
            multipliers: *multipliers,
            shift: *shift,
            output_zero_point: layer.output.quant.zero_point,
            clamp: *clamp,
        })
    }
}

/// The numbers of an int8 product; see [`Op::Mul`].
#[derive(Clone, Copy, Debug)]
pub struct MulParams {
    /// Zero points of the two inputs.
    pub zero_points: [i8; 2],
    /// In [2^30, 2^31).
    pub multiplier: i32,
    /// In [1, 62].
    pub shift: u8,
    /// Added after scaling.
    pub output_zero_point: i8,
}

impl MulParams {
    /// Of a product.
    #[inline(always)]
    pub fn of(layer: &Layer<'_>) -> Option<Self> {
        let Op::Mul { multiplier, shift } = &layer.op else {
            return None;
        };
        Some(Self {
            zero_points: two_zero_points(layer),
            multiplier: *multiplier,
            shift: *shift,
            output_zero_point: layer.output.quant.zero_point,
        })
    }
}

/// The numbers of an int8 PReLU; see [`Op::PRelu`].
#[derive(Clone, Copy, Debug)]
pub struct PReluParams<'p> {
    /// Multiplier of each channel's negative values, at most 2^22 in magnitude.
    pub slopes: &'p [i32],
    /// Multiplier of positive values, at most 2^22.
    pub positive: i32,
    /// Common shift, 1 to 30.
    pub shift: u8,
    /// Of the input.
    pub input_zero_point: i8,
    /// Added after scaling.
    pub output_zero_point: i8,
}

impl<'p> PReluParams<'p> {
    /// Of an int8 PReLU.
    #[inline(always)]
    pub fn of(weights: &'p (impl Weights + ?Sized), layer: &'p Layer<'_>) -> Option<Self> {
        let Op::PRelu {
            slopes,
            positive,
            shift,
        } = &layer.op
        else {
            return None;
        };
        Some(Self {
            slopes: i32s(weights, *slopes),
            positive: *positive,
            shift: *shift,
            input_zero_point: layer.inputs[0].quant.zero_point,
            output_zero_point: layer.output.quant.zero_point,
        })
    }
}

/// The table of a function of single int8 values; see [`Op::Map`].
#[derive(Clone, Copy, Debug)]
pub struct MapParams<'p> {
    /// 256 outputs, that of -128 first.
    pub table: &'p [i8],
}

impl<'p> MapParams<'p> {
    /// Of an int8 function with a table.
    #[inline(always)]
    pub fn of(weights: &'p (impl Weights + ?Sized), layer: &'p Layer<'_>) -> Option<Self> {
        let Op::Map {
            function: MapFunction::Table(table),
        } = &layer.op
        else {
            return None;
        };
        Some(Self {
            table: i8s(weights, *table),
        })
    }
}

/// The numbers of an int8 local response normalization; see [`Op::LocalResponseNorm`].
#[derive(Clone, Copy, Debug)]
pub struct NormParams<'p> {
    /// Channels of a pixel.
    pub channels: usize,
    /// Channels in the sum.
    pub size: usize,
    /// Factors by sum of squares, each from 0 to 2^22.
    pub table: &'p [i32],
    /// Where the entries of the table lie.
    pub spacing: NormTable,
    /// Of the product, 1 to 30.
    pub shift: u8,
    /// Of the input.
    pub input_zero_point: i8,
    /// Added after scaling.
    pub output_zero_point: i8,
}

impl<'p> NormParams<'p> {
    /// Of an int8 local response normalization.
    #[inline(always)]
    pub fn of(weights: &'p (impl Weights + ?Sized), layer: &'p Layer<'_>) -> Option<Self> {
        let Op::LocalResponseNorm {
            size,
            table,
            index_shift,
            shift,
            ..
        } = &layer.op
        else {
            return None;
        };
        Some(Self {
            channels: layer.output.shape.c as usize,
            size: *size as usize,
            table: i32s(weights, *table),
            spacing: NormTable::new(*index_shift),
            shift: *shift,
            input_zero_point: layer.inputs[0].quant.zero_point,
            output_zero_point: layer.output.quant.zero_point,
        })
    }
}

/// The numbers of an int8 concatenation; see [`Op::Concat`].
#[derive(Clone, Copy, Debug)]
pub struct ConcatParams<'p> {
    inputs: &'p [Operand],
    rescale: &'p [Rescale],
    output: &'p Operand,
}

impl<'p> ConcatParams<'p> {
    /// Of an int8 concatenation.
    #[inline(always)]
    pub fn of(layer: &'p Layer<'_>) -> Option<Self> {
        let Op::Concat { rescale } = &layer.op else {
            return None;
        };
        Some(Self {
            inputs: &layer.inputs,
            rescale,
            output: &layer.output,
        })
    }

    /// One part for each input.
    pub fn parts(&self) -> impl Iterator<Item = ConcatPart> {
        let mut first_channel = 0;
        self.inputs
            .iter()
            .zip(self.rescale)
            .map(move |(input, by)| {
                let part = ConcatPart {
                    channels: input.shape.c as usize,
                    rescale: *by,
                    zero_points: [input.quant.zero_point, self.output.quant.zero_point],
                    output_channels: self.output.shape.c as usize,
                    first_channel,
                };
                first_channel += part.channels;
                part
            })
    }
}

/// One input of a concatenation.
#[derive(Clone, Copy, Debug)]
pub struct ConcatPart {
    /// Channels of the input.
    pub channels: usize,
    /// From the input's scale to the output's.
    pub rescale: Rescale,
    /// Zero points of the input and of the output.
    pub zero_points: [i8; 2],
    /// Channels of the output.
    pub output_channels: usize,
    /// The output's channel that the input's channel 0 goes to.
    pub first_channel: usize,
}

/// Which part of a tensor is copied; see [`Op::Slice`].
#[derive(Clone, Copy, Debug)]
pub struct SliceParams {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// First row, column and channel.
    pub start: [u32; 3],
    /// Step of rows and of columns.
    pub step: [u32; 2],
}

impl SliceParams {
    /// Of a slice, int8 or float.
    #[inline(always)]
    pub fn of(layer: &Layer<'_>) -> Option<Self> {
        let Op::Slice { start, step } = &layer.op else {
            return None;
        };
        Some(Self {
            input: layer.inputs[0].shape,
            output: layer.output.shape,
            start: *start,
            step: *step,
        })
    }
}

/// How much is put around a tensor; see [`Op::Pad`].
#[derive(Clone, Copy, Debug)]
pub struct PadParams {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// Rows, columns and channels before the input.
    pub before: [u32; 3],
    /// What is put around.
    pub zero_point: i8,
}

impl PadParams {
    /// Of a padding.
    #[inline(always)]
    pub fn of(layer: &Layer<'_>) -> Option<Self> {
        let Op::Pad { before, .. } = &layer.op else {
            return None;
        };
        Some(Self {
            input: layer.inputs[0].shape,
            output: layer.output.shape,
            before: *before,
            zero_point: layer.inputs[0].quant.zero_point,
        })
    }
}

/// A permutation of channels; see [`Op::Shuffle`].
#[derive(Clone, Copy, Debug)]
pub struct ShuffleParams {
    /// Channels of a pixel.
    pub channels: usize,
    /// Divides the channels.
    pub groups: usize,
}

impl ShuffleParams {
    /// Of a shuffle, int8 or float.
    #[inline(always)]
    pub fn of(layer: &Layer<'_>) -> Option<Self> {
        let Op::Shuffle { groups } = &layer.op else {
            return None;
        };
        Some(Self {
            channels: layer.output.shape.c as usize,
            groups: *groups as usize,
        })
    }
}
