//! Kernels for 64-bit Arm without dot products: Cortex-A53 and A72 (Raspberry Pi 3 and 4), A57 (Jetson Nano).
//!
//! `smull` and `smlal` add two products in 16 bits, which hold them: weights are in [-127, 127], so the sum is at most
//! 2 * 127 * 128 in magnitude. `sadalp` adds pairs of those to 32 bits.

use super::common;
use super::finish::{Four, Ready, Shared};
use crate::kernels::quads::{self, BLOCK, Channels, Job, Line, Output, Quads, Step};
use crate::kernels::*;
use core::arch::aarch64::*;

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

impl Kernels for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn prepack_conv(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        // A weight of -128 twice would not fit 16 bits. The format rules it out; these kernels do not rely on it.
        let fits = !p.weights.contains(&i8::MIN);
        fits.then(|| quads::Conv::new(*self, p))?
            .map(|c| Box::new(c) as _)
    }

    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        let fits = !p.weights.contains(&i8::MIN);
        fits.then(|| quads::Depthwise::new(*self, p))?
            .map(|c| Box::new(c) as _)
    }

    fn multiply_only(&self, rounds: usize) -> Option<u64> {
        Some(quads::multiply_only(*self, rounds))
    }
}

// SAFETY, of every block here: `self` proves that the processor has Neon.
impl Quads for Neon {
    const FLIP: u8 = 0;
    const BLOCKS: usize = 1;
    const FLOATS: bool = false;
    const STEP: Step = Step::Two;
    type Sums = Four;
    /// Two partial sums of each.
    type Partial = [int32x4_t; 8];
    type Many = int8x16_t;
    type Quads = [int8x16_t; 4];
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
        activations: [int8x16_t; 4],
        weights: [int8x16_t; 4],
    ) -> [int32x4_t; 8] {
        for i in 0..4 {
            let (a, w) = (activations[i], weights[i]);
            // SAFETY: as above.
            unsafe {
                let low = vmull_s8(vget_low_s8(a), vget_low_s8(w));
                partial[2 * i] = vpadalq_s16(partial[2 * i], low);
                partial[2 * i + 1] = vpadalq_s16(partial[2 * i + 1], vmull_high_s8(a, w));
            }
        }
        partial
    }

    #[inline(always)]
    fn multiply_add_two(
        self,
        mut partial: [int32x4_t; 8],
        activations: [[int8x16_t; 4]; 2],
        weights: [[int8x16_t; 4]; 2],
    ) -> [int32x4_t; 8] {
        for i in 0..4 {
            let (a, w) = (
                [activations[0][i], activations[1][i]],
                [weights[0][i], weights[1][i]],
            );
            // SAFETY: as above.
            unsafe {
                let low = vmull_s8(vget_low_s8(a[0]), vget_low_s8(w[0]));
                let low = vmlal_s8(low, vget_low_s8(a[1]), vget_low_s8(w[1]));
                let high = vmlal_high_s8(vmull_high_s8(a[0], w[0]), a[1], w[1]);
                partial[2 * i] = vpadalq_s16(partial[2 * i], low);
                partial[2 * i + 1] = vpadalq_s16(partial[2 * i + 1], high);
            }
        }
        partial
    }

    #[inline(always)]
    fn multiply_add_lane<const LANE: i32>(
        self,
        partial: [int32x4_t; 8],
        activations: int8x16_t,
        weights: [int8x16_t; 4],
    ) -> [int32x4_t; 8] {
        // SAFETY: as above.
        let quad = unsafe { vdupq_laneq_s32::<LANE>(vreinterpretq_s32_s8(activations)) };
        self.multiply_add(partial, [bytemuck::cast(quad); 4], weights)
    }

    common! {}
}
