//! What stands around a matrix product that tract computes: inputs without their zero point before it, int8
//! outputs from its sums behind it.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::kernels::{Kernels, RequantizeParams, Sums};
use crate::tensor::Shape;
use tract_core::internal::*;

/// Adds the bias to i32 (or exact f32) sums and requantizes them, channel by channel.
#[derive(Debug)]
pub struct Requantize {
    /// One per channel.
    pub bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<u8>,
    zero_point: i8,
    clamp: [i8; 2],
    output: Shape,
    kernels: &'static dyn Kernels,
}

impl Requantize {
    /// Copies the numbers. `output` is the shape of the output.
    pub fn new(
        params: &RequantizeParams<'_>,
        output: Shape,
        kernels: &'static dyn Kernels,
    ) -> Self {
        Self {
            bias: params.bias.to_vec(),
            multiplier: params.multiplier.to_vec(),
            shift: params.shift.to_vec(),
            zero_point: params.zero_point,
            clamp: params.clamp,
            output,
            kernels,
        }
    }

    fn params(&self) -> RequantizeParams<'_> {
        RequantizeParams {
            bias: &self.bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
            zero_point: self.zero_point,
            clamp: self.clamp,
        }
    }
}

impl Compute for Requantize {
    fn name(&self) -> &'static str {
        "Requantize"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::I8, dims(self.output).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let datum = inputs.first().context("an input is missing")?.datum_type();
        let sums = match datum {
            DatumType::F32 => Sums::F32(values(inputs, 0)?),
            _ => Sums::I32(values(inputs, 0)?),
        };
        filled(&dims(self.output), |out| {
            self.kernels.requantize(&self.params(), sums, out)
        })
    }
}

/// `q - zero_point` as f32.
#[derive(Debug)]
pub struct Center {
    /// Shape of input and output.
    pub shape: Shape,
    /// Of the input.
    pub zero_point: i8,
}

impl Compute for Center {
    fn name(&self) -> &'static str {
        "Center"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::F32, dims(self.shape).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<i8>(inputs, 0)?;
        filled(&dims(self.shape), |out: &mut [f32]| {
            for (v, q) in out.iter_mut().zip(input) {
                *v = (*q as i32 - self.zero_point as i32) as f32;
            }
        })
    }
}
