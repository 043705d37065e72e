//! Convolutions for processors with an instruction that multiplies four int8 values by four others and adds the
//! products: `vpdpbusd` of x86-64, and its like.
//!
//! The algorithms are written once, over [`Quads`]: sixteen sums, and sixteen quads of int8 values to multiply. A
//! family brings the instructions. A value of its type proves that the processor has them, so nothing here is
//! unsafe; what is, lies in the family's few instructions.

#[expect(clippy::needless_range_loop, reason = "one index for several arrays")]
mod conv;
#[expect(clippy::needless_range_loop, reason = "one index for several arrays")]
mod depthwise;
mod scale;

use conv::Conv;
use depthwise::Depthwise;
#[cfg(target_arch = "x86_64")]
pub use scale::MAGIC;
pub use scale::{Channels, EXACT, FLOAT, HIGH, Output, Scaling, WeightSums};

use super::image::Copying;
use super::{ConvParams, Prepacked};
use bytemuck::{Pod, Zeroable};
use core::fmt::Debug;

/// Output channels that are computed together: a block.
pub const BLOCK: usize = 16;

/// Sixteen quads of int8 values, as they lie in memory: of one filter or channel each.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Line(pub [i8; 4 * BLOCK]);

impl Line {
    /// All zeros.
    pub const ZERO: Self = Self([0; 4 * BLOCK]);
}

/// The instructions of a family. A value exists only where the processor has them.
pub trait Quads: Copy + Debug + Send + Sync + 'static {
    /// What activations are combined with by exclusive or before they are multiplied: 0x80 if the instruction takes
    /// them without sign, which adds 128, and 0 otherwise.
    const FLIP: u8;
    /// Blocks that a tile of a matrix product may hold; the registers say it: 1 or 4.
    const BLOCKS: usize;
    /// Filters from which on a block of sixteen, most of which are zero, is faster than the portable kernel: measured on
    /// x86-64, from counted instructions on Arm.
    const FEWEST: usize;
    /// True if [`FLOAT`] is the fastest way to scale.
    const FLOATS: bool;
    /// How many quads of a window are multiplied at a time.
    const STEP: Step;
    /// Sixteen 32-bit sums.
    type Sums: Copy;
    /// Sums on the way: each may be in parts.
    type Partial: Copy;
    /// Four quads of one pixel.
    type Many: Copy;
    /// Sixteen quads.
    type Quads: Copy;
    /// Numbers of sixteen channels in registers.
    type Ready: Copy;
    /// What all channels of an output share, in registers.
    type Shared: Copy;

    /// Does a job in a function that is compiled with the instructions.
    fn enabled(self, job: impl Job<Self>);

    /// Sums that start with these.
    fn start(self, sums: &[i32; BLOCK]) -> Self::Partial;

    /// The sums, all parts added.
    fn total(self, partial: Self::Partial) -> Self::Sums;

    /// Sixteen quads from memory.
    fn load(self, from: &Line) -> Self::Quads;

    /// The same quad sixteen times.
    fn repeat(self, quad: [i8; 4]) -> Self::Quads;

    /// Adds to each sum the products of four activations, with [`Self::FLIP`] applied, and four weights.
    fn multiply_add(
        self,
        sums: Self::Partial,
        activations: Self::Quads,
        weights: Self::Quads,
    ) -> Self::Partial;

    /// [`Self::multiply_add`] twice.
    #[inline(always)]
    fn multiply_add_two(
        self,
        sums: Self::Partial,
        activations: [Self::Quads; 2],
        weights: [Self::Quads; 2],
    ) -> Self::Partial {
        let sums = self.multiply_add(sums, activations[0], weights[0]);
        self.multiply_add(sums, activations[1], weights[1])
    }

    /// [`Self::multiply_add_two`] of each of some sums, all by the same weights.
    #[inline(always)]
    fn multiply_add_rows<const R: usize>(
        self,
        sums: [Self::Partial; R],
        activations: [[[i8; 4]; 2]; R],
        weights: [&Line; 2],
    ) -> [Self::Partial; R] {
        let w = [self.load(weights[0]), self.load(weights[1])];
        let mut all = sums;
        for i in 0..R {
            let [first, second] = activations[i];
            all[i] = self.multiply_add_two(all[i], [self.repeat(first), self.repeat(second)], w);
        }
        all
    }

    /// Four quads of one pixel from memory.
    fn many(self, quads: &[[i8; 4]; 4]) -> Self::Many;

    /// As [`Self::multiply_add`], for quad `LANE` of four.
    fn multiply_add_lane<const LANE: i32>(
        self,
        sums: Self::Partial,
        activations: Self::Many,
        weights: Self::Quads,
    ) -> Self::Partial;

    /// Copies sixteen activations, with [`Self::FLIP`] applied.
    fn flip_16(self, from: &[i8; 16], to: &mut [i8; 16]);

    /// As [`Self::flip_16`], for sixty-four.
    fn flip_64(self, from: &[i8; 64], to: &mut [i8; 64]);

    /// Stores sixteen quads.
    fn save(self, quads: Self::Quads, to: &mut Line);

    /// Four rows of activations to quads: the four values of each of the places from `16 * k` on, with [`Self::FLIP`]
    /// applied, make the `k`th sixteen.
    fn interleave(self, rows: [&[i8; 4 * BLOCK]; 4]) -> [Self::Quads; 4];

    /// Loads the numbers of sixteen channels.
    fn ready(self, channels: &Channels) -> Self::Ready;

    /// Loads what all channels share.
    fn shared(self, output: &Output) -> Self::Shared;

    /// Scales sums, the bias included, and adds the zero point. `SCALING` is one of [`scale`]'s.
    fn scale<const SCALING: u8>(
        self,
        sums: Self::Sums,
        numbers: &Self::Ready,
        shared: &Self::Shared,
    ) -> Self::Sums;

    /// Stores scaled sums, saturated and clamped.
    fn store(self, scaled: Self::Sums, shared: &Self::Shared, to: &mut [i8; BLOCK]);

    /// As [`Self::store`], for up to four blocks, of which the last may have fewer than sixteen sums: `to` is as long
    /// as there are.
    #[inline(always)]
    fn store_row<const N: usize>(
        self,
        scaled: [Self::Sums; N],
        shared: &Self::Shared,
        to: &mut [i8],
    ) {
        for (scaled, to) in scaled.into_iter().zip(to.chunks_mut(BLOCK)) {
            if let Some(to) = to.first_chunk_mut() {
                self.store(scaled, shared, to);
                continue;
            }
            let mut all = [0; BLOCK];
            self.store(scaled, shared, &mut all);
            to.copy_from_slice(&all[..to.len()]);
        }
    }
}

