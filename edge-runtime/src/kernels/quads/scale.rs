//! From sums to int8 outputs: three ways to compute the normative requantization, each exact where it is used.
//!
//! [`FLOAT`]: an `m` of at most 24 significant bits makes `s = m / 2^n` an f32, and one fused multiply-add
//! `acc * s + (1.5 * 2^23 + zero_point)` rounds once, to an integer that stands in the low bits of the result. It
//! rounds halves to even and the definition rounds them up, but no half matters: with `m = M * 2^k`, `M` odd,
//! `acc * s = acc * M / 2^(n-k)` is one only if `2^(n-k-1)` divides `acc`, so that `|acc * s|` is `M / 2` or more.
//! That saturates if `M` has 10 bits or more. [`is_float`] also rules out sums that f32 does not hold, unless they
//! saturate in any case.
//!
//! [`HIGH`]: `(acc * m + 2^(n-1)) >> n`, for n of 33 or more, is `(high(acc * m) + 2^(n-33)) >> (n - 32)`, where
//! `high` is the upper half of the 64-bit product: what is cut off cannot reach the rounding. The zero point,
//! moved up by `n - 32`, is added with the rounding, which 32 bits hold up to n = 54.
//!
//! [`EXACT`]: any n. A channel with n below 33 scales by 1/4 or more, so a sum beyond 2^14 saturates in any case.
//! There the sum is first limited to that, and then multiplied by 2^14, which n makes good. An n below 19 counts as
//! 19: that scales by 2048 at least, and every sum but 0 saturates either way. The zero point is added last.

use super::{BLOCK, Quads};
use crate::kernels::{ConvParams, RequantizeParams};
use core::ops::Range;

/// By a multiplication of floats: the fastest.
pub const FLOAT: u8 = 0;
/// By the upper half of a product of integers.
pub const HIGH: u8 = 1;
/// As [`HIGH`], for every number that the format allows.
pub const EXACT: u8 = 2;

#[cfg(target_arch = "x86_64")]
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
    /// The fastest way for a convolution; with `floats` if those are fast.
    pub fn of(p: &ConvParams<'_>, weights: &WeightSums, floats: bool) -> Self {
        let r = &p.requantize;
        let float = |o: usize| is_float(weights.range(o, r.bias[o]), r.multiplier[o], r.shift[o]);
        if floats && (0..r.bias.len()).all(float) {
            Self::Float
        } else if r.shift.iter().all(|n| (33..=54).contains(n)) {
            Self::High
        } else {
            Self::Exact
        }
    }
}

/// Sums of each filter's negative and positive weights.
pub struct WeightSums(Vec<[i64; 2]>);

impl WeightSums {
    /// Of filters, each the sequence of its weights.
    pub fn new<'w>(filters: impl Iterator<Item = impl Iterator<Item = &'w i8>>) -> Self {
        Self(filters.map(Self::of).collect())
    }

    fn of<'w>(mut weights: impl Iterator<Item = &'w i8>) -> [i64; 2] {
        let mut sums = [0; 2];
        // So many fit 32 bits, which vectors like better.
        while let Some(first) = weights.next() {
            let mut some = [i32::from(*first).min(0), i32::from(*first).max(0)];
            for w in weights.by_ref().take(1 << 20) {
                let w = i32::from(*w);
                some = [some[0] + w.min(0), some[1] + w.max(0)];
            }
            sums = [sums[0] + i64::from(some[0]), sums[1] + i64::from(some[1])];
        }
        sums
    }

    /// What [`Quads::FLIP`] adds to the sum of a filter.
    pub fn flipped<Q: Quads>(&self, filter: usize) -> i32 {
        let [low, high] = self.0[filter];
        // The sums of products wrap as well.
        i32::from(Q::FLIP).wrapping_mul((low + high) as i32)
    }

    /// The smallest and the largest sum that any input gives, the bias included.
    fn range(&self, filter: usize, bias: i32) -> [i64; 2] {
        let [low, high] = self.0[filter];
        let bias = i64::from(bias);
        [bias + 127 * low - 128 * high, bias + 127 * high - 128 * low]
    }
}

