//! Convolutions whose weights a family has packed for itself, once, when a model is loaded.

use super::{ConvParams, Kernels, Weights};
use crate::model::{Layer, Op};
use core::fmt::Debug;
use core::ops::Range;

/// A convolution, depthwise or not, with its weights as one family of kernels likes them.
///
/// [`Kernels::prepack_conv`](super::Kernels::prepack_conv) makes it. It owns all its numbers, so threads share it,
/// and the file's weights are no longer needed.
///
/// The work can be divided: an output has [`Self::units`] parts that are computed apart, in any order, by any
/// thread, and lie one after another in the output.
pub trait Prepacked: Debug + Send + Sync {
    /// How many parts the output has, and how many elements each but the last has.
    fn units(&self) -> Units;

    /// Words of 8 bytes that [`Self::run`] needs for itself.
    fn scratch_len(&self) -> usize;

    /// Computes the parts `units` of the output, which are `output`, from the whole input.
    ///
    /// # Panics
    /// If a slice is shorter than that takes.
    fn run(&self, units: Range<usize>, input: &[i8], output: &mut [i8], scratch: &mut [u64]);
}

/// A float convolution with its weights as one family of kernels likes them.
///
/// [`Kernels::prepack_float_conv`](super::Kernels::prepack_float_conv) makes it.
pub trait PrepackedFloat: Debug + Send + Sync {
    /// Computes the output.
    ///
    /// # Panics
    /// If a slice is shorter than that takes.
    fn run(&self, input: &[f32], output: &mut [f32]);
}

/// How an output is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// Number of parts.
    pub count: usize,
    /// Elements of each part but the last.
    pub len: usize,
    /// Elements of the output.
    pub total: usize,
}

impl Units {
    /// The elements of the parts `units`.
    pub fn elements(&self, units: &Range<usize>) -> Range<usize> {
        let end = |unit: usize| (unit * self.len).min(self.total);
        end(units.start)..end(units.end)
    }
}

/// Packs the weights of a convolution, depthwise or not, if `kernels` has a packed form of it.
pub fn prepack<K: Kernels + ?Sized>(
    kernels: &K,
    weights: &(impl Weights + ?Sized),
    layer: &Layer<'_>,
) -> Option<Box<dyn Prepacked>> {
    let params = ConvParams::of(weights, layer)?;
    match layer.op {
        Op::DepthwiseConv { .. } => kernels.prepack_depthwise(&params),
        _ => kernels.prepack_conv(&params),
    }
}
