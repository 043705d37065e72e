//! From sixteen sums to sixteen int8 outputs: the normative requantization without 64-bit shifts.
//!
//! `(acc * m + 2^(n-1)) >> n`, for n of 33 or more, is `(high(acc * m) + 2^(n-33)) >> (n - 32)`, where `high` is the
//! upper half of the 64-bit product: what is cut off cannot reach the rounding. A channel with a smaller n scales
//! by 1/4 or more, so a sum beyond 2^14 saturates in any case. There the sum is first limited to that, and then
//! multiplied by 2^14, which n makes good. An n below 19 counts as 19: that scales by 2048 at least, and every
//! sum but 0 saturates either way.

use super::lanes::load_i32;
use crate::kernels::RequantizeParams;
use core::arch::x86_64::*;

/// Output channels that are computed together.
pub const CHANNELS: usize = 16;

/// The channel of each place in a pair of vectors: as the two packs at the end undo it.
pub const ORDER: [usize; CHANNELS] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];

/// Bits by which sums of channels with a large scale are moved up.
const UP: u8 = 14;

/// The numbers of sixteen channels, in [`ORDER`].
#[derive(Clone, Debug)]
pub struct Channels {
    bias: [[i32; 8]; 2],
    multiplier: [[i32; 8]; 2],
    round: [[i32; 8]; 2],
    down: [[i32; 8]; 2],
    limit: [[i32; 8]; 2],
    up: [[i32; 8]; 2],
    large: bool,
}

impl Channels {
    /// Of the channels from `first` on, up to `end`; what lies beyond gives 0 and is not stored.
    pub fn new(p: &RequantizeParams<'_>, first: usize, end: usize) -> Self {
        let mut all = Self {
            bias: [[0; 8]; 2],
            multiplier: [[0; 8]; 2],
            round: [[0; 8]; 2],
            down: [[1; 8]; 2],
            limit: [[i32::MAX; 8]; 2],
            up: [[0; 8]; 2],
            large: false,
        };
        for (place, channel) in ORDER.iter().enumerate() {
            let c = first + channel;
            if c >= end {
                continue;
            }
            let at = (place / 8, place % 8);
            let large = p.shift[c] < 33;
            let shift = match large {
                true => p.shift[c].max(33 - UP) + UP,
                false => p.shift[c],
            };
            all.bias[at.0][at.1] = p.bias[c];
            all.multiplier[at.0][at.1] = p.multiplier[c];
            all.round[at.0][at.1] = 1 << (shift - 33);
            all.down[at.0][at.1] = (shift - 32).into();
            if large {
                all.limit[at.0][at.1] = 1 << UP;
                all.up[at.0][at.1] = UP.into();
                all.large = true;
            }
        }
        all
    }

    /// True if a channel scales by 1/4 or more, so that sums are limited first.
    pub fn scales_large(&self) -> bool {
        self.large
    }

    /// The bias of each place.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn bias(&self) -> [__m256i; 2] {
        [load_i32(&self.bias[0]), load_i32(&self.bias[1])]
    }

    /// Eight scaled sums, without the zero point.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn scale<const LARGE: bool>(&self, half: usize, mut acc: __m256i) -> __m256i {
        if LARGE {
            let limit = load_i32(&self.limit[half]);
            // One below the negative limit, so that an unlimited channel keeps i32::MIN.
            let low = _mm256_xor_si256(limit, _mm256_set1_epi32(-1));
            acc = _mm256_max_epi32(_mm256_min_epi32(acc, limit), low);
            acc = _mm256_sllv_epi32(acc, load_i32(&self.up[half]));
        }
        let m = load_i32(&self.multiplier[half]);
        // A product's upper half is in the odd places, where those of the odd channels belong.
        let even = odd_places(_mm256_mul_epi32(acc, m));
        let odd = _mm256_mul_epi32(odd_places(acc), odd_places(m));
        let high = _mm256_blend_epi32::<0b1010_1010>(even, odd);
        let rounded = _mm256_add_epi32(high, load_i32(&self.round[half]));
        _mm256_srav_epi32(rounded, load_i32(&self.down[half]))
    }
}

/// The values of odd places, in the even places too.
#[inline]
#[target_feature(enable = "avx2")]
fn odd_places(values: __m256i) -> __m256i {
    _mm256_castps_si256(_mm256_movehdup_ps(_mm256_castsi256_ps(values)))
}

/// What all channels of an output share.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    zero_point: i8,
    clamp: [i8; 2],
}

impl Output {
    /// Of a convolution.
    pub fn new(p: &RequantizeParams<'_>) -> Self {
        Self {
            zero_point: p.zero_point,
            clamp: p.clamp,
        }
    }

    /// The outputs of sixteen sums, the bias included, in the order of the channels. `LARGE` if a channel
    /// [scales large](Channels::scales_large).
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn of<const LARGE: bool>(&self, acc: [__m256i; 2], channels: &Channels) -> __m128i {
        let zero = _mm256_set1_epi32(self.zero_point.into());
        let a = _mm256_add_epi32(channels.scale::<LARGE>(0, acc[0]), zero);
        let b = _mm256_add_epi32(channels.scale::<LARGE>(1, acc[1]), zero);
        let pairs = _mm256_packs_epi32(a, b);
        let low = _mm256_castsi256_si128(pairs);
        let high = _mm256_extracti128_si256::<1>(pairs);
        let q = _mm_packs_epi16(low, high);
        let q = _mm_max_epi8(q, _mm_set1_epi8(self.clamp[0]));
        _mm_min_epi8(q, _mm_set1_epi8(self.clamp[1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Avx2;
    use crate::kernels::x86_64::avx2::lanes::store_i8;

    #[target_feature(enable = "avx2")]
    fn outputs(p: &RequantizeParams<'_>, acc: i32) -> [i8; CHANNELS] {
        let mut q = [0; CHANNELS];
        let acc = [_mm256_set1_epi32(acc); 2];
        let channels = Channels::new(p, 0, CHANNELS);
        store_i8(&mut q, Output::new(p).of::<true>(acc, &channels));
        q
    }

    /// Every shift of the format, sums and multipliers at their ends, in exact arithmetic.
    #[test]
    fn extremes_are_exact() {
        if Avx2::detect().is_none() {
            eprintln!("skipped: this processor has no AVX2");
            return;
        }
        let ends = [
            i32::MIN,
            i32::MIN + 1,
            -16385,
            -16384,
            -1,
            0,
            1,
            16384,
            16385,
            i32::MAX,
        ];
        for n in 1..=62u8 {
            for m in [1 << 30, (1 << 30) + 1, 1_500_000_001, i32::MAX] {
                for acc in ends {
                    // One channel of another kind in every second place.
                    let shift = core::array::from_fn(|c| if c % 2 == 0 { n } else { 63 - n });
                    let p = RequantizeParams {
                        bias: &[0; CHANNELS],
                        multiplier: &[m; CHANNELS],
                        shift: &shift,
                        zero_point: 3,
                        clamp: [-120, 127],
                    };
                    let exact: [i8; CHANNELS] = shift.map(|n| {
                        let product = acc as i128 * m as i128 + (1 << (n - 1));
                        (product.div_euclid(1 << n) + 3).clamp(-120, 127) as i8
                    });
                    // SAFETY: the processor has AVX2, as was asked above.
                    let got = unsafe { outputs(&p, acc) };
                    assert_eq!(got, exact, "({acc} * {m}) >> {n}");
                }
            }
        }
    }
}
