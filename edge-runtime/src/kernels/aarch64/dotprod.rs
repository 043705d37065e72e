//! Kernels for the dot product instructions of Armv8.2: Cortex-A55, A76 (Raspberry Pi 5), A78AE (Jetson Orin) and all
//! that came after them.

use crate::kernels::quads::{self, BLOCK, Channels, EXACT, Job, Line, Output, Quads};
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
        Some(Box::new(quads::Conv::new(*self, p)?))
    }

    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        Some(Box::new(quads::Depthwise::new(*self, p)?))
    }

    fn multiply_only(&self, rounds: usize) -> Option<u64> {
        Some(quads::multiply_only(*self, rounds))
    }
}

/// Four vectors for sixteen 32-bit values.
type Four = [int32x4_t; 4];

/// Numbers of sixteen channels.
#[derive(Clone, Copy)]
pub struct Ready {
    multiplier: Four,
    /// Negative: to the right.
    shift: Four,
    limit: Four,
    up: Four,
}

/// What all channels share.
#[derive(Clone, Copy)]
pub struct Shared {
    zero_point: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
}

/// Four vectors from memory.
#[inline(always)]
fn load(from: &[i32; BLOCK]) -> Four {
    bytemuck::cast(*from)
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

// SAFETY, of every block here: all processors of this architecture that std runs on have Neon.
impl Quads for Dotprod {
    const FLIP: u8 = 0;
    const BLOCKS: usize = 1;
    // An upper half of a product and a rounding shift are two instructions, which floats do not beat.
    const FLOATS: bool = false;
    const LANES: bool = true;
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
    fn sums(self, from: &[i32; BLOCK]) -> Four {
        load(from)
    }

    #[inline(always)]
    fn load(self, from: &Line) -> [int8x16_t; 4] {
        bytemuck::cast(*from)
    }

    #[inline(always)]
    fn repeat(self, quad: [i8; 4]) -> [int8x16_t; 4] {
        // SAFETY: as above.
        let all = unsafe { vreinterpretq_s8_s32(vdupq_n_s32(bytemuck::cast(quad))) };
        [all; 4]
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
    fn many(self, quads: &[[i8; 4]; 4]) -> int8x16_t {
        bytemuck::cast(*quads)
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

    #[inline(always)]
    fn flip_16(self, from: &[i8; 16], to: &mut [i8; 16]) {
        *to = *from;
    }

    #[inline(always)]
    fn flip_64(self, from: &[i8; 64], to: &mut [i8; 64]) {
        *to = *from;
    }

    #[inline(always)]
    fn save(self, quads: [int8x16_t; 4], to: &mut Line) {
        *to = bytemuck::cast(quads);
    }

    #[inline(always)]
    fn interleave(self, rows: [&[i8; 64]; 4]) -> [[int8x16_t; 4]; 4] {
        let mut sixteens = [[[0i8; 16]; 4]; 4];
        for (row, values) in rows.iter().enumerate() {
            let (blocks, _) = values.as_chunks::<16>();
            for (of_block, block) in sixteens.iter_mut().zip(blocks) {
                of_block[row] = *block;
            }
        }
        let mut quads = [bytemuck::cast([0i8; 64]); 4];
        for (quads, rows) in quads.iter_mut().zip(sixteens) {
            let r: [int8x16_t; 4] = bytemuck::cast(rows);
            // SAFETY: as above.
            *quads = unsafe {
                let low: [int16x8_t; 2] =
                    bytemuck::cast([vzip1q_s8(r[0], r[1]), vzip1q_s8(r[2], r[3])]);
                let high: [int16x8_t; 2] =
                    bytemuck::cast([vzip2q_s8(r[0], r[1]), vzip2q_s8(r[2], r[3])]);
                [
                    vreinterpretq_s8_s16(vzip1q_s16(low[0], low[1])),
                    vreinterpretq_s8_s16(vzip2q_s16(low[0], low[1])),
                    vreinterpretq_s8_s16(vzip1q_s16(high[0], high[1])),
                    vreinterpretq_s8_s16(vzip2q_s16(high[0], high[1])),
                ]
            };
        }
        quads
    }

    #[inline(always)]
    fn ready(self, channels: &Channels) -> Ready {
        let mut shift = load(&channels.down);
        for four in &mut shift {
            // SAFETY: as above.
            *four = unsafe { vsubq_s32(vdupq_n_s32(-1), *four) };
        }
        Ready {
            multiplier: load(&channels.multiplier),
            shift,
            limit: load(&channels.limit),
            up: load(&channels.up),
        }
    }

    #[inline(always)]
    fn shared(self, output: &Output) -> Shared {
        // SAFETY: as above.
        unsafe {
            Shared {
                zero_point: vdupq_n_s16(output.zero_point.into()),
                low: vdupq_n_s8(output.clamp[0]),
                high: vdupq_n_s8(output.clamp[1]),
            }
        }
    }

    /// Without the zero point, which [`Self::store`] adds.
    #[inline(always)]
    fn scale<const SCALING: u8>(self, sums: Four, numbers: &Ready, _: &Shared) -> Four {
        let mut all = sums;
        for (i, sums) in all.iter_mut().enumerate() {
            // SAFETY: as above.
            *sums = unsafe {
                let mut acc = *sums;
                if SCALING == EXACT {
                    // One below the negative limit, so that an unlimited channel keeps i32::MIN.
                    let limit = numbers.limit[i];
                    acc = vmaxq_s32(vminq_s32(acc, limit), vmvnq_s32(limit));
                    acc = vshlq_s32(acc, numbers.up[i]);
                }
                // The upper half of twice the product, and then a shift that rounds halves up.
                vrshlq_s32(vqdmulhq_s32(acc, numbers.multiplier[i]), numbers.shift[i])
            };
        }
        all
    }

    #[inline(always)]
    fn store(self, scaled: Four, shared: &Shared, to: &mut [i8; BLOCK]) {
        // SAFETY: as above.
        let q = unsafe {
            let low = vqmovn_high_s32(vqmovn_s32(scaled[0]), scaled[1]);
            let high = vqmovn_high_s32(vqmovn_s32(scaled[2]), scaled[3]);
            let low = vqaddq_s16(low, shared.zero_point);
            let high = vqaddq_s16(high, shared.zero_point);
            let q = vqmovn_high_s16(vqmovn_s16(low), high);
            vminq_s8(vmaxq_s8(q, shared.low), shared.high)
        };
        *to = bytemuck::cast(q);
    }
}
