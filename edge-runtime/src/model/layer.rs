//! One layer of the trunk as the file stores it: operator, operands, and where its numbers are.
//!
//! A [`Layer`] carries all that a backend needs to run it, so that a microcontroller decodes one
//! layer at a time on its stack and keeps no table of tensors. Knows nothing of bytes or files.

use super::{Layout, Quant, Scratch, Shape, Window};
use serde::{Deserialize, Serialize};

/// Most inputs a layer can have (concatenations; importers split wider ones).
pub const MAX_INPUTS: usize = 8;

/// Most channels in the sum of a local response normalization.
pub const MAX_NORM_SIZE: u32 = 1 << 10;

/// A tensor in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operand {
    /// Number of the tensor: 0 is the model's input, layer `i` writes tensor `i + 1`.
    pub tensor: u32,
    /// Its shape.
    pub shape: Shape,
    /// Its first byte in the arena; a multiple of 16.
    pub offset: u32,
    /// Its quantization.
    pub quant: Quant,
}

/// A range of bytes in the weights section; `offset` is a multiple of 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// First byte, counted from the start of the section.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A function of one real number.
///
/// Float layers carry it; in int8 layers ReLU and ReLU6 are the clamp of the output, and the smooth
/// ones are tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Activation {
    /// `x`
    None,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` if positive, else the slope times `x`
    LeakyRelu(f32),
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `min(max(x + 3, 0), 6) / 6`
    HardSigmoid,
    /// `x * sigmoid(x)`
    Silu,
    /// `x * hard_sigmoid(x)`
    HardSwish,
    /// Hyperbolic tangent
    Tanh,
    /// `min(max(x, low), high)`; the bounds are finite and ordered, or infinite where there is none
    Clip(f32, f32),
}

impl Activation {
    /// The function's value at `x`.
    pub fn apply(self, x: f32) -> f32 {
        let hard = |x: f32| (x + 3.0).clamp(0.0, 6.0) / 6.0;
        let sigmoid = |x: f32| 1.0 / (1.0 + libm::expf(-x));
        match self {
            Activation::None => x,
            Activation::Relu => x.max(0.0),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Activation::Sigmoid => sigmoid(x),
            Activation::HardSigmoid => hard(x),
            Activation::Silu => x * sigmoid(x),
            Activation::HardSwish => x * hard(x),
            Activation::Tanh => libm::tanhf(x),
            Activation::Clip(low, high) => x.max(low).min(high),
        }
    }

    /// Bounds of the output if the function is a clamp (identity included).
    pub fn clamp_bounds(self) -> Option<(f32, f32)> {
        match self {
            Activation::None => Some((f32::NEG_INFINITY, f32::INFINITY)),
            Activation::Relu => Some((0.0, f32::INFINITY)),
            Activation::Relu6 => Some((0.0, 6.0)),
            Activation::Clip(low, high) => Some((low, high)),
            _ => None,
        }
    }
}

/// The numbers of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConvData {
    /// f32 weights (OHWI; 1HWC if depthwise) and one f32 bias per output channel.
    F32 {
        /// Weights.
        weights: Blob,
        /// Bias, one per output channel.
        bias: Blob,
        /// Applied to the sum.
        activation: Activation,
    },
    /// int8 weights (OHWI; 1HWC if depthwise). `acc = bias[c] + sum(w * q)`, padding reads the
    /// input's zero point, the output is `clamp(zero_point + ((acc * m[c] + 2^(n[c]-1)) >> n[c]))`.
    I8 {
        /// Weights in [-127, 127].
        weights: Blob,
        /// i32 bias, one per output channel, with `-zero_point * sum(w)` folded in.
        bias: Blob,
        /// i32 multipliers m, one per output channel, each in [2^30, 2^31).
        multiplier: Blob,
        /// u8 shifts n, one per output channel, each in [1, 62].
        shift: Blob,
        /// Smallest and largest output.
        clamp: [i8; 2],
    },
    /// The same function as [`ConvData::I8`], its numbers laid out for one family of processors.
    Packed {
        /// How.
        layout: Layout,
        /// Weights.
        weights: Blob,
        /// [`ChannelRecord`](super::ChannelRecord)s.
        channels: Blob,
        /// Activations are multiplied by 2 to this power first, and so are the accumulators: it makes room
        /// for requantizing by the high word of a product. 0 or 8.
        input_shift: u8,
        /// Smallest and largest output.
        clamp: [i8; 2],
        /// Memory that the kernel needs while it runs.
        scratch: Scratch,
    },
}

/// A factor `multiplier / 2^shift` for values of at most 9 bits: the product fits 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescale {
    /// At most 2^22 in magnitude; at most 2^21 where two rescaled values are added.
    pub multiplier: i32,
    /// At most 30.
    pub shift: u8,
}

impl Rescale {
    /// The factor 1.
    pub const ONE: Rescale = Rescale {
        multiplier: 1 << 20,
        shift: 20,
    };
}

/// What a layer computes. All layouts are NHWC. Integer rules are those of `docs/reference/arithmetic.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Convolution; a fully connected layer is one whose window covers its whole input.
    Conv {
        /// The window.
        window: Window,
        /// Channel groups; divides both channel counts.
        groups: u32,
        /// Weights and output rule.
        data: ConvData,
    },
    /// Convolution with one filter per channel (groups = input channels = output channels).
    DepthwiseConv {
        /// The window.
        window: Window,
        /// Weights and output rule.
        data: ConvData,
    },
    /// Maximum over a window; padding never wins. Output quantized as the input.
    MaxPool {
        /// The window; its dilation is 1.
        window: Window,
    },
    /// Mean over a window.
    AvgPool {
        /// The window; its dilation is 1.
        window: Window,
        /// True if padded positions count in the divisor (as zeros).
        count_padding: bool,
        /// int8 only: i32 multipliers, entry `k` for a divisor of `k + 1`, or a single entry if
        /// the divisor is always the window's area. `out = zero_point + ((sum(q - zp) * m + 2^(shift-1)) >> shift)`.
        multipliers: Blob,
        /// int8 only: the common shift, 1 to 30.
        shift: u8,
    },
    /// Sum of two tensors of one shape, each rescaled to the output:
    /// `out = clamp(zero_point + (((a - za) * ma + (b - zb) * mb + 2^(shift-1)) >> shift))`.
    Add {
        /// int8 only: ma and mb, each at most 2^21.
        multipliers: [i32; 2],
        /// int8 only: the common shift, 1 to 30.
        shift: u8,
        /// int8 only: smallest and largest output.
        clamp: [i8; 2],
        /// Float only.
        activation: Activation,
    },
    /// Concatenation along channels; each input rescaled to the output's quantization.
    Concat {
        /// int8 only: one factor per input.
        rescale: heapless::Vec<Rescale, MAX_INPUTS>,
    },
    /// Every element through a function of its own.
    Map {
        /// The function.
        function: MapFunction,
    },
    /// Part of the input: rows `start[0], start[0] + step[0], ...`, likewise columns, and the
    /// channels from `start[2]`; the output's shape says how many.
    Slice {
        /// First row, column, channel.
        start: [u32; 3],
        /// Step of rows and columns.
        step: [u32; 2],
    },
    /// The input with zeros (its zero point) around it.
    Pad {
        /// Rows, columns, channels before.
        before: [u32; 3],
        /// Rows, columns, channels after.
        after: [u32; 3],
    },
    /// Product of two tensors of one shape, or of a map and one number per channel (the second input,
    /// 1x1xC). int8: `acc = (a - za) * (b - zb)`, requantized as a convolution's accumulator.
    Mul {
        /// int8 only: in [2^30, 2^31).
        multiplier: i32,
        /// int8 only: in [1, 62].
        shift: u8,
    },
    /// `x` if positive, else the channel's slope times `x`. int8:
    /// `out = zero_point + (((q - zp) * m + 2^(shift-1)) >> shift)`, m being `positive` where `q > zp`.
    PRelu {
        /// One per channel: f32 slopes; int8: i32 multipliers, each at most 2^22 in magnitude.
        slopes: Blob,
        /// int8 only: the multiplier of positive values, at most 2^22.
        positive: i32,
        /// int8 only: the common shift, 1 to 30.
        shift: u8,
    },
    /// Local response normalization across channels: `x * (bias + alpha / size * sum(x^2))^-beta`, the
    /// sum over the channels from `c - (size - 1) / 2` to `c + size / 2` that exist. int8:
    /// `S = sum((q - zp)^2)`, `(i, f)` its place in the table (see [`norm_table`](super::norm_table)),
    /// `t = table[i] + (((table[i + 1] - table[i]) * f) >> 8)`,
    /// `out = zero_point + (((q - zp) * t + 2^(shift-1)) >> shift)`.
    LocalResponseNorm {
        /// Channels in the sum, 1 to [`MAX_NORM_SIZE`].
        size: u32,
        /// alpha, beta, bias; float only.
        float: [f32; 3],
        /// int8 only: as many i32 as [`NormTable::entries`](super::norm_table::NormTable::entries) says, each
        /// from 0 to 2^22.
        table: Blob,
        /// int8 only: where the entries lie. Below 8, `2^index_shift` pieces to an octave; else every
        /// `2^index_shift`, and `size * 255^2 >> index_shift` is at most 255.
        index_shift: u8,
        /// int8 only: 1 to 30.
        shift: u8,
    },
    /// Channel `j` of the output is channel `j % groups * (c / groups) + j / groups` of the input.
    Shuffle {
        /// Divides the channels.
        groups: u32,
    },
}

