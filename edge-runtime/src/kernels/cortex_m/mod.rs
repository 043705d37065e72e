//! Kernels for ARMv7E-M and ARMv8-M with the DSP extension, over weights that the converter packed.
//!
//! The inner loops are assembly, since they take all 14 registers and `asm!` lends only twelve. Each equals
//! the portable kernel bit for bit; `boards/kernel-tests` compares them in QEMU. Built with the feature
//! `arm-dsp`; the assembly states its processor itself, since ARMv8-M targets come without the extension.
//! Words are loaded from any address: `CCR.UNALIGN_TRP` has to stay 0, as it is after reset.

#[cfg(feature = "arm-dsp")]
mod conv;
#[cfg(feature = "arm-dsp")]
mod depthwise;
#[cfg(feature = "arm-mve")]
pub mod mve;

#[cfg(feature = "arm-dsp")]
pub use {conv::conv, depthwise::depthwise};

#[cfg(feature = "arm-dsp")]
use super::requantize::saturate;

/// Bytes of a record that the assembly reads.
const _: () = assert!(size_of::<crate::model::ChannelRecord>() == 16);

/// Two equal 16-bit values in a word.
#[cfg(feature = "arm-dsp")]
fn twice(value: i32) -> u32 {
    let half = value as u32 & 0xffff;
    half << 16 | half
}

/// Applies bounds narrower than int8's, which the assembly saturates to.
#[cfg(feature = "arm-dsp")]
fn clamp(values: &mut [i8], bounds: [i8; 2]) {
    if bounds != [i8::MIN, i8::MAX] {
        for q in values {
            *q = saturate(*q as i32, bounds);
        }
    }
}
