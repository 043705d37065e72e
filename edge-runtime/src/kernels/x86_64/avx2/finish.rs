//! From sixteen sums to sixteen int8 outputs, in one of the ways of [`quads::Scaling`], which says why each is exact.
//!
//! [`quads::Scaling`]: crate::kernels::quads::Scaling

use super::lanes::{load_f32, load_i32};
use crate::kernels::RequantizeParams;
use crate::kernels::quads::{EXACT, FLOAT, MAGIC};
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
    scale: [[f32; 8]; 2],
    multiplier: [[i32; 8]; 2],
    round: [[i32; 8]; 2],
    down: [[i32; 8]; 2],
    limit: [[i32; 8]; 2],
    up: [[i32; 8]; 2],
}

impl Channels {
    /// Of the channels from `first` on, up to `end`; what lies beyond gives 0 and is not stored.
    pub fn new(p: &RequantizeParams<'_>, first: usize, end: usize) -> Self {
        let mut all = Self {
            bias: [[0; 8]; 2],
            scale: [[0.0; 8]; 2],
            multiplier: [[0; 8]; 2],
            round: [[0; 8]; 2],
            down: [[1; 8]; 2],
            limit: [[i32::MAX; 8]; 2],
            up: [[0; 8]; 2],
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
            let scale = f64::from(p.multiplier[c]) / 2f64.powi(p.shift[c].into());
            all.scale[at.0][at.1] = scale as f32;
            all.round[at.0][at.1] = 1 << (shift - 33);
            all.down[at.0][at.1] = (shift - 32).into();
            if large {
                all.limit[at.0][at.1] = 1 << UP;
                all.up[at.0][at.1] = UP.into();
            }
        }
        all
    }

    /// The bias of each place.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn bias(&self) -> [__m256i; 2] {
        [load_i32(&self.bias[0]), load_i32(&self.bias[1])]
    }

    /// Eight scaled sums, without the zero point.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn scale<const SCALING: u8>(&self, half: usize, mut acc: __m256i) -> __m256i {
        if SCALING == EXACT {
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

impl Channels {
    /// Eight scaled sums; `zero` is [`MAGIC`] and the zero point, which the result has.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn scale_float(&self, half: usize, acc: __m256i, zero: __m256) -> __m256i {
        let scale = load_f32(&self.scale[half]);
        let scaled = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), scale, zero);
        let magic = _mm256_set1_epi32(MAGIC.to_bits() as i32);
        _mm256_sub_epi32(_mm256_castps_si256(scaled), magic)
    }
}

/// The values of odd places, in the even places too.
#[inline]
#[target_feature(enable = "avx2,fma")]
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

    /// The outputs of sixteen sums, the bias included, in the order of the channels.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn of<const SCALING: u8>(&self, acc: [__m256i; 2], channels: &Channels) -> __m128i {
        let [a, b] = match SCALING {
            FLOAT => {
                let zero = _mm256_set1_ps(MAGIC + f32::from(self.zero_point));
                [
                    channels.scale_float(0, acc[0], zero),
                    channels.scale_float(1, acc[1], zero),
                ]
            }
            _ => {
                let zero = _mm256_set1_epi32(self.zero_point.into());
                [
                    _mm256_add_epi32(channels.scale::<SCALING>(0, acc[0]), zero),
                    _mm256_add_epi32(channels.scale::<SCALING>(1, acc[1]), zero),
                ]
            }
        };
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
    use crate::kernels::portable::requantize;
    use crate::kernels::quads::HIGH;
    use crate::kernels::x86_64::avx2::lanes::store_i8;
    use crate::random::Random;

    #[target_feature(enable = "avx2,fma")]
    fn outputs<const SCALING: u8>(p: &RequantizeParams<'_>, acc: i32) -> [i8; CHANNELS] {
        let mut q = [0; CHANNELS];
        let acc = [_mm256_set1_epi32(acc); 2];
        let channels = Channels::new(p, 0, CHANNELS);
        store_i8(&mut q, Output::new(p).of::<SCALING>(acc, &channels));
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
                    let got = unsafe { outputs::<EXACT>(&p, acc) };
                    assert_eq!(got, exact, "({acc} * {m}) >> {n}");
                }
            }
        }
    }

    /// Multipliers as the converter makes them: both sides of every step of the output, in all three ways.
    #[test]
    fn every_step_is_exact() {
        if Avx2::detect().is_none() {
            eprintln!("skipped: this processor has no AVX2");
            return;
        }
        let mut random = Random::new(8);
        for _ in 0..300 {
            let (m, n) = (
                random.range(1 << 23, (1 << 24) - 1) << 7 | 0x80,
                random.range(34, 44) as u8,
            );
            let zero_point = random.range(-128, 127) as i8;
            let p = RequantizeParams {
                bias: &[0; CHANNELS],
                multiplier: &[m; CHANNELS],
                shift: &[n; CHANNELS],
                zero_point,
                clamp: [-120, 127],
            };
            for step in -280..=280i64 {
                let at = ((2 * step - 1) << (n - 1)).div_euclid(m.into());
                for acc in at - 1..=at + 2 {
                    let acc = acc as i32;
                    let exact = requantize(acc, m, n, zero_point, p.clamp);
                    // SAFETY: the processor has AVX2, as was asked above.
                    let got = unsafe {
                        [
                            outputs::<FLOAT>(&p, acc),
                            outputs::<HIGH>(&p, acc),
                            outputs::<EXACT>(&p, acc),
                        ]
                    };
                    assert_eq!(got, [[exact; CHANNELS]; 3], "({acc} * {m}) >> {n}");
                }
            }
        }
    }
}