/// Function of a [`Op::Map`] layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum MapFunction {
    /// Float only.
    Activation(Activation),
    /// int8 only: `out = table[q + 128]`, 256 bytes made by the converter.
    Table(Blob),
}

impl Op {
    /// Short name, as `inspect` prints it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv { .. } => "conv",
            Op::DepthwiseConv { .. } => "depthwise-conv",
            Op::MaxPool { .. } => "max-pool",
            Op::AvgPool { .. } => "avg-pool",
            Op::Add { .. } => "add",
            Op::Concat { .. } => "concat",
            Op::Map { .. } => "map",
            Op::Slice { .. } => "slice",
            Op::Pad { .. } => "pad",
            Op::Mul { .. } => "mul",
            Op::PRelu { .. } => "prelu",
            Op::LocalResponseNorm { .. } => "local-response-norm",
            Op::Shuffle { .. } => "shuffle",
        }
    }
}

/// One step of the trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer<'a> {
    /// The source network's name for it.
    pub name: &'a str,
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub inputs: heapless::Vec<Operand, MAX_INPUTS>,
    /// What it writes. It may share bytes with an input only where the operator allows (see
    /// `Op::in_place`).
    pub output: Operand,
}

impl Op {
    /// True if the output may lie exactly on the first input (element `i` is written after the last
    /// read of it).
    pub fn in_place(&self) -> bool {
        matches!(
            self,
            Op::Add { .. } | Op::Map { .. } | Op::Mul { .. } | Op::PRelu { .. }
        )
    }

