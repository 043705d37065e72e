//! What the families have in common: everything but the multiplication.
//!
//! Scaling is `sqdmulh`, the upper half of twice the product, and `srshl`, a shift that rounds halves up: what the first
//! cuts off cannot reach the rounding of the second.

use crate::kernels::quads::{BLOCK, Channels, EXACT, Output};
use core::arch::aarch64::*;

/// Four vectors for sixteen 32-bit values.
pub type Four = [int32x4_t; 4];

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

// SAFETY, of every block here: the target has Neon, or this file is not compiled.
const _: () = assert!(cfg!(target_feature = "neon"));

/// See [`Quads::interleave`](crate::kernels::quads::Quads::interleave).
#[inline(always)]
pub fn interleave(rows: [&[i8; 4 * BLOCK]; 4]) -> [[int8x16_t; 4]; 4] {
    let mut quads = [bytemuck::cast([0i8; 4 * BLOCK]); 4];
    for (k, quads) in quads.iter_mut().enumerate() {
        let mut r: [int8x16_t; 4] = bytemuck::cast([0i8; 4 * BLOCK]);
        for (r, row) in r.iter_mut().zip(rows) {
            *r = bytemuck::cast(row.as_chunks::<BLOCK>().0[k]);
        }
        // SAFETY: as above.
        *quads = unsafe {
            let low: [int16x8_t; 2] =
                bytemuck::cast([vzip1q_s8(r[0], r[1]), vzip1q_s8(r[2], r[3])]);
            let high: [int16x8_t; 2] =
                bytemuck::cast([vzip2q_s8(r[0], r[1]), vzip2q_s8(r[2], r[3])]);
            bytemuck::cast([
                vzip1q_s16(low[0], low[1]),
                vzip2q_s16(low[0], low[1]),
                vzip1q_s16(high[0], high[1]),
                vzip2q_s16(high[0], high[1]),
            ])
        };
    }
    quads
}

/// Loads the numbers of sixteen channels.
#[inline(always)]
pub fn ready(channels: &Channels) -> Ready {
    let mut shift: Four = bytemuck::cast(channels.down);
    for four in &mut shift {
        // SAFETY: as above.
        *four = unsafe { vsubq_s32(vdupq_n_s32(-1), *four) };
    }
    Ready {
        multiplier: bytemuck::cast(channels.multiplier),
        shift,
        limit: bytemuck::cast(channels.limit),
        up: bytemuck::cast(channels.up),
    }
}

/// Loads what all channels share.
#[inline(always)]
pub fn shared(output: &Output) -> Shared {
    // SAFETY: as above.
    unsafe {
        Shared {
            zero_point: vdupq_n_s16(output.zero_point.into()),
            low: vdupq_n_s8(output.clamp[0]),
            high: vdupq_n_s8(output.clamp[1]),
        }
    }
}

/// Scales sums, without the zero point, which [`store`] adds.
#[inline(always)]
pub fn scale<const SCALING: u8>(sums: Four, numbers: &Ready) -> Four {
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
            vrshlq_s32(vqdmulhq_s32(acc, numbers.multiplier[i]), numbers.shift[i])
        };
    }
    all
}

/// Stores scaled sums, saturated and clamped.
#[inline(always)]
pub fn store(scaled: Four, shared: &Shared, to: &mut [i8; BLOCK]) {
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
