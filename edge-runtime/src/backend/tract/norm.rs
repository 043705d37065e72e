//! Local response normalization in float; tract has no such operator. Knows numbers, no layers.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::model::Shape;
use tract_core::internal::*;

/// A float [`crate::model::Op::LocalResponseNorm`].
#[derive(Debug)]
pub struct LocalResponseNorm {
    /// Of input and output.
    pub shape: Shape,
    /// Channels in the sum.
    pub size: usize,
    /// alpha, beta, bias.
    pub numbers: [f32; 3],
}

impl Compute for LocalResponseNorm {
    fn name(&self) -> &'static str {
        "LocalResponseNorm"
    }

    fn output(&self) -> (DatumType, TVec<usize>) {
        (DatumType::F32, dims(self.shape).into())
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = values::<f32>(inputs, 0)?;
        let channels = self.shape.c as usize;
        let [alpha, beta, bias] = self.numbers;
        let (before, after) = ((self.size - 1) / 2, self.size / 2);
        let mut squares = vec![0f32; channels];
        filled(&dims(self.shape), |out: &mut [f32]| {
            let pixels = out
                .chunks_exact_mut(channels)
                .zip(input.chunks_exact(channels));
            for (out, pixel) in pixels {
                for (s, v) in squares.iter_mut().zip(pixel) {
                    *s = v * v;
                }
                for (c, (v, x)) in out.iter_mut().zip(pixel).enumerate() {
                    let around = c.saturating_sub(before)..(c + after + 1).min(channels);
                    let sum: f32 = squares[around].iter().sum();
                    *v = x * (bias + alpha / self.size as f32 * sum).powf(-beta);
                }
            }
        })
    }
}
