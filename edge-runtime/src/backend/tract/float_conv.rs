//! Float convolutions by the kernels of this crate: tract's own take 1.5 times as long, depthwise ones several times.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::kernels::{FloatDepthwiseParams, Geometry, Kernels, PrepackedFloat};
use crate::model::Shape;
use tract_core::internal::*;

/// A float [`crate::model::Op::DepthwiseConv`].
#[derive(Debug)]
pub struct FloatDepthwise {
    /// What computes it.
    pub kernels: &'static dyn Kernels,
    /// Shapes and window.
    pub geometry: Geometry,
    /// Weights, HWC.
    pub weights: Vec<f32>,
    /// One per channel.
    pub bias: Vec<f32>,
    /// Smallest and largest output.
    pub clamp: Option<[f32; 2]>,
}

impl Compute for FloatDepthwise {
    fn name(&self) -> &'static str {
        "FloatDepthwise"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::F32, dims(self.geometry.output).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<f32>(inputs, 0)?;
        let params = FloatDepthwiseParams {
            geometry: self.geometry,
            weights: &self.weights,
            bias: &self.bias,
            clamp: self.clamp,
        };
        filled(&dims(self.geometry.output), |output| {
            self.kernels.float_depthwise(&params, input, output);
        })
    }
}

/// A float [`crate::model::Op::Conv`].
#[derive(Debug)]
pub struct FloatConv {
    /// The convolution.
    pub conv: Box<dyn PrepackedFloat>,
    /// Shape of its output.
    pub output: Shape,
}

impl Compute for FloatConv {
    fn name(&self) -> &'static str {
        "FloatConv"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::F32, dims(self.output).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<f32>(inputs, 0)?;
        filled(&dims(self.output), |output| self.conv.run(input, output))
    }
}
