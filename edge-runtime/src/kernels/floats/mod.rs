//! Float convolutions, for a backend whose own are slower.
//!
//! As in `quads`, the algorithm is written once, over a few instructions of a family. Products are fused with
//! additions, so the last bits differ from those of another order or another processor; floats are not normative.

mod conv;

pub use conv::FloatConv;

use core::fmt::Debug;

/// Output channels that are computed together: a block.
pub const BLOCK: usize = 16;

/// The instructions of a family. A value exists only where the processor has them.
pub trait Floats: Copy + Debug + Send + Sync + 'static {
    /// Blocks that a tile may hold; the registers say it: 1 or 4.
    const BLOCKS: usize;
    /// Sixteen floats.
    type Sixteen: Copy;

    /// Does a job in a function that is compiled with the instructions.
    fn enabled(self, job: impl Job<Self>);

    /// Sixteen floats from memory.
    fn load(self, from: &[f32; BLOCK]) -> Self::Sixteen;

    /// The same float sixteen times.
    fn repeat(self, value: f32) -> Self::Sixteen;

    /// `sums + a * b`, rounded once.
    fn multiply_add(self, sums: Self::Sixteen, a: Self::Sixteen, b: Self::Sixteen)
    -> Self::Sixteen;

    /// Each at least `low` and at most `high`.
    fn clamp(self, values: Self::Sixteen, low: Self::Sixteen, high: Self::Sixteen)
    -> Self::Sixteen;

    /// Stores them.
    fn store(self, values: Self::Sixteen, to: &mut [f32; BLOCK]);
}

/// What [`Floats::enabled`] does. `run` and all that it calls must be inlined, or it is compiled without the
/// instructions.
pub trait Job<F: Floats> {
    /// Does it.
    fn run(self, f: F);
}
