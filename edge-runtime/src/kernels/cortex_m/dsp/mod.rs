//! Kernels for ARMv7E-M and ARMv8-M with the DSP extension: Cortex-M4, M7, M33.
//!
//! The inner loops are assembly, since they take all 14 registers and `asm!` lends only twelve. The assembly
//! states its processor itself, since ARMv8-M targets come without the extension. Words are loaded from any
//! address: `CCR.UNALIGN_TRP` has to stay 0, as it is after reset.

mod conv;
mod depthwise;

pub use {conv::conv, depthwise::depthwise};

use crate::kernels::portable::saturate;

/// Two equal 16-bit values in a word.
fn twice(value: i32) -> u32 {
    let half = value as u32 & 0xffff;
    half << 16 | half
}

/// Applies bounds narrower than int8's, which the assembly saturates to.
fn clamp(values: &mut [i8], bounds: [i8; 2]) {
    if bounds != [i8::MIN, i8::MAX] {
        for q in values {
            *q = saturate(*q as i32, bounds);
        }
    }
}