    /// Where the operator's numbers lie, in the order in which the converter writes them.
    pub fn blobs_mut(&mut self) -> heapless::Vec<&mut Blob, 4> {
        fn some<const N: usize>(blobs: [&mut Blob; N]) -> heapless::Vec<&mut Blob, 4> {
            blobs.into_iter().collect()
        }
        match self {
            Op::Conv { data, .. } | Op::DepthwiseConv { data, .. } => match data {
                ConvData::F32 { weights, bias, .. } => some([weights, bias]),
                ConvData::I8 {
                    weights,
                    bias,
                    multiplier,
                    shift,
                    ..
                } => some([weights, bias, multiplier, shift]),
                ConvData::Packed {
                    weights, channels, ..
                } => some([weights, channels]),
            },
            Op::AvgPool {
                multipliers: blob, ..
            }
            | Op::Map {
                function: MapFunction::Table(blob),
            }
            | Op::PRelu { slopes: blob, .. }
            | Op::LocalResponseNorm { table: blob, .. } => some([blob]),
            Op::MaxPool { .. }
            | Op::Add { .. }
            | Op::Concat { .. }
            | Op::Map {
                function: MapFunction::Activation(_),
            }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Mul { .. }
            | Op::Shuffle { .. } => some([]),
        }
    }
}

impl Layer<'_> {
    /// The numbers of a convolution, depthwise or not.
    pub fn conv_data(&self) -> Option<&ConvData> {
        match &self.op {
            Op::Conv { data, .. } | Op::DepthwiseConv { data, .. } => Some(data),
            _ => None,
        }
    }

    /// What the layer uses of the arena besides its operands.
    pub fn scratch(&self) -> Option<Scratch> {
        match self.conv_data()? {
            ConvData::Packed { scratch, .. } => Some(*scratch),
            _ => None,
        }
    }

    /// Multiply-accumulate operations of one inference (convolutions only, as papers count).
    pub fn macs(&self) -> u64 {
        let out = self.output.shape.len() as u64;
        match &self.op {
            Op::Conv { window, groups, .. } => {
                let per = window.kernel[0] as u64 * window.kernel[1] as u64;
                let channels = self.inputs.first().map_or(0, |i| i.shape.c as u64);
                out.saturating_mul(per * (channels / (*groups).max(1) as u64))
            }
            Op::DepthwiseConv { window, .. } => {
                out.saturating_mul(window.kernel[0] as u64 * window.kernel[1] as u64)
            }
            _ => 0,
        }
    }
}
