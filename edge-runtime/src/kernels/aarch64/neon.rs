//! Kernels for 64-bit Arm without dot products: Cortex-A53 and A72 (Raspberry Pi 3 and 4), A57 (Jetson Nano).
//!
//! `smull` and `smlal` add two products in 16 bits, which hold them: weights are in [-127, 127], so the sum is at most
//! 2 * 127 * 128 in magnitude. `sadalp` adds pairs of those to 32 bits.

use super::common;
use super::finish::{Four, Ready, Shared};
use crate::kernels::quads::{self, BLOCK, Channels, Job, Line, Output, Quads, Step};
use crate::kernels::*;
use core::arch::aarch64::*;
use core::arch::asm;

/// The family for every 64-bit Arm.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// The family, if the processor has what it needs.
    pub fn detect() -> Option<&'static Self> {
        // The only place that makes one: that a value exists proves that the processor has it.
        std::arch::is_aarch64_feature_detected!("neon").then_some(&Self(()))
    }
}

/// True if two products fit 16 bits: not with two weights of -128. The format rules them out, and these kernels do not
/// rely on it.
fn fits(p: &ConvParams<'_>) -> bool {
    !p.weights.contains(&i8::MIN)
}

impl Kernels for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn prepack_conv(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        fits(p).then(|| quads::prepack_conv(*self, p))?
    }

    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        fits(p).then(|| quads::prepack_depthwise(*self, p))?
    }

    fn multiply_only(&self, rounds: usize) -> Option<u64> {
        Some(quads::multiply_only(*self, rounds))
    }
}

/// Adds the products of two times sixteen values to two vectors of partial sums, with weights from memory.
///
/// The order is that of the program: compilers load all weights of a tile and start all multiplications first, and then
/// have no registers for the sums.
#[inline(always)]
fn in_order<const R: usize>(
    _: Neon,
    sums: &mut [[int32x4_t; 2]; R],
    activations: &[[int8x16_t; 2]; R],
    weights: [&[i8; 16]; 2],
) {
    let (first, second): (int8x16_t, int8x16_t);
    // SAFETY: the argument proves that the processor has the instructions, and the references are to 16 bytes each.
    unsafe {
        asm!(
            "ldr {first:q}, [{w0}]",
            "ldr {second:q}, [{w1}]",
            first = out(vreg) first,
            second = out(vreg) second,
            w0 = in(reg) weights[0].as_ptr(),
            w1 = in(reg) weights[1].as_ptr(),
            options(readonly, nostack, preserves_flags)
        );
    }
    for (sums, a) in sums.iter_mut().zip(activations) {
        // SAFETY: as above.
        unsafe {
            asm!(
                "smull {t:v}.8h, {a0:v}.8b, {first:v}.8b",
                "smull2 {u:v}.8h, {a0:v}.16b, {first:v}.16b",
                "smlal {t:v}.8h, {a1:v}.8b, {second:v}.8b",
                "smlal2 {u:v}.8h, {a1:v}.16b, {second:v}.16b",
                "sadalp {p:v}.4s, {t:v}.8h",
                "sadalp {q:v}.4s, {u:v}.8h",
                p = inout(vreg) sums[0],
                q = inout(vreg) sums[1],
                t = out(vreg) _,
                u = out(vreg) _,
                a0 = in(vreg) a[0],
                a1 = in(vreg) a[1],
                first = in(vreg) first,
                second = in(vreg) second,
                options(nomem, nostack, preserves_flags)
            );
        }
    }
}

// SAFETY, of every block here: `self` proves that the processor has Neon.
impl Quads for Neon {
    const FLIP: u8 = 0;
    const BLOCKS: usize = 1;
    const FEWEST: usize = 8;
    const FLOATS: bool = false;
    const STEP: Step = Step::Two;
    type Sums = Four;
    /// Two partial sums of each.
    type Partial = [int32x4_t; 8];
    type Many = int8x16_t;
    /// In halves: the multiplications take eight bytes.
    type Quads = [int8x8_t; 8];
    type Ready = Ready;
    type Shared = Shared;

    #[inline(always)]
    fn enabled(self, job: impl Job<Self>) {
        job.run(self);
    }

    #[inline(always)]
    fn start(self, sums: &[i32; BLOCK]) -> [int32x4_t; 8] {
        let mut partial = [[0; 4]; 8];
        for (c, sum) in sums.iter().enumerate() {
            partial[c / 2][c % 2 * 2] = *sum;
        }
        bytemuck::cast(partial)
    }

    #[inline(always)]
    fn total(self, partial: [int32x4_t; 8]) -> Four {
        let mut sums = [partial[0]; 4];
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            *sums = unsafe { vpaddq_s32(partial[2 * i], partial[2 * i + 1]) };
        }
        sums
    }

    #[inline(always)]
    fn multiply_add(
        self,
        mut partial: [int32x4_t; 8],
        activations: [int8x8_t; 8],
        weights: [int8x8_t; 8],
    ) -> [int32x4_t; 8] {
        for (i, partial) in partial.iter_mut().enumerate() {
            // SAFETY: as above.
            *partial = unsafe { vpadalq_s16(*partial, vmull_s8(activations[i], weights[i])) };
        }
        partial
    }

    #[inline(always)]
    fn multiply_add_two(
        self,
        mut partial: [int32x4_t; 8],
        activations: [[int8x8_t; 8]; 2],
        weights: [[int8x8_t; 8]; 2],
    ) -> [int32x4_t; 8] {
        for (i, partial) in partial.iter_mut().enumerate() {
            // SAFETY: as above.
            *partial = unsafe {
                let first = vmull_s8(activations[0][i], weights[0][i]);
                vpadalq_s16(*partial, vmlal_s8(first, activations[1][i], weights[1][i]))
            };
        }
        partial
    }

    #[inline(always)]
    fn multiply_add_rows<const R: usize>(
        self,
        mut partial: [[int32x4_t; 8]; R],
        activations: [[[i8; 4]; 2]; R],
        weights: [&Line; 2],
    ) -> [[int32x4_t; 8]; R] {
        let mut quads: [[int8x16_t; 2]; R] = [[bytemuck::cast([0i8; 16]); 2]; R];
        for (quads, both) in quads.iter_mut().zip(activations) {
            *quads = both.map(|quad| bytemuck::cast([quad; 4]));
        }
        for i in 0..4 {
            let mut two = [[partial[0][0]; 2]; R];
            for r in 0..R {
                two[r] = [partial[r][2 * i], partial[r][2 * i + 1]];
            }
            let w = [
                &weights[0].0.as_chunks::<16>().0[i],
                &weights[1].0.as_chunks::<16>().0[i],
            ];
            in_order(self, &mut two, &quads, w);
            for r in 0..R {
                [partial[r][2 * i], partial[r][2 * i + 1]] = two[r];
            }
        }
        partial
    }

    #[inline(always)]
    fn multiply_add_lane<const LANE: i32>(
        self,
        partial: [int32x4_t; 8],
        activations: int8x16_t,
        weights: [int8x8_t; 8],
    ) -> [int32x4_t; 8] {
        // SAFETY: as above.
        let quad = unsafe { vdup_laneq_s32::<LANE>(vreinterpretq_s32_s8(activations)) };
        self.multiply_add(partial, [bytemuck::cast(quad); 8], weights)
    }

    common! { [int8x8_t; 8] }
}
