//! Kernels for AVX2: convolutions with packed weights, and the portable kernels compiled for it.

mod conv;
mod depthwise;
mod finish;
mod lanes;
mod winograd;

use crate::kernels::*;

/// The family for processors with AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The family, if the processor has AVX2.
    pub fn detect() -> Option<&'static Self> {
        // The only place that makes one: that a value exists proves that the processor has AVX2.
        std::arch::is_x86_feature_detected!("avx2").then_some(&Self(()))
    }
}

/// Kernels that are the portable ones, compiled for AVX2: the same source, so the same numbers.
macro_rules! portable {
    ($($kernel:ident = $portable:ident ($($name:ident: $type:ty),*);)*) => {
        $(fn $kernel(&self, $($name: $type),*) {
            #[target_feature(enable = "avx2")]
            fn compiled($($name: $type),*) {
                portable::$portable($($name),*);
            }
            // SAFETY: `self` proves that the processor has AVX2.
            unsafe { compiled($($name),*) }
        })*
    };
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

    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        Some(Box::new(depthwise::Depthwise::new(p)?))
    }

    portable! {
        conv = conv(p: &ConvParams<'_>, input: &[i8], output: &mut [i8]);
        depthwise = depthwise(p: &ConvParams<'_>, input: &[i8], output: &mut [i8]);
        max_pool = max_pool(g: &Geometry, input: &[i8], output: &mut [i8]);
        avg_pool = avg_pool(p: &AvgPoolParams<'_>, input: &[i8], output: &mut [i8]);
        add = add(p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]);
        add_in_place = add_in_place(p: &AddParams, a: &mut [i8], b: &[i8]);
        mul = mul(p: &MulParams, a: &[i8], b: &[i8], output: &mut [i8]);
        mul_in_place = mul_in_place(p: &MulParams, a: &mut [i8], b: &[i8]);
        prelu = prelu(p: &PReluParams<'_>, input: &[i8], output: &mut [i8]);
        prelu_in_place = prelu_in_place(p: &PReluParams<'_>, values: &mut [i8]);
        concat_part = concat_part(p: &ConcatPart, input: &[i8], output: &mut [i8]);
        requantize = requantize_sums(p: &RequantizeParams<'_>, sums: Sums<'_>, output: &mut [i8]);
    }
}
