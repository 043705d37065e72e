//! int8 layers, whose results equal the engine's bit for bit.
//!
//! Where the kernels pack weights for this processor ([`crate::kernels::Prepacked`]), a convolution is one node, and
//! that is theirs. Elsewhere tract multiplies and accumulates, and the engine's kernels do the rest:
//!
//! A convolution becomes up to three nodes: its windows unfolded into rows (padding reads the zero
//! point), tract's int8 matrix product with i32 accumulators, and our requantization. tract's own
//! quantized convolution would pass the accumulators through a float scale, and would sum the inputs
//! again for zero points that the file has already folded into the bias.
//!
//! A depthwise convolution is tract's float one: tract has none for int8, and f32 adds integers exactly
//! as long as no partial sum reaches 2^24, which is checked for each filter. One that fails the check goes
//! the way of grouped convolutions.

use super::custom::Custom;
use super::float;
use super::kernel::KernelLayer;
use super::network::{Network, check_size};
use super::prepacked::PrepackedLayer;
use super::requantize::{Center, Requantize};
use super::unfold::Unfold;
use crate::kernels::{ConvParams, Geometry, Kernels, UnfoldParams, prepack};
use crate::model::{Layer, Model, Op};
use tract_core::internal::*;
use tract_core::ops::einsum::EinSum;

/// Integers up to this magnitude are exact in f32.
const EXACT_F32: u64 = 1 << 24;

/// Wires one layer of an int8 model.
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
    let x = *inputs.first().context("it has no input")?;
    if let Some(conv) = prepack(kernels, model, layer) {
        let output = layer.output.shape;
        return net.node("", Custom::new(PrepackedLayer { conv, output }), &inputs);
    }
    let conv = || {
        let params = ConvParams::of(model, layer)
            .context("its weights are float, or packed for a microcontroller")?;
        TractResult::Ok(Convolution::new(&params, kernels))
    };
    match layer.op {
        Op::Conv { .. } => conv()?.wire_product(net, x),
        Op::DepthwiseConv { .. } => conv()?.wire_depthwise(net, x),
        _ => {
            let node = Custom::new(KernelLayer::new(model, layer, kernels));
            net.node("", node, &inputs)
        }
    }
}

/// An int8 convolution, its numbers copied out of the file.
struct Convolution {
    geometry: Geometry,
    groups: usize,
    input_zero_point: i8,
    weights: Vec<i8>,
    finish: Requantize,
    kernels: &'static dyn Kernels,
}

impl Convolution {
    fn new(params: &ConvParams<'_>, kernels: &'static dyn Kernels) -> Self {
        Self {
            geometry: params.geometry,
            groups: params.groups,
            input_zero_point: params.input_zero_point,
            weights: params.weights.to_vec(),
            finish: Requantize::new(&params.requantize, params.geometry.output, kernels),
            kernels,
        }
    }

    /// As a matrix product over unfolded windows.
    fn wire_product(self, net: &mut Network, x: OutletId) -> TractResult<OutletId> {
        let (g, groups) = (self.geometry, self.groups);
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
                params: UnfoldParams {
                    geometry: g,
                    groups,
                    zero_point: self.input_zero_point,
                },
                kernels: self.kernels,
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
