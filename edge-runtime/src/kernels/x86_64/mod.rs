//! Families for x86-64. Each can be made only where the processor has what it needs; no other file asks the
//! processor.

mod avx2;
mod avx512;
mod avx_vnni;
mod floats;

pub use avx_vnni::AvxVnni;
pub use avx2::Avx2;
pub use avx512::Avx512Vnni;

/// Kernels that are the portable ones, compiled for a family's instructions: the same source, so the same numbers.
macro_rules! portable {
    ($features:literal) => {
        portable! { $features
            conv = conv(p: &ConvParams<'_>, input: &[i8], output: &mut [i8]);
            depthwise = depthwise(p: &ConvParams<'_>, input: &[i8], output: &mut [i8]);
            float_depthwise = float_depthwise(p: &FloatDepthwiseParams<'_>, input: &[f32], output: &mut [f32]);
            max_pool = max_pool_in_blocks(g: &Geometry, input: &[i8], output: &mut [i8]);
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
    };
    ($features:literal $($kernel:ident = $portable:ident ($($name:ident: $type:ty),*);)*) => {
        $(fn $kernel(&self, $($name: $type),*) {
            #[target_feature(enable = $features)]
            fn compiled($($name: $type),*) {
                crate::kernels::portable::$portable($($name),*);
            }
            // SAFETY: `self` proves that the processor has what the family needs.
            unsafe { compiled($($name),*) }
        })*
    };
}
use portable;
