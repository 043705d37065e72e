//! From a convolution's accumulators to its int8 output, by the engine's own rounding.

use super::custom::{Compute, filled, values};
use super::network::dims;
use crate::kernels::{self, RequantizeFn};
use crate::model::Shape;
use tract_core::internal::*;

/// Adds the bias to i32 (or exact f32) sums and requantizes them, channel by channel.
#[derive(Debug)]
pub struct Requantize {
    /// One per channel.
    pub bias: Vec<i32>,
    /// One per channel.
    pub multiplier: Vec<i32>,
    /// One per channel.
    pub shift: Vec<u8>,
    /// Of the output.
    pub zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
    /// Shape of the output.
    pub output: Shape,
    /// In the place of [`kernels::requantize`]; for fault injection.
    pub function: Option<RequantizeFn>,
}

impl Requantize {
    fn all<T: Copy>(&self, sums: &[T], to_i32: impl Fn(T) -> i32, out: &mut [i8]) {
        if let Some(f) = self.function {
            return self.each(sums, to_i32, out, f);
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has AVX2.
            return unsafe { self.all_avx2(sums, to_i32, out) };
        }
        self.each(sums, to_i32, out, kernels::requantize)
    }

    /// The same source compiled for AVX2, so the same numbers: a third off an EfficientNet-Lite0.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn all_avx2<T: Copy>(&self, sums: &[T], to_i32: impl Fn(T) -> i32, out: &mut [i8]) {
        self.each(sums, to_i32, out, kernels::requantize)
    }

    #[inline(always)]
    fn each<T: Copy>(
        &self,
        sums: &[T],
        to_i32: impl Fn(T) -> i32,
        out: &mut [i8],
        f: impl Fn(i32, i32, u8, i8, [i8; 2]) -> i8,
    ) {
        let channels = self.bias.len().max(1);
        for (out, sums) in out
            .chunks_exact_mut(channels)
            .zip(sums.chunks_exact(channels))
        {
            let per_channel = self.bias.iter().zip(&self.multiplier).zip(&self.shift);
            for ((q, sum), ((bias, m), n)) in out.iter_mut().zip(sums).zip(per_channel) {
                *q = f(
                    to_i32(*sum).wrapping_add(*bias),
                    *m,
                    *n,
                    self.zero_point,
                    self.clamp,
                );
            }
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
        if datum == DatumType::F32 {
            let sums = values::<f32>(inputs, 0)?;
            filled(&dims(self.output), |out| self.all(sums, |v| v as i32, out))
        } else {
            let sums = values::<i32>(inputs, 0)?;
            filled(&dims(self.output), |out| self.all(sums, |v| v, out))
        }
    }
}
