//! From a layer to the kernel that computes it: one match for the engine and for tract's int8 layers.

use super::*;
use crate::model::{Layer, Op};

/// Computes an int8 layer; `None` if it is float, or a packed convolution, which needs scratch memory
/// ([`Kernels::packed`]).
///
/// `input(i)` is the i-th input, or `None` if it lies in `output` and is overwritten, which only the first input
/// of a layer may that [`Op::in_place`] allows.
///
/// # Panics
/// If a slice has not the length of its tensor, or `Model::parse` would refuse the layer.
pub fn run<'i, K: Kernels + ?Sized>(
    kernels: &K,
    weights: &(impl Weights + ?Sized),
    layer: &Layer<'_>,
    input: impl Fn(usize) -> Option<&'i [i8]>,
    output: &mut [i8],
) -> Option<()> {
    let first = input(0);
    let in_place = first.is_none();
    let x = first.unwrap_or_default();
    let second = || input(1).unwrap_or_default();
    match &layer.op {
        Op::Conv { .. } => kernels.conv(&ConvParams::of(weights, layer)?, x, output),
        Op::DepthwiseConv { .. } => kernels.depthwise(&ConvParams::of(weights, layer)?, x, output),
        Op::MaxPool { .. } => kernels.max_pool(&Geometry::of_max_pool(layer)?, x, output),
        Op::AvgPool { .. } => kernels.avg_pool(&AvgPoolParams::of(weights, layer)?, x, output),
        Op::Add { .. } => {
            let p = AddParams::of(layer)?;
            match in_place {
                true => kernels.add_in_place(&p, output, second()),
                false => kernels.add(&p, x, second(), output),
            }
        }
        Op::Concat { .. } => {
            for (i, part) in ConcatParams::of(layer)?.parts().enumerate() {
                kernels.concat_part(&part, input(i).unwrap_or_default(), output);
            }
        }
        Op::Map { .. } => {
            let p = MapParams::of(weights, layer)?;
            match in_place {
                true => kernels.map_in_place(&p, output),
                false => kernels.map(&p, x, output),
            }
        }
        Op::Slice { .. } => kernels.slice(&SliceParams::of(layer)?, x, output),
        Op::Pad { .. } => kernels.pad(&PadParams::of(layer)?, x, output),
        Op::Mul { .. } => {
            let p = MulParams::of(layer)?;
            match in_place {
                true => kernels.mul_in_place(&p, output, second()),
                false => kernels.mul(&p, x, second(), output),
            }
        }
        Op::PRelu { .. } => {
            let p = PReluParams::of(weights, layer)?;
            match in_place {
                true => kernels.prelu_in_place(&p, output),
                false => kernels.prelu(&p, x, output),
            }
        }
        Op::LocalResponseNorm { .. } => kernels.norm(&NormParams::of(weights, layer)?, x, output),
        Op::Shuffle { .. } => kernels.shuffle(&ShuffleParams::of(layer)?, x, output),
    }
    Some(())
}
