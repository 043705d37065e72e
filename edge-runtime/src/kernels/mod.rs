//! int8 operators over slices: what each computes, and families of kernels that compute it fast.
//!
//! [`portable`] defines the arithmetic. A family ([`Kernels`]) is a value: it can be made where the processor
//! has what it needs, it can be forced, and a test can put a wrong one in its place. It is right when it
//! gives the bytes of [`Portable`]. [`native`] is the best family for this processor, [`available`] lists
//! all that it can run.
//!
//! A kernel knows shapes and numbers ([`params`]), no graph, no file, no arena. Kernels are safe: they
//! panic on lengths that contradict the numbers, and those with raw pointers check everything first.

#[cfg(all(feature = "std", target_arch = "aarch64"))]
mod aarch64;
#[cfg(all(target_arch = "arm", target_os = "none"))]
mod cortex_m;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[expect(clippy::needless_range_loop, reason = "one index for several arrays")]
mod floats;
mod geometry;
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod image;
#[cfg(any(
    test,
    all(
        target_arch = "arm",
        target_os = "none",
        any(feature = "arm-dsp", feature = "arm-mve")
    )
))]
mod packed;
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod panels;
pub mod params;
pub mod portable;
#[cfg(feature = "std")]
mod prepacked;
#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod quads;
mod run;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod spans;
#[cfg(test)]
mod tests;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86_64;

#[cfg(all(feature = "std", target_arch = "aarch64"))]
pub use aarch64::{Dotprod, Neon};
#[cfg(all(target_arch = "arm", target_os = "none"))]
pub use cortex_m::CortexM;
pub use geometry::Geometry;
pub use params::*;
pub use portable::{requantize, rescale};
#[cfg(feature = "std")]
pub use prepacked::{Prepacked, PrepackedFloat, Units, prepack};
pub use run::run;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub use x86_64::{Avx2, Avx512Vnni, AvxVnni};

use crate::model::Layout;

/// A family of kernels: every int8 operator, by default as [`Portable`] has it.
///
/// Slices hold whole tensors, NHWC, of the shapes that the numbers say; a kernel panics if they do not.
/// `_in_place` kernels overwrite their first input.
pub trait Kernels: core::fmt::Debug + Send + Sync {
    /// A short name, for reports and for the option that forces a family.
    fn name(&self) -> &'static str;

    /// Convolution, grouped or not.
    fn conv(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
        portable::conv(p, input, output);
    }

    /// Convolution with one filter per channel.
    fn depthwise(&self, p: &ConvParams<'_>, input: &[i8], output: &mut [i8]) {
        portable::depthwise(p, input, output);
    }

    /// [`Self::conv`] with weights packed for this family, which is faster. `None` if there is nothing to gain.
    #[cfg(feature = "std")]
    fn prepack_conv(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        let _ = p;
        None
    }

