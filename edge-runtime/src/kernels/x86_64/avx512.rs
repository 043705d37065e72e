//! Kernels for AVX-512 with VNNI: server processors of Intel since Ice Lake, of AMD since Zen 4.

use super::{Avx2, portable};
use crate::kernels::floats::FloatConv;
use crate::kernels::quads::{
    self, BLOCK, Channels, EXACT, FLOAT, HIGH, Job, Line, MAGIC, Output, Quads, Step,
};
use crate::kernels::*;
use core::arch::x86_64::*;

/// The family for processors with AVX-512 and its VNNI.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Vnni(());

impl Avx512Vnni {
    /// The family, if the processor has what it needs.
    pub fn detect() -> Option<&'static Self> {
        // The only place that makes one: that a value exists proves that the processor has all of this.
        let has = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512vnni");
        has.then_some(&Self(()))
    }
}

impl Kernels for Avx512Vnni {
    fn name(&self) -> &'static str {
        "avx512-vnni"
    }

    fn prepack_conv(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        // AVX2's kernel unfolds window by window, and so takes windows that are far apart.
        quads::prepack_conv(*self, p).or_else(|| Avx2::detect()?.prepack_conv(p))
    }

    fn prepack_float_conv(&self, p: &FloatConvParams<'_>) -> Option<Box<dyn PrepackedFloat>> {
        Some(Box::new(FloatConv::new(*self, p)?))
    }

    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        quads::prepack_depthwise(*self, p).or_else(|| Avx2::detect()?.prepack_depthwise(p))
    }

    fn multiply_only(&self, rounds: usize) -> Option<u64> {
        Some(quads::multiply_only(*self, rounds))
    }

    portable! { "avx512f,avx512bw,avx512vl,avx512vnni" }
}

/// Numbers of sixteen channels.
#[derive(Clone, Copy)]
pub struct Ready {
    scale: __m512,
    multiplier: __m512i,
    round: __m512i,
    down: __m512i,
    limit: __m512i,
    up: __m512i,
}

/// What all channels share.
#[derive(Clone, Copy)]
pub struct Shared {
    magic: __m512,
    zero_point: __m512i,
    low: __m512i,
    high: __m512i,
}

/// Sixteen 32-bit integers.
#[inline(always)]
fn load(from: &[i32; BLOCK]) -> __m512i {
    bytemuck::cast(*from)
}

// SAFETY, of every block here: `self` proves that the processor has the instructions.
impl Quads for Avx512Vnni {
    const FLIP: u8 = 0x80;
    const BLOCKS: usize = 4;
    const FEWEST: usize = 2;
    const FLOATS: bool = true;
    const STEP: Step = Step::One;
    type Partial = __m512i;
    type Many = [[i8; 4]; 4];
    type Sums = __m512i;
    type Quads = __m512i;
    type Ready = Ready;
    type Shared = Shared;

