//! Strided parts of float tensors and float channel shuffles, by the portable kernels.
//!
//! tract has `Slice` and `Downsample`, but the optimizer of 0.23.9 merges both into a convolution before
//! them and loses where the slice started.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::kernels::{ShuffleParams, SliceParams, portable};
use crate::tensor::Shape;
use tract_core::internal::*;

/// A float [`Op::Slice`](crate::model::Op::Slice).
#[derive(Debug)]
pub struct Part(pub SliceParams);

impl Compute for Part {
    fn name(&self) -> &'static str {
        "Part"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::F32, dims(self.0.output).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<f32>(inputs, 0)?;
        filled(&dims(self.0.output), |out: &mut [f32]| {
            portable::slice(&self.0, input, out)
        })
    }
}

/// A float [`Op::Shuffle`](crate::model::Op::Shuffle).
#[derive(Debug)]
pub struct Shuffle {
    /// Shape of input and output.
    pub shape: Shape,
    /// Which channels go where.
    pub params: ShuffleParams,
}

impl Compute for Shuffle {
    fn name(&self) -> &'static str {
        "Shuffle"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::F32, dims(self.shape).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<f32>(inputs, 0)?;
        filled(&dims(self.shape), |out: &mut [f32]| {
            portable::shuffle(&self.params, input, out)
        })
    }
}
