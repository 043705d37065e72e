//! Convolutions that a family of kernels computes whole, from weights that it has packed for itself.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::kernels::Prepacked;
use crate::tensor::Shape;
use tract_core::internal::*;

/// A convolution as a node.
#[derive(Debug)]
pub struct PrepackedLayer {
    /// The convolution.
    pub conv: Box<dyn Prepacked>,
    /// Shape of its output.
    pub output: Shape,
}

impl Compute for PrepackedLayer {
    fn name(&self) -> &'static str {
        "PrepackedConv"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::I8, dims(self.output).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<i8>(inputs, 0)?;
        let mut scratch = vec![0; self.conv.scratch_len()];
        filled(&dims(self.output), |output| {
            let all = 0..self.conv.units().count;
            self.conv.run(all, input, output, &mut scratch);
        })
    }
}
