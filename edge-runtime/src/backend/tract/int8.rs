//! int8 layers: tract multiplies and accumulates, the engine's kernels do the rest, so that the result
//! equals the engine's bit for bit.
//!
//! A convolution becomes up to three nodes: its windows unfolded into rows (padding reads the zero
//! point), tract's int8 matrix product with i32 accumulators, and our requantization. tract's own
//! quantized convolution would pass the accumulators through a float scale, and would sum the inputs
//! again for zero points that the file has already folded into the bias.
//!
//! A depthwise convolution is tract's float one: tract has none for int8, and f32 adds integers exactly
//! as long as no partial sum reaches 2^24, which is checked for each filter. One that fails the check goes
//! the way of grouped convolutions.
//!
//! One EfficientNet-Lite0 (384 M MACs) takes 20 ms so, 26 ms in float, on one AVX-512 core.

use super::custom::Custom;
use super::float;
use super::kernel::{Center, Kernel, KernelLayer};
use super::network::{Network, check_size};
use super::part::{Part, Shuffle};
use super::requantize::Requantize;
use super::unfold::Unfold;
use crate::kernels::{AddParams, Geometry, MulParams, RequantizeFn};
use crate::model::norm_table::NormTable;
use crate::model::{ConvData, Layer, MapFunction, Model, Op, Operand, Window};
use tract_core::internal::*;
use tract_core::ops::einsum::EinSum;

/// Integers up to this magnitude are exact in f32.
const EXACT_F32: u64 = 1 << 24;

/// Wires one layer of an int8 model.
pub fn wire(
    net: &mut Network,
    model: &Model<'_>,
    layer: &Layer<'_>,
    requantize: Option<RequantizeFn>,
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
    let to = layer.output;
    let around = |window: &Window| Geometry {
        input: from.shape,
        output: to.shape,
        window: *window,
    };
    let kernel = match &layer.op {
        Op::Conv {
            window,
            groups,
            data,
        } => {
            let conv =
                Convolution::read(model, data, from, &to, window, *groups as usize, requantize)?;
            return conv.wire_product(net, x);
        }
        Op::DepthwiseConv { window, data } => {
            let groups = to.shape.c as usize;
            let conv = Convolution::read(model, data, from, &to, window, groups, requantize)?;
            return conv.wire_depthwise(net, x);
        }
        Op::MaxPool { window } => Kernel::MaxPool(around(window)),
        Op::AvgPool {
            window,
            multipliers,
            shift,
            ..
        } => Kernel::AvgPool {
            geometry: around(window),
            multipliers: model.i32s(*multipliers).to_vec(),
            shift: *shift,
            zero_points: [from.quant.zero_point, to.quant.zero_point],
        },
        Op::Add {
            multipliers,
            shift,
            clamp,
            ..
        } => {
            let [a, b] = layer.inputs.as_slice() else {
                bail!("an addition has two inputs")
            };
            Kernel::Add(AddParams {
                zero_points: [a.quant.zero_point, b.quant.zero_point],
                multipliers: *multipliers,
                shift: *shift,
                output_zero_point: to.quant.zero_point,
                clamp: *clamp,
            })
        }
        Op::Concat { rescale } => Kernel::Concat {
            parts: layer
                .inputs
                .iter()
                .map(|i| (i.shape.c as usize, i.quant.zero_point))
                .zip(rescale.iter().copied())
                .collect(),
            zero_point: to.quant.zero_point,
        },
        Op::Map {
            function: MapFunction::Table(table),
        } => Kernel::Map(model.i8s(*table).to_vec()),
        Op::Map {
            function: MapFunction::Activation(_),
        } => bail!("a float function in an int8 model"),
        Op::Slice { start, step } => {
            return net.node(
                "",
                Custom::new(Part::<i8>::new([from.shape, to.shape], *start, *step)),
                &[x],
            );
        }
        Op::Pad { before, .. } => Kernel::Pad {
            from: from.shape,
            before: *before,
            zero: from.quant.zero_point,
        },
        Op::Mul { multiplier, shift } => {
            let [a, b] = layer.inputs.as_slice() else {
                bail!("a product has two inputs")
            };
            Kernel::Mul(MulParams {
                zero_points: [a.quant.zero_point, b.quant.zero_point],
                multiplier: *multiplier,
                shift: *shift,
                output_zero_point: to.quant.zero_point,
            })
        }
        Op::PRelu {
            slopes,
            positive,
            shift,
        } => Kernel::PRelu {
            slopes: model.i32s(*slopes).to_vec(),
            positive: *positive,
            shift: *shift,
            zero_points: [from.quant.zero_point, to.quant.zero_point],
        },
        Op::LocalResponseNorm {
            size,
            table,
            index_shift,
            shift,
            ..
        } => Kernel::Norm {
            table: model.i32s(*table).to_vec(),
            size: *size as usize,
            spacing: NormTable::new(*index_shift),
            shift: *shift,
            zero_points: [from.quant.zero_point, to.quant.zero_point],
        },
        Op::Shuffle { groups } => {
            let shuffle = Shuffle::<i8>::new(from.shape, *groups);
            return net.node("", Custom::new(shuffle), &[x]);
        }
    };
    net.node(
        "",
        Custom::new(KernelLayer {
            kernel,
            output: to.shape,
        }),
        &inputs,
    )
}

