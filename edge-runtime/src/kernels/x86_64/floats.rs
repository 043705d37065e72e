//! Float instructions of the families that have fused multiply-add.

use super::{Avx2, Avx512Vnni};
use crate::kernels::floats::{BLOCK, Floats, Job};
use core::arch::x86_64::*;

// SAFETY, of every block here: `self` proves that the processor has the instructions.
impl Floats for Avx512Vnni {
    const BLOCKS: usize = 4;
    type Sixteen = __m512;

    #[inline(always)]
    fn enabled(self, job: impl Job<Self>) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        fn run(f: Avx512Vnni, job: impl Job<Avx512Vnni>) {
            job.run(f);
        }
        // SAFETY: as above.
        unsafe { run(self, job) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; BLOCK]) -> __m512 {
        bytemuck::cast(*from)
    }

    #[inline(always)]
    fn repeat(self, value: f32) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn multiply_add(self, sums: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(a, b, sums) }
    }

    #[inline(always)]
    fn clamp(self, values: __m512, low: __m512, high: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_min_ps(_mm512_max_ps(values, low), high) }
    }

    #[inline(always)]
    fn store(self, values: __m512, to: &mut [f32; BLOCK]) {
        *to = bytemuck::cast(values);
    }
}

impl Floats for Avx2 {
    const BLOCKS: usize = 1;
    type Sixteen = [__m256; 2];

    #[inline(always)]
    fn enabled(self, job: impl Job<Self>) {
        #[target_feature(enable = "avx2,fma")]
        fn run(f: Avx2, job: impl Job<Avx2>) {
            job.run(f);
        }
        // SAFETY: as above.
        unsafe { run(self, job) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; BLOCK]) -> [__m256; 2] {
        bytemuck::cast(*from)
    }

    #[inline(always)]
    fn repeat(self, value: f32) -> [__m256; 2] {
        // SAFETY: as above.
        [unsafe { _mm256_set1_ps(value) }; 2]
    }

    #[inline(always)]
    fn multiply_add(self, sums: [__m256; 2], a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], sums[0]),
                _mm256_fmadd_ps(a[1], b[1], sums[1]),
            ]
        }
    }

    #[inline(always)]
    fn clamp(self, values: [__m256; 2], low: [__m256; 2], high: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            [
                _mm256_min_ps(_mm256_max_ps(values[0], low[0]), high[0]),
                _mm256_min_ps(_mm256_max_ps(values[1], low[1]), high[1]),
            ]
        }
    }

    #[inline(always)]
    fn store(self, values: [__m256; 2], to: &mut [f32; BLOCK]) {
        *to = bytemuck::cast(values);
    }
}