/// A convolution with packed weights; see [`Conv::new`].
pub fn prepack_conv(q: impl Quads, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
    Some(Box::new(Conv::new(q, p)?))
}

/// A depthwise convolution with packed weights; see [`Depthwise::new`].
pub fn prepack_depthwise(q: impl Quads, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
    Some(Box::new(Depthwise::new(q, p)?))
}

/// How many quads of a window are multiplied at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One: [`Quads::multiply_add`].
    #[cfg_attr(
        target_arch = "aarch64",
        expect(dead_code, reason = "for other processors")
    )]
    One,
    /// Two: [`Quads::multiply_add_two`] saves instructions.
    Two,
    /// Four that are loaded together: [`Quads::multiply_add_lane`] saves loads.
    Lanes,
}

/// What [`Quads::enabled`] does. `run` and all that it calls must be inlined, or it is compiled without the
/// instructions.
pub trait Job<Q: Quads> {
    /// Does it.
    fn run(self, q: Q);
}

/// Multiplies and adds so many rounds in registers; says how many multiplications that were.
pub fn multiply_only<Q: Quads>(q: Q, rounds: usize) -> u64 {
    q.enabled(Rounds(rounds));
    let sums = match (Q::BLOCKS, Q::STEP) {
        (1, Step::Two) => FEW,
        (1, _) => NARROW,
        _ => WIDE,
    };
    let quads = match Q::STEP {
        Step::Two => 2,
        _ => 1,
    };
    (rounds * sums * quads * 4 * BLOCK) as u64
}

/// Sums that [`multiply_only`] has at a time: enough to hide the time that one addition takes, and all in registers.
const FEW: usize = 3;
const NARROW: usize = 6;
const WIDE: usize = 16;

struct Rounds(usize);

impl Rounds {
    #[inline(always)]
    fn of<Q: Quads, const N: usize>(self, q: Q) {
        let (a, b) = (
            q.load(&Line([3; 4 * BLOCK])),
            q.load(&Line([-5; 4 * BLOCK])),
        );
        let mut sums = [q.start(&[0; BLOCK]); N];
        for _ in 0..self.0 {
            for sums in &mut sums {
                *sums = match Q::STEP {
                    Step::Two => q.multiply_add_two(*sums, [a; 2], [b; 2]),
                    _ => q.multiply_add(*sums, a, b),
                };
            }
        }
        let shared = q.shared(&Output {
            zero_point: 0,
            clamp: [i8::MIN, i8::MAX],
        });
        for sums in sums {
            let mut used = [0; BLOCK];
            q.store(q.total(sums), &shared, &mut used);
            core::hint::black_box(used);
        }
    }
}

impl<Q: Quads> Job<Q> for Rounds {
    #[inline(always)]
    fn run(self, q: Q) {
        match (Q::BLOCKS, Q::STEP) {
            (1, Step::Two) => self.of::<Q, FEW>(q),
            (1, _) => self.of::<Q, NARROW>(q),
            _ => self.of::<Q, WIDE>(q),
        }
    }
}

/// Copies activations with [`Quads::FLIP`] applied.
#[derive(Clone, Copy)]
struct Flipping<Q>(Q);

impl<Q: Quads> Copying<i8> for Flipping<Q> {
    #[inline(always)]
    fn copy(self, from: &[i8], to: &mut [i8]) {
        let q = self.0;
        let from = &from[..to.len()];
        let (to64, to) = to.as_chunks_mut::<64>();
        let (from64, from) = from.as_chunks::<64>();
        for (to, from) in to64.iter_mut().zip(from64) {
            q.flip_64(from, to);
        }
        let (to16, to) = to.as_chunks_mut::<16>();
        let (from16, from) = from.as_chunks::<16>();
        for (to, from) in to16.iter_mut().zip(from16) {
            q.flip_16(from, to);
        }
        for (to, from) in to.iter_mut().zip(from) {
            *to = from ^ Q::FLIP as i8;
        }
    }
}

/// Calls a method with the const argument that a [`Scaling`] is.
macro_rules! with_scaling {
    ($scaling:expr, $on:ident.$method:ident($($argument:expr),*)) => {
        match $scaling {
            Scaling::Float => $on.$method::<FLOAT>($($argument),*),
            Scaling::High => $on.$method::<HIGH>($($argument),*),
            Scaling::Exact => $on.$method::<EXACT>($($argument),*),
        }
    };
}
pub(super) use with_scaling;
