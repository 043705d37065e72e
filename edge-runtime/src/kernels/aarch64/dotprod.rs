//! Kernels for the dot product instructions of Armv8.2: Cortex-A55, A76 (Raspberry Pi 5), A78AE (Jetson Orin) and all
//! that came after them.

use super::common;
use super::finish::{Four, Ready, Shared};
use crate::kernels::quads::{self, BLOCK, Channels, Job, Line, Output, Quads, Step};
use crate::kernels::*;
use core::arch::aarch64::*;
use core::arch::asm;

/// The family for processors with `sdot`.
#[derive(Clone, Copy, Debug)]
pub struct Dotprod(());

impl Dotprod {
    /// The family, if the processor has what it needs.
    pub fn detect() -> Option<&'static Self> {
        // The only place that makes one: that a value exists proves that the processor has it. (Neon, every one has.)
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(&Self(()))
    }
}

impl Kernels for Dotprod {
    fn name(&self) -> &'static str {
        "dotprod"
    }

    fn prepack_conv(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        quads::prepack_conv(*self, p)
    }

    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        quads::prepack_depthwise(*self, p)
    }

    fn multiply_only(&self, rounds: usize) -> Option<u64> {
        Some(quads::multiply_only(*self, rounds))
    }
}

/// Adds to each sum the products of four values by four others.
#[inline(always)]
fn sdot(_: Dotprod, mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // The intrinsic is not stable yet.
    // SAFETY: the argument proves that the processor has the instruction, which touches registers only.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// As [`sdot`], by the four values of `b` from `4 * LANE` on.
#[inline(always)]
fn sdot_lane<const LANE: i32>(
    _: Dotprod,
    mut sums: int32x4_t,
    a: int8x16_t,
    b: int8x16_t,
) -> int32x4_t {
    // SAFETY: as in `sdot`.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

impl Quads for Dotprod {
    const FLIP: u8 = 0;
    const BLOCKS: usize = 1;
    const FEWEST: usize = 4;
    // An upper half of a product and a rounding shift are two instructions, which floats do not beat.
    const FLOATS: bool = false;
    const STEP: Step = Step::Lanes;
    type Partial = Four;
    type Many = int8x16_t;
    type Sums = Four;
    type Quads = [int8x16_t; 4];
    type Ready = Ready;
    type Shared = Shared;

    #[inline(always)]
    fn enabled(self, job: impl Job<Self>) {
        #[inline(never)]
        fn run(q: Dotprod, job: impl Job<Dotprod>) {
            job.run(q);
        }
        run(self, job);
    }

    #[inline(always)]
    fn start(self, sums: &[i32; BLOCK]) -> Four {
        bytemuck::cast(*sums)
    }

    #[inline(always)]
    fn total(self, sums: Four) -> Four {
        sums
    }

    #[inline(always)]
    fn multiply_add(
        self,
        sums: Four,
        activations: [int8x16_t; 4],
        weights: [int8x16_t; 4],
    ) -> Four {
        [
            sdot(self, sums[0], activations[0], weights[0]),
            sdot(self, sums[1], activations[1], weights[1]),
            sdot(self, sums[2], activations[2], weights[2]),
            sdot(self, sums[3], activations[3], weights[3]),
        ]
    }

    #[inline(always)]
    fn multiply_add_lane<const LANE: i32>(
        self,
        sums: Four,
        activations: int8x16_t,
        weights: [int8x16_t; 4],
    ) -> Four {
        [
            sdot_lane::<LANE>(self, sums[0], weights[0], activations),
            sdot_lane::<LANE>(self, sums[1], weights[1], activations),
            sdot_lane::<LANE>(self, sums[2], weights[2], activations),
            sdot_lane::<LANE>(self, sums[3], weights[3], activations),
        ]
    }

    common! { [int8x16_t; 4] }
}