    /// As [`Self::prepack_conv`], for [`Self::depthwise`].
    #[cfg(feature = "std")]
    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        let _ = p;
        None
    }

    /// A convolution of floats with weights packed for this family, for backends that run float models. `None` if the
    /// family has none.
    #[cfg(feature = "std")]
    fn prepack_float_conv(&self, p: &FloatConvParams<'_>) -> Option<Box<dyn PrepackedFloat>> {
        let _ = p;
        None
    }

    /// Depthwise convolution of floats, for backends that run float models.
    #[cfg(feature = "std")]
    fn float_depthwise(&self, p: &FloatDepthwiseParams<'_>, input: &[f32], output: &mut [f32]) {
        portable::float_depthwise(p, input, output);
    }

    /// Multiplies and adds so many rounds in registers, as fast as the family's instructions go, and says how many
    /// multiplications that were: for measuring what the processor can do at most. `None` if the family has no
    /// instructions of its own.
    #[cfg(feature = "std")]
    fn multiply_only(&self, rounds: usize) -> Option<u64> {
        let _ = rounds;
        None
    }

    /// True if [`Self::packed`] takes weights that lie so.
    fn runs(&self, layout: Layout) -> bool {
        let _ = layout;
        false
    }

    /// A convolution, depthwise or not, whose weights are packed. `scratch` starts on a multiple of 4, and has
    /// the length that [`Layout::scratch_len`] says, or more.
    ///
    /// # Panics
    /// If the family has no kernel for the layout ([`Self::runs`]), or geometry, lengths and layout disagree.
    fn packed(&self, p: &PackedParams<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
        let _ = (p, input, output, scratch);
        unreachable!("the engine refuses layouts without a kernel")
    }

    /// Maximum of the elements under the window; padding never wins.
    fn max_pool(&self, g: &Geometry, input: &[i8], output: &mut [i8]) {
        portable::max_pool(g, input, output);
    }

    /// Mean of the elements under the window.
    fn avg_pool(&self, p: &AvgPoolParams<'_>, input: &[i8], output: &mut [i8]) {
        portable::avg_pool(p, input, output);
    }

    /// `output[i] = a[i] + b[i]`, rescaled.
    fn add(&self, p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
        portable::add(p, a, b, output);
    }

    /// As [`Self::add`].
    fn add_in_place(&self, p: &AddParams, a: &mut [i8], b: &[i8]) {
        portable::add_in_place(p, a, b);
    }

    /// `output[i] = a[i] * b[i % b.len()]`, rescaled: `b` is as long as `a`, or has one value per channel.
    fn mul(&self, p: &MulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
        portable::mul(p, a, b, output);
    }

    /// As [`Self::mul`].
    fn mul_in_place(&self, p: &MulParams, a: &mut [i8], b: &[i8]) {
        portable::mul_in_place(p, a, b);
    }

    /// `output[i] = table[input[i] + 128]`.
    fn map(&self, p: &MapParams<'_>, input: &[i8], output: &mut [i8]) {
        portable::map(p, input, output);
    }

    /// As [`Self::map`].
    fn map_in_place(&self, p: &MapParams<'_>, values: &mut [i8]) {
        portable::map_in_place(p, values);
    }

    /// Negative values times their channel's slope, rescaled.
    fn prelu(&self, p: &PReluParams<'_>, input: &[i8], output: &mut [i8]) {
        portable::prelu(p, input, output);
    }

    /// As [`Self::prelu`].
    fn prelu_in_place(&self, p: &PReluParams<'_>, values: &mut [i8]) {
        portable::prelu_in_place(p, values);
    }

    /// Each value divided by a power of the mean square of the channels around it.
    fn norm(&self, p: &NormParams<'_>, input: &[i8], output: &mut [i8]) {
        portable::norm(p, input, output);
    }

    /// One input of a concatenation into its channels of the output.
    fn concat_part(&self, p: &ConcatPart, input: &[i8], output: &mut [i8]) {
        portable::concat_part(p, input, output);
    }

    /// The strided part of the input that has the output's shape.
    fn slice(&self, p: &SliceParams, input: &[i8], output: &mut [i8]) {
        portable::slice(p, input, output);
    }

    /// The input with its zero point around it.
    fn pad(&self, p: &PadParams, input: &[i8], output: &mut [i8]) {
        portable::pad(p, input, output);
    }

    /// The channels of every pixel in another order.
    fn shuffle(&self, p: &ShuffleParams, input: &[i8], output: &mut [i8]) {
        portable::shuffle(p, input, output);
    }

    /// The windows of a convolution as the rows of a matrix, for a backend that multiplies by itself: for every
    /// output position and group, the taps in reading order with their channels. Padding reads the zero point.
    fn unfold(&self, p: &UnfoldParams, input: &[i8], output: &mut [i8]) {
        portable::unfold(p, input, output);
    }

    /// The sums of a convolution to its output: what follows the multiplication of [`Self::unfold`]'s rows.
    fn requantize(&self, p: &RequantizeParams<'_>, sums: Sums<'_>, output: &mut [i8]) {
        portable::requantize_sums(p, sums, output);
    }
}

/// The kernels that define the arithmetic, in plain Rust; they run everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Kernels for Portable {
    fn name(&self) -> &'static str {
        "portable"
    }
}

