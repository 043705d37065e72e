//! Kernels for AVX-VNNI: Intel's processors for desktops and small servers since Alder Lake, AMD's since Zen 5.

use super::{Avx2, portable};
use crate::kernels::quads::{
    self, BLOCK, Channels, EXACT, FLOAT, HIGH, Job, Line, MAGIC, Output, Quads, Step,
};
use crate::kernels::*;
use core::arch::x86_64::*;

/// The family for processors with AVX-VNNI.
#[derive(Clone, Copy, Debug)]
pub struct AvxVnni(());

impl AvxVnni {
    /// The family, if the processor has what it needs.
    pub fn detect() -> Option<&'static Self> {
        // The only place that makes one: that a value exists proves that the processor has all of this.
        let has = std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("avxvnni");
        has.then_some(&Self(()))
    }
}

impl Kernels for AvxVnni {
    fn name(&self) -> &'static str {
        "avx-vnni"
    }

    fn prepack_conv(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        // AVX2's kernel unfolds window by window, and so takes windows that are far apart.
        quads::prepack_conv(*self, p).or_else(|| Avx2::detect()?.prepack_conv(p))
    }

    fn prepack_float_conv(&self, p: &FloatConvParams<'_>) -> Option<Box<dyn PrepackedFloat>> {
        // Floats gained nothing since.
        Avx2::detect()?.prepack_float_conv(p)
    }

    fn prepack_depthwise(&self, p: &ConvParams<'_>) -> Option<Box<dyn Prepacked>> {
        quads::prepack_depthwise(*self, p).or_else(|| Avx2::detect()?.prepack_depthwise(p))
    }

    fn multiply_only(&self, rounds: usize) -> Option<u64> {
        Some(quads::multiply_only(*self, rounds))
    }

    portable! { "avx2,fma,avxvnni" }
}

/// Two vectors for sixteen 32-bit values.
type Pair = [__m256i; 2];

/// Numbers of sixteen channels.
#[derive(Clone, Copy)]
pub struct Ready {
    scale: [__m256; 2],
    multiplier: Pair,
    round: Pair,
    down: Pair,
    limit: Pair,
    up: Pair,
}

/// What all channels share.
#[derive(Clone, Copy)]
pub struct Shared {
    magic: __m256,
    zero_point: __m256i,
    low: __m128i,
    high: __m128i,
}

/// The values of odd places, in the even places.
///
/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn odd_places(values: __m256i) -> __m256i {
    // SAFETY: the caller's.
    unsafe { _mm256_srli_epi64::<32>(values) }
}

// SAFETY, of every block here: `self` proves that the processor has the instructions.
impl Quads for AvxVnni {
    const FLIP: u8 = 0x80;
    const BLOCKS: usize = 1;
    const FEWEST: usize = 2;
    const FLOATS: bool = true;
    const STEP: Step = Step::One;
    type Partial = Pair;
    type Many = [[i8; 4]; 4];
    type Sums = Pair;
    type Quads = Pair;
    type Ready = Ready;
    type Shared = Shared;

    #[inline(always)]
    fn enabled(self, job: impl Job<Self>) {
        #[target_feature(enable = "avx2,fma,avxvnni")]
        fn run(q: AvxVnni, job: impl Job<AvxVnni>) {
            job.run(q);
        }
        // SAFETY: as above.
        unsafe { run(self, job) }
    }

    #[inline(always)]
    fn start(self, from: &[i32; BLOCK]) -> Pair {
        bytemuck::cast(*from)
    }

    #[inline(always)]
    fn total(self, sums: Pair) -> Pair {
        sums
    }

    #[inline(always)]
    fn load(self, from: &Line) -> Pair {
        bytemuck::cast(*from)
    }

    #[inline(always)]
    fn repeat(self, quad: [i8; 4]) -> Pair {
        // SAFETY: as above.
        [unsafe { _mm256_set1_epi32(i32::from_ne_bytes(quad.map(|b| b as u8))) }; 2]
    }

    #[inline(always)]
    fn multiply_add(self, sums: Pair, activations: Pair, weights: Pair) -> Pair {
        // SAFETY: as above.
        unsafe {
            [
                _mm256_dpbusd_avx_epi32(sums[0], activations[0], weights[0]),
                _mm256_dpbusd_avx_epi32(sums[1], activations[1], weights[1]),
            ]
        }
    }

    #[inline(always)]
    fn many(self, quads: &[[i8; 4]; 4]) -> [[i8; 4]; 4] {
        *quads
    }

    #[inline(always)]
    fn multiply_add_lane<const LANE: i32>(
        self,
        sums: Pair,
        activations: [[i8; 4]; 4],
        weights: Pair,
    ) -> Pair {
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
        let from: Pair = bytemuck::cast(*from);
        let mut flipped = from;
        for half in &mut flipped {
            // SAFETY: as above.
            *half = unsafe { _mm256_xor_si256(*half, _mm256_set1_epi8(-128)) };
        }
        *to = bytemuck::cast(flipped);
    }

