//! Float layers as tract's own operators, NHWC throughout.
//!
//! NHWC is the file's layout, and tract is not slower in it: an EfficientNet-Lite0 of 385 M MACs takes
//! 25.7 ms in NHWC and 28.9 ms in NCHW with a transposition at each end (ratio 0.89, one thread, AVX-512),
//! a chain of dense 3x3 convolutions the same time in both.

use super::custom::Custom;
use super::float_conv::{FloatConv, FloatDepthwise};
use super::network::{Network, check_size, dims};
use super::norm::LocalResponseNorm;
use super::part::{Part, Shuffle};
use crate::kernels::{FloatConvParams, Geometry, Kernels, ShuffleParams, SliceParams};
use crate::model::{Activation, ConvData, Layer, MapFunction, Model, Op, Shape, Window};
use tract_core::internal::*;
use tract_core::ops::array::{Pad, PadMode, TypedConcat};
use tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_core::ops::math;
use tract_core::ops::nn::{DataFormat, hard_swish, leaky_relu, sigmoid, silu};

/// Wires one layer of a float model.
pub fn wire(
    net: &mut Network,
    model: &Model<'_>,
    layer: &Layer<'_>,
    kernels: &'static dyn Kernels,
) -> TractResult<OutletId> {
    let inputs: TVec<OutletId> = layer
        .inputs
        .iter()
        .map(|i| net.tensor(i))
        .collect::<TractResult<_>>()?;
    let (&x, from) = inputs
        .first()
        .zip(layer.inputs.first())
        .context("it has no input")?;
    let to = layer.output.shape;
    match &layer.op {
        Op::Conv {
            window,
            groups,
            data,
        } => {
            let (weights, bias, activation) = numbers(model, data)?;
            let (clamp, left) = clamped(activation);
            let packed = kernels.prepack_float_conv(&FloatConvParams {
                geometry: Geometry {
                    input: from.shape,
                    output: to,
                    window: *window,
                },
                groups: *groups as usize,
                weights,
                bias,
                clamp,
            });
            if let Some(conv) = packed {
                let conv = FloatConv { conv, output: to };
                let y = net.node(suffix(left, "sum"), Custom::new(conv), &[x])?;
                return activate(net, y, left);
            }
            let spec = pool_spec(window, from.shape, to)?;
            let conv = Conv::new(spec, KernelFormat::OIHW, *groups as usize, None);
            let per_filter = from.shape.c as usize / (*groups).max(1) as usize;
            let [kh, kw] = window.kernel.map(|k| k as usize);
            let weights = channels_first(weights, per_filter, kh * kw);
            let w = net.constant("weights", &[to.c as usize, per_filter, kh, kw], &weights)?;
            let b = net.constant("bias", &[bias.len()], bias)?;
            let y = net.node(suffix(activation, "sum"), conv, &[x, w, b])?;
            activate(net, y, activation)
        }
        Op::DepthwiseConv { window, data } => {
            let (weights, bias, activation) = numbers(model, data)?;
            let (clamp, left) = clamped(activation);
            let conv = FloatDepthwise {
                kernels,
                geometry: Geometry {
                    input: from.shape,
                    output: to,
                    window: *window,
                },
                weights: weights.to_vec(),
                bias: bias.to_vec(),
                clamp,
            };
            let y = net.node(suffix(left, "sum"), Custom::new(conv), &[x])?;
            activate(net, y, left)
        }
        Op::MaxPool { window } => net.node(
            "",
            MaxPool::new(pool_spec(window, from.shape, to)?, None),
            &[x],
        ),
        Op::AvgPool {
            window,
            count_padding,
            ..
        } => net.node(
            "",
            SumPool::new(pool_spec(window, from.shape, to)?, *count_padding, true),
            &[x],
        ),
        Op::Add { activation, .. } => {
            let y = net.node(suffix(*activation, "sum"), math::add(), &inputs)?;
            activate(net, y, *activation)
        }
        Op::Concat { .. } => net.node("", TypedConcat::new(3), &inputs),
        Op::Map {
            function: MapFunction::Activation(f),
        } => activate(net, x, *f),
        Op::Map {
            function: MapFunction::Table(_),
        } => bail!("a table of int8 values in a float model"),
        Op::Slice { start, step } => {
            let part = Part(SliceParams {
                input: from.shape,
                output: to,
                start: *start,
                step: *step,
            });
            net.node("", Custom::new(part), &[x])
        }
        Op::Pad { before, after } => {
            let mut pads = vec![(0, 0)];
            pads.extend(
                before
                    .iter()
                    .zip(after)
                    .map(|(b, a)| (*b as usize, *a as usize)),
            );
            net.node("", Pad::new(pads, PadMode::Constant(rctensor0(0f32))), &[x])
        }
        Op::Mul { .. } => net.node("", math::mul(), &inputs),
        Op::PRelu { slopes, .. } => {
            let slopes = model.f32s(*slopes);
            let slopes = net.constant("slopes", &[1, 1, 1, slopes.len()], slopes)?;
            let zero = net.constant("zero", &[1, 1, 1, 1], &[0f32])?;
            let positive = net.node("positive", math::max(), &[x, zero])?;
            let negative = net.node("negative", math::min(), &[x, zero])?;
            let negative = net.node("scaled", math::mul(), &[negative, slopes])?;
            net.node("", math::add(), &[positive, negative])
        }
        Op::LocalResponseNorm { size, float, .. } => {
            let norm = LocalResponseNorm {
                shape: to,
                size: *size as usize,
                numbers: *float,
            };
            net.node("", Custom::new(norm), &[x])
        }
        Op::Shuffle { groups } => {
            let params = ShuffleParams {
                channels: to.c as usize,
                groups: *groups as usize,
            };
            let shuffle = Shuffle { shape: to, params };
            net.node("", Custom::new(shuffle), &[x])
        }
    }
}