/// The type of [`native`]: on a host any family, chosen at run time.
#[cfg(feature = "std")]
pub type Native = dyn Kernels;
/// The type of [`native`]: the one family that the program is built for, so that calls are direct.
#[cfg(all(not(feature = "std"), target_arch = "arm", target_os = "none"))]
pub type Native = CortexM;
/// The type of [`native`]: the one family that the program is built for, so that calls are direct.
#[cfg(not(any(feature = "std", all(target_arch = "arm", target_os = "none"))))]
pub type Native = Portable;

/// The family that [`force`] has named; without that, the fastest that this processor can run.
#[cfg(feature = "std")]
pub fn native() -> &'static Native {
    let fastest = || available().next().unwrap_or(&Portable);
    FORCED.get().copied().unwrap_or_else(fastest)
}

#[cfg(feature = "std")]
static FORCED: std::sync::OnceLock<&'static dyn Kernels> = std::sync::OnceLock::new();

/// Makes a family of [`available`] the one that [`native`] gives from now on, in the whole program. The first call
/// counts.
///
/// # Errors
/// If this processor can run no family of that name.
#[cfg(feature = "std")]
pub fn force(name: &str) -> Result<(), UnknownKernels> {
    let named = available().find(|kernels| kernels.name() == name);
    let named = named.ok_or_else(|| UnknownKernels(name.into()))?;
    FORCED.get_or_init(|| named);
    Ok(())
}

/// A name that no family has that this processor can run.
#[cfg(feature = "std")]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this processor runs no kernels '{0}'; it runs: {all}", all = names_of_all())]
pub struct UnknownKernels(pub String);

#[cfg(feature = "std")]
fn names_of_all() -> String {
    let names: Vec<&str> = available().map(|kernels| kernels.name()).collect();
    names.join(", ")
}

/// Multiplications a second that a family's instructions reach in registers, measured in some milliseconds: no layer is
/// faster. `None` if the family has no instructions of its own.
#[cfg(feature = "std")]
pub fn measured_peak(kernels: &dyn Kernels) -> Option<f64> {
    let once = |_| {
        let start = std::time::Instant::now();
        let count = kernels.multiply_only(20_000)?;
        Some(count as f64 / start.elapsed().as_secs_f64())
    };
    (0..20)
        .map(once)
        .try_fold(0.0, |most, rate| Some(f64::max(most, rate?)))
}

/// The family that the program is built for.
#[cfg(all(not(feature = "std"), target_arch = "arm", target_os = "none"))]
pub const fn native() -> &'static Native {
    &CortexM
}

/// The family that the program is built for.
#[cfg(not(any(feature = "std", all(target_arch = "arm", target_os = "none"))))]
pub const fn native() -> &'static Native {
    &Portable
}

/// Every family that this processor can run, the fastest first and [`Portable`] last.
pub fn available() -> impl Iterator<Item = &'static dyn Kernels> {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    let fast = [
        Avx512Vnni::detect().map(|k| k as &dyn Kernels),
        AvxVnni::detect().map(|k| k as &dyn Kernels),
        Avx2::detect().map(|k| k as &dyn Kernels),
    ];
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    let fast = [
        Dotprod::detect().map(|k| k as &dyn Kernels),
        Neon::detect().map(|k| k as &dyn Kernels),
    ];
    #[cfg(all(target_arch = "arm", target_os = "none"))]
    let fast = [Some(&CortexM as &dyn Kernels)];
    #[cfg(not(any(
        all(feature = "std", target_arch = "x86_64"),
        all(feature = "std", target_arch = "aarch64"),
        all(target_arch = "arm", target_os = "none")
    )))]
    let fast: [Option<&dyn Kernels>; 0] = [];
    fast.into_iter()
        .flatten()
        .chain([&Portable as &dyn Kernels])
}

/// True if this program has kernels for weights that are packed so.
pub const fn runs(layout: Layout) -> bool {
    let built_for_dsp = cfg!(all(
        feature = "arm-dsp",
        target_arch = "arm",
        target_os = "none"
    ));
    let built_for_mve = cfg!(all(
        feature = "arm-mve",
        target_arch = "arm",
        target_os = "none"
    ));
    match layout {
        Layout::DspConv | Layout::DspDepthwise => built_for_dsp,
        Layout::MveConv | Layout::MveDepthwise => built_for_mve,
    }
}
