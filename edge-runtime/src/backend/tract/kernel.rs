//! int8 layers that a family of kernels computes whole.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::kernels::{self, Kernels, Weights};
use crate::model::{AlignedBytes, Blob, Layer, Model};
use tract_core::internal::*;

/// One layer with a copy of its numbers, since tract's operators outlive the file.
#[derive(Debug)]
pub struct KernelLayer {
    layer: Layer<'static>,
    numbers: Numbers,
    kernels: &'static dyn Kernels,
}

impl KernelLayer {
    /// Copies the layer and its numbers.
    pub fn new(model: &Model<'_>, layer: &Layer<'_>, kernels: &'static dyn Kernels) -> Self {
        let mut op = layer.op.clone();
        let copy = |blob: &mut Blob| (*blob, AlignedBytes::copy_of(model.u8s(*blob)));
        let numbers = Numbers(op.blobs_mut().into_iter().map(copy).collect());
        let layer = Layer {
            name: "",
            op,
            inputs: layer.inputs.clone(),
            output: layer.output,
        };
        Self {
            layer,
            numbers,
            kernels,
        }
    }
}

/// Copies of the blobs of one layer.
#[derive(Debug)]
struct Numbers(Vec<(Blob, AlignedBytes)>);

impl Weights for Numbers {
    fn bytes(&self, blob: Blob) -> &[u8] {
        let copy = self.0.iter().find(|(of, _)| *of == blob);
        copy.map_or(&[], |(_, bytes)| bytes)
    }
}

impl Compute for KernelLayer {
    fn name(&self) -> &'static str {
        self.layer.op.name()
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::I8, dims(self.layer.output.shape).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let inputs = (0..inputs.len())
            .map(|i| values::<i8>(inputs, i))
            .collect::<TractResult<TVec<_>>>()?;
        let input = |i: usize| inputs.get(i).copied();
        let mut done = None;
        let output = filled(&dims(self.layer.output.shape), |output| {
            done = kernels::run(self.kernels, &self.numbers, &self.layer, input, output);
        })?;
        done.context("a float layer, or a packed one")?;
        Ok(output)
    }
}
