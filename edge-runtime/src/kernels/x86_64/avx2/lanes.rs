//! Loads and stores of whole vectors, through references that prove the memory: the only raw pointers of the family.

use core::arch::x86_64::*;

/// Sixteen int8 values, as 16 bits each.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn widen(from: &[i8; 16]) -> __m256i {
    // SAFETY: the reference is to 16 bytes; the load needs no alignment.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.as_ptr().cast()) })
}

/// Sixteen 16-bit values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn load_i16(from: &[i16; 16]) -> __m256i {
    // SAFETY: the reference is to 32 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

/// Eight 32-bit values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn load_i32(from: &[i32; 8]) -> __m256i {
    // SAFETY: the reference is to 32 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

/// Stores sixteen int8 values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn store_i8(to: &mut [i8; 16], values: __m128i) {
    // SAFETY: the reference is to 16 bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), values) }
}

/// Stores sixteen 16-bit values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn store_i16(to: &mut [i16; 16], values: __m256i) {
    // SAFETY: the reference is to 32 bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), values) }
}

/// Stores eight 32-bit values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn store_i32(to: &mut [i32; 8], values: __m256i) {
    // SAFETY: the reference is to 32 bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), values) }
}

/// Eight floats.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn load_f32(from: &[f32; 8]) -> __m256 {
    // SAFETY: the reference is to 32 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_ps(from.as_ptr()) }
}
