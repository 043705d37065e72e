//! From sums to int8 outputs: three ways to compute the normative requantization, each exact where it is used.
//!
//! [`FLOAT`]: with `m = M * 2^7`, `M` odd and of 24 bits, `s = m / 2^n` is an f32, and one fused multiply-add
//! `acc * s + (1.5 * 2^23 + zero_point)` rounds once, to an integer that stands in the low bits of the result. It
//! rounds halves to even and the definition rounds them up, but there is no half: `acc * M / 2^(n-7)` is one only if
//! `2^(n-8)` divides `acc`, so that `|acc * s|` is 2^22 or more, which [`is_float`] rules out. It also rules out sums
//! that f32 does not hold, unless they saturate in any case.
//!
//! [`HIGH`]: `(acc * m + 2^(n-1)) >> n`, for n of 33 or more, is `(high(acc * m) + 2^(n-33)) >> (n - 32)`, where
//! `high` is the upper half of the 64-bit product: what is cut off cannot reach the rounding. The zero point,
//! moved up by `n - 32`, is added with the rounding, which 32 bits hold up to n = 54.
//!
//! [`EXACT`]: any n. A channel with n below 33 scales by 1/4 or more, so a sum beyond 2^14 saturates in any case.
//! There the sum is first limited to that, and then multiplied by 2^14, which n makes good. An n below 19 counts as
//! 19: that scales by 2048 at least, and every sum but 0 saturates either way. The zero point is added last.

use super::BLOCK;
use crate::kernels::{ConvParams, RequantizeParams};
use core::ops::Range;

/// By a multiplication of floats: the fastest.
pub const FLOAT: u8 = 0;
/// By the upper half of a product of integers.
pub const HIGH: u8 = 1;
/// As [`HIGH`], for every number that the format allows.
pub const EXACT: u8 = 2;

/// 1.5 * 2^23: floats from 2^23 to 2^24 are the integers, and this is their middle.
pub const MAGIC: f32 = 12_582_912.0;

/// Bits by which sums of channels with a large scale are moved up.
const UP: u8 = 14;

/// The way that serves all channels of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// [`FLOAT`]
    Float,
    /// [`HIGH`]
    High,
    /// [`EXACT`]
    Exact,
}

impl Scaling {
    /// The fastest way for a convolution whose filters have `depth` weights, those of filter `o` from
    /// `weight(o, 0)` on.
    pub fn of(p: &ConvParams<'_>, depth: usize, weight: impl Fn(usize, usize) -> i8) -> Self {
        let r = &p.requantize;
        let float = |o: usize| {
            let sums = sums(r.bias[o], (0..depth).map(|k| weight(o, k)));
            is_float(sums, r.multiplier[o], r.shift[o])
        };
        if (0..r.bias.len()).all(float) {
            Self::Float
        } else if r.shift.iter().all(|n| (33..=54).contains(n)) {
            Self::High
        } else {
            Self::Exact
        }
    }
}

/// The smallest and the largest sum that any input gives, the bias included.
fn sums(bias: i32, weights: impl Iterator<Item = i8>) -> [i64; 2] {
    let bias = i64::from(bias);
    weights.fold([bias; 2], |[low, high], w| {
        let [a, b] = [i64::from(w) * -128, i64::from(w) * 127];
        [low + a.min(b), high + a.max(b)]
    })
}

/// True if [`FLOAT`] is exact for all sums of a range.
fn is_float(sums: [i64; 2], multiplier: i32, shift: u8) -> bool {
    let odd = multiplier & 0x7F == 0 && multiplier & 0x80 != 0;
    let most = sums[0].unsigned_abs().max(sums[1].unsigned_abs());
    let fits = most <= i32::MAX as u64;
    // Beyond 2^24 an f32 is not exact, but scaled by 2^-15 or more such a sum is far beyond int8.
    let held = most < 1 << 24 || shift <= 45;
    // Room for the zero point, and for what rounding adds to a sum beyond 2^24.
    let bounded = f64::from(multiplier) / 2f64.powi(shift.into()) * (most as f64)
        < f64::from((1 << 22) - 1024);
    odd && fits && held && bounded
}

/// The numbers of sixteen channels.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Channels {
    /// Added to the sums of products of activations with [`FLIP`](super::Quads::FLIP) applied.
    pub bias: [i32; BLOCK],
    /// [`FLOAT`]: `m / 2^n`.
    pub scale: [f32; BLOCK],
    /// [`HIGH`] and [`EXACT`]: `m`.
    pub multiplier: [i32; BLOCK],
    /// [`HIGH`] and [`EXACT`]: added to the upper half of the product; for [`HIGH`] with the zero point in it.
    pub round: [i32; BLOCK],
    /// [`HIGH`] and [`EXACT`]: the shift that follows.
    pub down: [i32; BLOCK],
    /// [`EXACT`]: largest sum.
    pub limit: [i32; BLOCK],
    /// [`EXACT`]: how far the sum is moved up first.
    pub up: [i32; BLOCK],
}

impl Channels {
    /// Of `channels`, up to sixteen; others give 0 and are not stored. `flipped` is what [`Quads::FLIP`] adds to a
    /// channel's sum.
    ///
    /// [`Quads::FLIP`]: super::Quads::FLIP
    pub fn new(
        p: &RequantizeParams<'_>,
        scaling: Scaling,
        channels: Range<usize>,
        flipped: impl Fn(usize) -> i32,
    ) -> Self {
        let mut all = Self {
            bias: [0; BLOCK],
            scale: [0.0; BLOCK],
            multiplier: [0; BLOCK],
            round: [0; BLOCK],
            down: [1; BLOCK],
            limit: [i32::MAX; BLOCK],
            up: [0; BLOCK],
        };
        for (i, c) in channels.enumerate() {
            let (m, n) = (p.multiplier[c], p.shift[c]);
            all.bias[i] = p.bias[c].wrapping_sub(flipped(c));
            all.scale[i] = (f64::from(m) / 2f64.powi(n.into())) as f32;
            all.multiplier[i] = m;
            let n = match n < 33 {
                true => {
                    (all.limit[i], all.up[i]) = (1 << UP, UP.into());
                    n.max(33 - UP) + UP
                }
                false => n,
            };
            all.round[i] = 1 << (n - 33);
            all.down[i] = i32::from(n) - 32;
            if scaling == Scaling::High {
                all.round[i] += i32::from(p.zero_point) << (n - 32);
            }
        }
        all
    }
}

/// What all channels of an output share.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Added after scaling.
    pub zero_point: i8,
    /// Smallest and largest output.
    pub clamp: [i8; 2],
}

impl Output {
    /// Of a convolution.
    pub fn new(p: &RequantizeParams<'_>) -> Self {
        Self {
            zero_point: p.zero_point,
            clamp: p.clamp,
        }
    }
}