    #[inline(always)]
    fn enabled(self, job: impl Job<Self>) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        fn run(q: Avx512Vnni, job: impl Job<Avx512Vnni>) {
            job.run(q);
        }
        // SAFETY: as above.
        unsafe { run(self, job) }
    }

    #[inline(always)]
    fn start(self, from: &[i32; BLOCK]) -> __m512i {
        load(from)
    }

    #[inline(always)]
    fn total(self, sums: __m512i) -> __m512i {
        sums
    }

    #[inline(always)]
    fn load(self, from: &Line) -> __m512i {
        bytemuck::cast(*from)
    }

    #[inline(always)]
    fn repeat(self, quad: [i8; 4]) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_set1_epi32(i32::from_ne_bytes(quad.map(|b| b as u8))) }
    }

    #[inline(always)]
    fn multiply_add(self, sums: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_dpbusd_epi32(sums, activations, weights) }
    }

    #[inline(always)]
    fn many(self, quads: &[[i8; 4]; 4]) -> [[i8; 4]; 4] {
        *quads
    }

    #[inline(always)]
    fn multiply_add_lane<const LANE: i32>(
        self,
        sums: __m512i,
        activations: [[i8; 4]; 4],
        weights: __m512i,
    ) -> __m512i {
        let quad = self.repeat(activations[LANE as usize]);
        self.multiply_add(sums, quad, weights)
    }

    #[inline(always)]
    fn flip_16(self, from: &[i8; 16], to: &mut [i8; 16]) {
        let from: __m128i = bytemuck::cast(*from);
        // SAFETY: as above.
        *to = bytemuck::cast(unsafe { _mm_xor_si128(from, _mm_set1_epi8(-128)) });
    }

    #[inline(always)]
    fn flip_64(self, from: &[i8; 64], to: &mut [i8; 64]) {
        let from: __m512i = bytemuck::cast(*from);
        // SAFETY: as above.
        *to = bytemuck::cast(unsafe { _mm512_xor_si512(from, _mm512_set1_epi8(-128)) });
    }

    #[inline(always)]
    fn save(self, quads: __m512i, to: &mut Line) {
        *to = bytemuck::cast(quads);
    }

    #[inline(always)]
    fn interleave(self, rows: [&[i8; 64]; 4]) -> [__m512i; 4] {
        // SAFETY: as above.
        unsafe {
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let mut r = [_mm512_setzero_si512(); 4];
            for i in 0..4 {
                let row: __m512i = bytemuck::cast(*rows[i]);
                let flipped = _mm512_xor_si512(row, _mm512_set1_epi8(-128));
                // Interleaving works on each quarter of a vector. Afterwards vector `k` has the `k`th four channels
                // of each, which are to be sixteen neighbours.
                r[i] = _mm512_permutexvar_epi32(order, flipped);
            }
            let low = [
                _mm512_unpacklo_epi8(r[0], r[1]),
                _mm512_unpacklo_epi8(r[2], r[3]),
            ];
            let high = [
                _mm512_unpackhi_epi8(r[0], r[1]),
                _mm512_unpackhi_epi8(r[2], r[3]),
            ];
            [
                _mm512_unpacklo_epi16(low[0], low[1]),
                _mm512_unpackhi_epi16(low[0], low[1]),
                _mm512_unpacklo_epi16(high[0], high[1]),
                _mm512_unpackhi_epi16(high[0], high[1]),
            ]
        }
    }

    #[inline(always)]
    fn ready(self, channels: &Channels) -> Ready {
        Ready {
            scale: bytemuck::cast(channels.scale),
            multiplier: load(&channels.multiplier),
            round: load(&channels.round),
            down: load(&channels.down),
            limit: load(&channels.limit),
            up: load(&channels.up),
        }
    }

    #[inline(always)]
    fn shared(self, output: &Output) -> Shared {
        // SAFETY: as above.
        unsafe {
            Shared {
                magic: _mm512_set1_ps(MAGIC + f32::from(output.zero_point)),
                zero_point: _mm512_set1_epi32(output.zero_point.into()),
                low: _mm512_set1_epi8(output.clamp[0]),
                high: _mm512_set1_epi8(output.clamp[1]),
            }
        }
    }

    #[inline(always)]
    fn scale<const SCALING: u8>(self, sums: __m512i, numbers: &Ready, shared: &Shared) -> __m512i {
        // SAFETY: as above.
        unsafe {
            if SCALING == FLOAT {
                let scaled = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), numbers.scale, shared.magic);
                let magic = _mm512_set1_epi32(MAGIC.to_bits() as i32);
                return _mm512_sub_epi32(_mm512_castps_si512(scaled), magic);
            }
            let mut sums = sums;
            if SCALING == EXACT {
                // One below the negative limit, so that an unlimited channel keeps i32::MIN.
                let low = _mm512_xor_si512(numbers.limit, _mm512_set1_epi32(-1));
                sums = _mm512_max_epi32(_mm512_min_epi32(sums, numbers.limit), low);
                sums = _mm512_sllv_epi32(sums, numbers.up);
            }
            // A product's upper half is in the odd places, where those of the odd channels belong.
            let even = _mm512_mul_epi32(sums, numbers.multiplier);
            let odd = _mm512_mul_epi32(
                _mm512_srli_epi64::<32>(sums),
                _mm512_srli_epi64::<32>(numbers.multiplier),
            );
            let high = _mm512_mask_shuffle_epi32::<0xF5>(odd, 0x5555, even);
            let rounded = _mm512_add_epi32(high, numbers.round);
            let scaled = _mm512_srav_epi32(rounded, numbers.down);
            match SCALING {
                HIGH => scaled,
                _ => _mm512_add_epi32(scaled, shared.zero_point),
            }
        }
    }

    #[inline(always)]
    fn store(self, scaled: __m512i, shared: &Shared, to: &mut [i8; BLOCK]) {
        // SAFETY: as above.
        let q = unsafe {
            let q = _mm512_cvtsepi32_epi8(scaled);
            let q = _mm_max_epi8(q, _mm512_castsi512_si128(shared.low));
            _mm_min_epi8(q, _mm512_castsi512_si128(shared.high))
        };
        *to = bytemuck::cast(q);
    }

    #[inline(always)]
    fn store_row<const N: usize>(self, scaled: [__m512i; N], shared: &Shared, to: &mut [i8]) {
        // SAFETY: as above; and a store touches only the bytes of its mask, which are those of `to`.
        unsafe {
            let low = _mm512_packs_epi32(scaled[0], scaled[1 % N]);
            let high = match N {
                3.. => _mm512_packs_epi32(scaled[2 % N], scaled[3 % N]),
                _ => low,
            };
            // Packing works on each quarter of a vector.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let q = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
            let q = _mm512_max_epi8(q, shared.low);
            let q = _mm512_min_epi8(q, shared.high);
            match to.len() {
                64 => _mm512_storeu_si512(to.as_mut_ptr().cast(), q),
                32 => _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_castsi512_si256(q)),
                16 => _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_castsi512_si128(q)),
                1..64 => {
                    let mask = u64::MAX >> (64 - to.len());
                    _mm512_mask_storeu_epi8(to.as_mut_ptr(), mask, q);
                }
                _ => {}
            }
        }
    }
}
