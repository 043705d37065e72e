//! From a layer's numbers to the kernel that computes it.

use super::{Kernels, Params};

impl Params<'_> {
    /// Computes the layer. `input(i)` is the i-th input, or `None` if it lies in `output` and is overwritten,
    /// which only the first input of a layer may that [`Op::in_place`](crate::model::Op::in_place) allows.
    ///
    /// # Panics
    /// If an input is missing, or the layer is a packed convolution, which needs scratch memory
    /// ([`Kernels::packed`]).
    pub fn run<'i, K: Kernels + ?Sized>(
        &self,
        kernels: &K,
        input: impl Fn(usize) -> Option<&'i [i8]>,
        output: &mut [i8],
    ) {
        const MISSING: &str = "a layer without its input";
        let second = || input(1).expect(MISSING);
        let first = match (self, input(0)) {
            (_, Some(first)) => first,
            (Params::Add(p), None) => return kernels.add_in_place(p, output, second()),
            (Params::Mul(p), None) => return kernels.mul_in_place(p, output, second()),
            (Params::Map(p), None) => return kernels.map_in_place(p, output),
            (Params::PRelu(p), None) => return kernels.prelu_in_place(p, output),
            _ => unreachable!("{MISSING}"),
        };
        match self {
            Params::Conv(p) => kernels.conv(p, first, output),
            Params::Depthwise(p) => kernels.depthwise(p, first, output),
            Params::Packed(_) => unreachable!("packed convolutions need scratch memory"),
            Params::MaxPool(p) => kernels.max_pool(p, first, output),
            Params::AvgPool(p) => kernels.avg_pool(p, first, output),
            Params::Add(p) => kernels.add(p, first, second(), output),
            Params::Concat(p) => {
                for (i, part) in p.parts().enumerate() {
                    kernels.concat_part(&part, input(i).expect(MISSING), output);
                }
            }
            Params::Map(p) => kernels.map(p, first, output),
            Params::Slice(p) => kernels.slice(p, first, output),
            Params::Pad(p) => kernels.pad(p, first, output),
            Params::Mul(p) => kernels.mul(p, first, second(), output),
            Params::PRelu(p) => kernels.prelu(p, first, output),
            Params::Norm(p) => kernels.norm(p, first, output),
            Params::Shuffle(p) => kernels.shuffle(p, first, output),
        }
    }
}
