//! Kernels for AVX2: convolutions with packed weights, and the portable kernels compiled for it.

mod conv;
mod depthwise;
mod finish;
mod lanes;
mod winograd;

use super::portable;
use crate::kernels::floats::FloatConv;
use crate::kernels::*;

/// The family for processors with AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The family, if the processor has AVX2 and fused multiply-add, which come together.
    pub fn detect() -> Option<&'static Self> {
        // The only place that makes one: that a value exists proves that the processor has both.
        let has = std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma");
        has.then_some(&Self(()))
    }
}

impl Kernels for Avx2 {
    fn name(&self) -> &'static str {
        "avx2"
    }

    fn prepack_conv(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        match winograd::Winograd::new(p) {
            Some(winograd) => Some(Box::new(winograd)),
            None => Some(Box::new(conv::Conv::new(p)?)),
        }
    }

    fn prepack_float_conv(&self, p: &FloatConvParams<'_>) -> Option<Box<dyn PrepackedFloat>> {
        Some(Box::new(FloatConv::new(*self, p)?))
    }

    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        Some(Box::new(depthwise::Depthwise::new(p)?))
    }

    portable! { "avx2,fma" }
}
