//! The windows of an int8 convolution as the rows of a matrix. Knows no weights.

use super::custom::{Compute, filled, values};
use crate::kernels::{Kernels, UnfoldParams};
use tract_core::internal::*;

/// `[positions, (groups,) taps * channels]`; see [`Kernels::unfold`].
#[derive(Debug)]
pub struct Unfold {
    /// Shapes, groups and zero point; with one group, its dimension is left out.
    pub params: UnfoldParams,
    /// What unfolds.
    pub kernels: &'static dyn Kernels,
}

impl Compute for Unfold {
    fn name(&self) -> &'static str {
        "Unfold"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        let o = self.params.geometry.output;
        let positions = o.h as usize * o.w as usize;
        let shape = match self.params.groups {
            1 => tvec!(positions, self.params.depth()),
            groups => tvec!(positions, groups, self.params.depth()),
        };
        (DatumType::I8, shape)
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<i8>(inputs, 0)?;
        filled(&self.output().1, |out| {
            self.kernels.unfold(&self.params, input, out)
        })
    }
}