/// True if [`FLOAT`] is exact for all sums of a range.
fn is_float(sums: [i64; 2], multiplier: i32, shift: u8) -> bool {
    let most = sums[0].unsigned_abs().max(sums[1].unsigned_abs());
    let scaled = f64::from(multiplier) / 2f64.powi(shift.into()) * (most as f64);
    let zeros = multiplier.trailing_zeros();
    // No f32, or sums that wrap, or what leaves no room for the zero point and for the rounding of a large sum.
    if zeros < 7 || most > i32::MAX as u64 || scaled >= f64::from((1 << 22) - 1024) {
        return false;
    }
    // Beyond 2^24 an f32 is not exact, but scaled by 2^-15 or more such a sum is far beyond int8.
    let held = most <= 1 << 24 || shift <= 45;
    // Or the channel is 0 for any input.
    held && zeros <= 21 || scaled < 0.49
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

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::Job;
    use super::*;
    use crate::kernels::portable::requantize;
    use crate::kernels::{Avx512Vnni, AvxVnni};
    use crate::random::Random;

    /// Sixteen sums of one channel's kind.
    struct Outputs<'j> {
        p: &'j RequantizeParams<'j>,
        scaling: Scaling,
        sums: [i32; BLOCK],
        outputs: &'j mut [i8; BLOCK],
    }

    impl Outputs<'_> {
        #[inline(always)]
        fn scaled<Q: Quads, const SCALING: u8>(self, q: Q) {
            let output = Output::new(self.p);
            let channels = Channels::new(self.p, self.scaling, 0..BLOCK, |_| 0);
            let shared = q.shared(&output);
            let sums = q.total(q.start(&self.sums));
            let scaled = q.scale::<SCALING>(sums, &q.ready(&channels), &shared);
            q.store(scaled, &shared, self.outputs);
        }
    }

    impl<Q: Quads> Job<Q> for Outputs<'_> {
        #[inline(always)]
        fn run(self, q: Q) {
            match self.scaling {
                Scaling::Float => self.scaled::<Q, FLOAT>(q),
                Scaling::High => self.scaled::<Q, HIGH>(q),
                Scaling::Exact => self.scaled::<Q, EXACT>(q),
            }
        }
    }

    /// Every family's outputs of sums, all with one multiplier and shift, are those of [`requantize`].
    fn agrees(sums: &[i32], m: i32, n: u8, zero_point: i8, scaling: Scaling) {
        let p = RequantizeParams {
            bias: &[0; BLOCK],
            multiplier: &[m; BLOCK],
            shift: &[n; BLOCK],
            zero_point,
            clamp: [-120, 127],
        };
        for sums in sums.chunks(BLOCK) {
            let mut sixteen = [0; BLOCK];
            sixteen[..sums.len()].copy_from_slice(sums);
            let exact = sixteen.map(|acc| requantize(acc, m, n, zero_point, p.clamp));
            let check = |name: &str, run: &dyn Fn(Outputs<'_>)| {
                let mut outputs = [0; BLOCK];
                run(Outputs {
                    p: &p,
                    scaling,
                    sums: sixteen,
                    outputs: &mut outputs,
                });
                assert_eq!(outputs, exact, "{name}: {sums:?} * {m} >> {n}, {scaling:?}");
            };
            if let Some(q) = Avx512Vnni::detect() {
                check("avx512-vnni", &|job| q.enabled(job));
            }
            if let Some(q) = AvxVnni::detect() {
                check("avx-vnni", &|job| q.enabled(job));
            }
        }
    }

    /// The sums on both sides of every step of the output, and the largest that the scaling is allowed.
    fn steps(m: i32, n: u8, most: i64) -> Vec<i32> {
        let step = |k: i64| {
            let at = (i128::from(2 * k - 1) << (n - 1)).div_euclid(i128::from(m));
            (-1..=2).map(move |d| (at + d).clamp(-i128::from(most), i128::from(most)) as i32)
        };
        let most = most.min(i32::MAX.into()) as i32;
        (-300..=300)
            .flat_map(step)
            .chain([0, most, -most])
            .collect()
    }

    /// Floats give the definition's bits at every step, for multipliers as the converter makes them, and for any
    /// other that [`is_float`] lets through.
    #[test]
    fn floats_round_as_the_definition_does() {
        let mut random = Random::new(5);
        let mut tried = 0;
        for round in 0..3000 {
            let bits = random.range(10, 24);
            let m = (random.range(1 << (bits - 1), (1 << bits) - 1) | 1) << (31 - bits);
            let n = random.range(25, 50) as u8;
            let mut most: i64 = [1 << 14, 1 << 20, 1 << 24, i64::from(i32::MAX)][round % 4];
            while !is_float([-most, most], m, n) && most > 1 {
                most /= 2;
            }
            if most > 1 {
                let zero_point = random.range(-128, 127) as i8;
                agrees(&steps(m, n, most), m, n, zero_point, Scaling::Float);
                tried += 1;
            }
        }
        assert!(tried > 2000, "{tried}");
    }

    /// Channels whose floats would round otherwise are told apart.
    #[test]
    fn halves_and_large_sums_are_no_floats() {
        let range = |most: i64| [-most, most];
        assert!(is_float(range(1 << 20), (1 << 30) + 128, 40));
        assert!(!is_float(range(1 << 20), 1 << 30, 40), "a power of two");
        assert!(!is_float(range(1 << 20), (1 << 30) + 1, 40), "31 bits");
        assert!(!is_float(range(1 << 25), (1 << 30) + 128, 46), "beyond f32");
        assert!(is_float(range(1 << 25), (1 << 30) + 128, 45), "saturates");
        assert!(
            !is_float(range(1 << 24), (1 << 30) + 128, 31),
            "beyond 2^22"
        );
        assert!(!is_float(range(1 << 31), (1 << 30) + 128, 45), "wraps");
        assert!(is_float(range(1 << 30), 1 << 30, 62), "always 0");
        let weights = [127, -127];
        let range = WeightSums::new([weights.iter()].into_iter()).range(0, 5);
        assert_eq!(range, [5 - 127 * 255, 5 + 127 * 255]);
        // More weights than 32 bits hold the sum of.
        let all = vec![-128i8; (1 << 24) + 5];
        let range = WeightSums::new([all.iter()].into_iter()).range(0, 0);
        assert_eq!(range.map(|v| v / all.len() as i64), [-128 * 127, 128 * 128]);
    }

    /// Every shift of the format, sums and multipliers at their ends.
    #[test]
    fn integers_are_exact() {
        for n in 1..=62 {
            for m in [1 << 30, (1 << 30) + 1, 1_500_000_001, i32::MAX] {
                let mut sums = vec![i32::MIN, i32::MIN + 1, -16385, -16384, 16384, 16385];
                sums.extend(steps(m, n, i32::MAX.into()));
                for zero_point in [-128, 3, 127] {
                    agrees(&sums, m, n, zero_point, Scaling::Exact);
                    if (33..=54).contains(&n) {
                        agrees(&sums, m, n, zero_point, Scaling::High);
                    }
                }
            }
        }
    }
}
