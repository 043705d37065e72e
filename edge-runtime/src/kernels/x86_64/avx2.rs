//! The portable kernels compiled for AVX2.

use crate::kernels::{ConvParams, Kernels, RequantizeParams, Sums, portable};

/// The portable kernels compiled for AVX2: the same source, so the same numbers.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The family, if the processor has AVX2.
    pub fn detect() -> Option<&'static Self> {
        // The only place that makes one: that a value exists proves that the processor has AVX2.
        std::arch::is_x86_feature_detected!("avx2").then_some(&Self(()))
    }
}

impl Kernels for Avx2 {
    fn name(&self) -> &'static str {
        "avx2"
    }

    fn conv(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { conv(p, input, output) }
    }

    fn depthwise(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { depthwise(p, input, output) }
    }

    fn requantize(&self, p: &RequantizeParams<'_>, sums: Sums<'_>, output: &mut [i8]) {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { requantize(p, sums, output) }
    }
}

#[target_feature(enable = "avx2")]
fn conv(p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
    portable::conv(p, input, output);
}

#[target_feature(enable = "avx2")]
fn depthwise(p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
    portable::depthwise(p, input, output);
}

#[target_feature(enable = "avx2")]
fn requantize(p: &RequantizeParams<'_>, sums: Sums<'_>, output: &mut [i8]) {
    portable::requantize_sums(p, sums, output);
}