/// tract's own depthwise convolution of floats, of which an int8 one can be made. `weights` are HWC; `shapes` the input's
/// and the output's.
pub fn depthwise(
    net: &mut Network,
    suffix: &str,
    window: &Window,
    shapes: [Shape; 2],
    x: OutletId,
    weights: &[f32],
    bias: &[f32],
) -> TractResult<OutletId> {
    let c = shapes[1].c as usize;
    let [kh, kw] = window.kernel.map(|k| k as usize);
    let spec = pool_spec(window, shapes[0], shapes[1])?;
    let w = net.constant("weights", &[kh, kw, c, 1], weights)?;
    let b = net.constant("bias", &[c], bias)?;
    let conv = Conv::new(spec, KernelFormat::HWIO, c, None);
    let (model, name) = net.parts(suffix);
    conv.wire_as_depth_wise(model, &name, &[x, w, b])
}

fn numbers<'m>(
    model: &Model<'m>,
    data: &ConvData,
) -> TractResult<(&'m [f32], &'m [f32], Activation)> {
    match *data {
        ConvData::F32 {
            weights,
            bias,
            activation,
        } => Ok((model.f32s(weights), model.f32s(bias), activation)),
        ConvData::I8 { .. } | ConvData::Packed { .. } => bail!("int8 weights in a float model"),
    }
}

/// What a convolution clamps its output to, and the activation that is left.
fn clamped(activation: Activation) -> (Option<[f32; 2]>, Activation) {
    match activation {
        Activation::Relu => (Some([0.0, f32::INFINITY]), Activation::None),
        Activation::Relu6 => (Some([0.0, 6.0]), Activation::None),
        other => (None, other),
    }
}

/// OHWI weights as OIHW, the only layout of grouped kernels that tract reads as we mean it.
fn channels_first(ohwi: &[f32], channels: usize, taps: usize) -> Vec<f32> {
    let mut oihw = Vec::with_capacity(ohwi.len());
    for filter in ohwi.chunks_exact((channels * taps).max(1)) {
        for i in 0..channels {
            oihw.extend(filter.iter().skip(i).step_by(channels));
        }
    }
    oihw
}

/// Where the node before the activation gets its name: the last node bears the layer's.
fn suffix(activation: Activation, otherwise: &'static str) -> &'static str {
    match activation {
        Activation::None => "",
        _ => otherwise,
    }
}

fn pool_spec(window: &Window, input: Shape, output: Shape) -> TractResult<PoolSpec> {
    let pair = |p: [u32; 2]| -> TVec<usize> { p.iter().map(|v| *v as usize).collect() };
    let [h, w] =
        [0, 1].map(|a| (window.pad_before[a] as u64).saturating_add(window.pad_after[a] as u64));
    check_size(
        "padded input",
        &[h + input.h as u64, w + input.w as u64, input.c as u64],
    )?;
    let padding = match window.is_unpadded() {
        true => PaddingSpec::Valid,
        false => PaddingSpec::Explicit(pair(window.pad_before), pair(window.pad_after)),
    };
    Ok(PoolSpec::new(
        DataFormat::NHWC,
        pair(window.kernel),
        padding,
        Some(pair(window.dilation)),
        Some(pair(window.stride)),
        dims(input)[3],
        dims(output)[3],
    ))
}

/// Wires `f`; tract fuses the clamps into the matrix product before them.
fn activate(net: &mut Network, x: OutletId, f: Activation) -> TractResult<OutletId> {
    let mut scalar = |suffix: &str, value: f32| net.constant(suffix, &[1, 1, 1, 1], &[value]);
    match f {
        Activation::None => Ok(x),
        Activation::Relu => {
            let zero = scalar("zero", 0.0)?;
            net.node("", math::max(), &[x, zero])
        }
        Activation::Relu6 => {
            let (zero, six) = (scalar("zero", 0.0)?, scalar("six", 6.0)?);
            let y = net.node("relu", math::max(), &[x, zero])?;
            net.node("", math::min(), &[y, six])
        }
        Activation::HardSigmoid => {
            let (zero, three, six) = (
                scalar("zero", 0.0)?,
                scalar("three", 3.0)?,
                scalar("six", 6.0)?,
            );
            let sixth = scalar("sixth", 1.0 / 6.0)?;
            let y = net.node("shifted", math::add(), &[x, three])?;
            let y = net.node("relu", math::max(), &[y, zero])?;
            let y = net.node("relu6", math::min(), &[y, six])?;
            net.node("", math::mul(), &[y, sixth])
        }
        Activation::LeakyRelu(slope) => net.node("", leaky_relu(slope), &[x]),
        Activation::Sigmoid => net.node("", sigmoid(), &[x]),
        Activation::Silu => net.node("", silu::silu(), &[x]),
        Activation::HardSwish => net.node("", hard_swish(), &[x]),
        Activation::Tanh => net.node("", math::tanh(), &[x]),
        Activation::Clip(low, high) => {
            let (low, high) = (scalar("low", low)?, scalar("high", high)?);
            let y = net.node("clipped", math::max(), &[x, low])?;
            net.node("", math::min(), &[y, high])
        }
    }
}