    #[inline(always)]
    fn save(self, quads: Pair, to: &mut Line) {
        *to = bytemuck::cast(quads);
    }

    #[inline(always)]
    fn interleave(self, rows: [&[i8; 64]; 4]) -> [Pair; 4] {
        let mut quads = [bytemuck::cast([0u8; 64]); 4];
        for half in 0..2 {
            // SAFETY: as above.
            let lines: [__m256i; 4] = unsafe {
                let mut r = [_mm256_setzero_si256(); 4];
                for i in 0..4 {
                    let halves: Pair = bytemuck::cast(*rows[i]);
                    let flipped = _mm256_xor_si256(halves[half], _mm256_set1_epi8(-128));
                    // Interleaving works on each half of a vector. Afterwards vector `k` has the `k`th four channels
                    // of each, which are to be eight neighbours.
                    let order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
                    r[i] = _mm256_permutevar8x32_epi32(flipped, order);
                }
                let low = [
                    _mm256_unpacklo_epi8(r[0], r[1]),
                    _mm256_unpacklo_epi8(r[2], r[3]),
                ];
                let high = [
                    _mm256_unpackhi_epi8(r[0], r[1]),
                    _mm256_unpackhi_epi8(r[2], r[3]),
                ];
                [
                    _mm256_unpacklo_epi16(low[0], low[1]),
                    _mm256_unpackhi_epi16(low[0], low[1]),
                    _mm256_unpacklo_epi16(high[0], high[1]),
                    _mm256_unpackhi_epi16(high[0], high[1]),
                ]
            };
            quads[2 * half] = [lines[0], lines[1]];
            quads[2 * half + 1] = [lines[2], lines[3]];
        }
        quads
    }

    #[inline(always)]
    fn ready(self, channels: &Channels) -> Ready {
        Ready {
            scale: bytemuck::cast(channels.scale),
            multiplier: self.start(&channels.multiplier),
            round: self.start(&channels.round),
            down: self.start(&channels.down),
            limit: self.start(&channels.limit),
            up: self.start(&channels.up),
        }
    }

    #[inline(always)]
    fn shared(self, output: &Output) -> Shared {
        // SAFETY: as above.
        unsafe {
            Shared {
                magic: _mm256_set1_ps(MAGIC + f32::from(output.zero_point)),
                zero_point: _mm256_set1_epi32(output.zero_point.into()),
                low: _mm_set1_epi8(output.clamp[0]),
                high: _mm_set1_epi8(output.clamp[1]),
            }
        }
    }

    #[inline(always)]
    fn scale<const SCALING: u8>(self, sums: Pair, numbers: &Ready, shared: &Shared) -> Pair {
        let mut all = sums;
        for (half, sums) in all.iter_mut().enumerate() {
            // SAFETY: as above.
            *sums = unsafe {
                if SCALING == FLOAT {
                    let float = _mm256_cvtepi32_ps(*sums);
                    let scaled = _mm256_fmadd_ps(float, numbers.scale[half], shared.magic);
                    let magic = _mm256_set1_epi32(MAGIC.to_bits() as i32);
                    _mm256_sub_epi32(_mm256_castps_si256(scaled), magic)
                } else {
                    let mut acc = *sums;
                    if SCALING == EXACT {
                        // One below the negative limit, so that an unlimited channel keeps i32::MIN.
                        let low = _mm256_xor_si256(numbers.limit[half], _mm256_set1_epi32(-1));
                        acc = _mm256_max_epi32(_mm256_min_epi32(acc, numbers.limit[half]), low);
                        acc = _mm256_sllv_epi32(acc, numbers.up[half]);
                    }
                    // A product's upper half is in the odd places, where those of the odd channels belong.
                    let m = numbers.multiplier[half];
                    let even = odd_places(_mm256_mul_epi32(acc, m));
                    let odd = _mm256_mul_epi32(odd_places(acc), odd_places(m));
                    let high = _mm256_blend_epi32::<0b1010_1010>(even, odd);
                    let rounded = _mm256_add_epi32(high, numbers.round[half]);
                    let scaled = _mm256_srav_epi32(rounded, numbers.down[half]);
                    match SCALING {
                        HIGH => scaled,
                        _ => _mm256_add_epi32(scaled, shared.zero_point),
                    }
                }
            };
        }
        all
    }

    #[inline(always)]
    fn store(self, scaled: Pair, shared: &Shared, to: &mut [i8; BLOCK]) {
        // SAFETY: as above.
        let q = unsafe {
            // Packing works on each half of a vector.
            let pairs = _mm256_packs_epi32(scaled[0], scaled[1]);
            let pairs = _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
            let low = _mm256_castsi256_si128(pairs);
            let q = _mm_packs_epi16(low, _mm256_extracti128_si256::<1>(pairs));
            let q = _mm_max_epi8(q, shared.low);
            _mm_min_epi8(q, shared.high)
        };
        *to = bytemuck::cast(q);
    }
}