/// An int8 convolution, its numbers copied out of the file.
struct Convolution {
    geometry: Geometry,
    groups: usize,
    input_zero_point: i8,
    weights: Vec<i8>,
    finish: Requantize,
}

impl Convolution {
    fn read(
        model: &Model<'_>,
        data: &ConvData,
        from: &Operand,
        to: &Operand,
        window: &Window,
        groups: usize,
        function: Option<RequantizeFn>,
    ) -> TractResult<Self> {
        let &ConvData::I8 {
            weights,
            bias,
            multiplier,
            shift,
            clamp,
        } = data
        else {
            bail!("its weights are float, or packed for a microcontroller");
        };
        Ok(Self {
            geometry: Geometry {
                input: from.shape,
                output: to.shape,
                window: *window,
            },
            groups,
            input_zero_point: from.quant.zero_point,
            weights: model.i8s(weights).to_vec(),
            finish: Requantize {
                bias: model.i32s(bias).to_vec(),
                multiplier: model.i32s(multiplier).to_vec(),
                shift: model.u8s(shift).to_vec(),
                zero_point: to.quant.zero_point,
                clamp,
                output: to.shape,
                function,
            },
        })
    }

    /// As a matrix product over unfolded windows.
    fn wire_product(self, net: &mut Network, x: OutletId) -> TractResult<OutletId> {
        let (g, groups) = (self.geometry, self.groups.max(1));
        let filters = g.output.c as usize;
        let [kh, kw] = g.window.kernel.map(|k| k as usize);
        let depth = kh * kw * (g.input.c as usize / groups);
        // Partial sums beyond i32 would wrap in one of tract's kernels and panic in another.
        let fits = |filter: &[i8]| {
            filter
                .iter()
                .map(|w| w.unsigned_abs() as u64 * 128)
                .sum::<u64>()
                <= i32::MAX as u64
        };
        ensure!(
            self.weights.chunks(depth.max(1)).all(fits),
            "its accumulators could overflow; convert the network again"
        );
        let positions = g.output.h as usize * g.output.w as usize;
        let pointwise =
            g.window.is_unpadded() && g.window.kernel == [1, 1] && g.window.stride == [1, 1];
        let rows = if pointwise && groups == 1 {
            let from = tvec!(
                1.to_dim(),
                (g.input.h as usize).to_dim(),
                (g.input.w as usize).to_dim()
            );
            net.node(
                "rows",
                AxisOp::Reshape(0, from, tvec!(positions.to_dim())),
                &[x],
            )?
        } else {
            check_size(
                "unfolded input",
                &[positions as u64, groups as u64, depth as u64],
            )?;
            let unfold = Unfold {
                geometry: g,
                groups,
                zero_point: self.input_zero_point,
            };
            net.node("rows", Custom::new(unfold), &[x])?
        };
        let (expression, shape): (_, &[usize]) = match groups {
            1 => ("mk,ok->mo", &[filters, depth]),
            _ => ("mgk,gok->mgo", &[groups, filters / groups, depth]),
        };
        let w = net.constant("weights", shape, &self.weights)?;
        let product = EinSum::new(expression.parse()?, DatumType::I32);
        let acc = net.node("sum", product, &[rows, w])?;
        net.node("", Custom::new(self.finish), &[acc])
    }

    /// As a float depthwise convolution of `q - zero_point`, padded with zeros.
    fn wire_depthwise(mut self, net: &mut Network, x: OutletId) -> TractResult<OutletId> {
        let (g, zero) = (self.geometry, self.input_zero_point);
        let channels = (g.output.c as usize).max(1);
        let farthest = (i8::MAX as i64 - zero as i64).max(zero as i64 - i8::MIN as i64) as u64;
        let mut magnitude = vec![0u64; channels];
        let mut sum = vec![0i32; channels];
        for tap in self.weights.chunks(channels) {
            for (c, w) in tap.iter().enumerate() {
                magnitude[c] += w.unsigned_abs() as u64 * farthest;
                sum[c] = sum[c].wrapping_add(*w as i32);
            }
        }
        if magnitude.iter().any(|m| *m >= EXACT_F32) {
            self.weights = channels_last_to_first(&self.weights, channels);
            return self.wire_product(net, x);
        }
        // The file folded -zero_point * sum(w) into the bias; here the inputs are centred instead.
        for (bias, sum) in self.finish.bias.iter_mut().zip(sum) {
            *bias = bias.wrapping_add(sum.wrapping_mul(zero as i32));
        }
        let centred = net.node(
            "centred",
            Custom::new(Center {
                shape: g.input,
                zero_point: zero,
            }),
            &[x],
        )?;
        let weights: Vec<f32> = self.weights.iter().map(|w| *w as f32).collect();
        let acc = float::depthwise(
            net,
            "sum",
            &g.window,
            [g.input, g.output],
            centred,
            &weights,
            &vec![0.0; channels],
        )?;
        net.node("", Custom::new(self.finish), &[acc])
    }
}

/// 1HWC weights of a depthwise convolution as OHWI ones of a grouped convolution.
fn channels_last_to_first(hwc: &[i8], channels: usize) -> Vec<i8> {
    (0..channels)
        .flat_map(|c| hwc.iter().skip(c).step_by(channels))
        .copied()
        .collect()
}
