//! Kernels for Cortex-M, in assembly, over weights that the converter packed: [`dsp`] for the DSP extension
//! (feature `arm-dsp`), [`mve`] for the vector extension (feature `arm-mve`).
//!
//! A feature promises that the program runs on such a processor only. Each kernel equals the portable one bit
//! for bit; `tests/conformance_qemu.rs` shows it in QEMU.

#[cfg(feature = "arm-dsp")]
mod dsp;
#[cfg(feature = "arm-mve")]
mod mve;

use super::Kernels;
#[cfg(any(feature = "arm-dsp", feature = "arm-mve"))]
use super::{PackedParams, packed::PackedCall};
use crate::model::Layout;

/// The kernels of the extensions that the program is built for, and the portable ones for the rest.
#[derive(Clone, Copy, Debug)]
pub struct CortexM;

impl Kernels for CortexM {
    fn name(&self) -> &'static str {
        if cfg!(feature = "arm-mve") {
            "cortex-m-mve"
        } else if cfg!(feature = "arm-dsp") {
            "cortex-m-dsp"
        } else {
            "cortex-m"
        }
    }

    fn runs(&self, layout: Layout) -> bool {
        super::runs(layout)
    }

    #[cfg(any(feature = "arm-dsp", feature = "arm-mve"))]
    fn packed(&self, p: &PackedParams<'_>, input: &[i8], output: &mut [i8], scratch: &mut [i8]) {
        let call = PackedCall::new(p, input, output, scratch);
        match p.layout {
            #[cfg(feature = "arm-dsp")]
            Layout::DspConv => dsp::conv(call),
            #[cfg(feature = "arm-dsp")]
            Layout::DspDepthwise => dsp::depthwise(call),
            #[cfg(feature = "arm-mve")]
            Layout::MveConv => mve::conv(call),
            #[cfg(feature = "arm-mve")]
            Layout::MveDepthwise => mve::depthwise(call),
            #[cfg(not(all(feature = "arm-dsp", feature = "arm-mve")))]
            _ => unreachable!("a checked call has a layout of these"),
        }
    }

    #[cfg(feature = "arm-mve")]
    fn add(&self, p: &super::AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
        mve::add(p, a, b, output);
    }

    #[cfg(feature = "arm-mve")]
    fn add_in_place(&self, p: &super::AddParams, a: &mut [i8], b: &[i8]) {
        mve::add_in_place(p, a, b);
    }

    #[cfg(feature = "arm-mve")]
    fn mul(&self, p: &super::MulParams, a: &[i8], b: &[i8], output: &mut [i8]) {
        mve::mul(p, a, b, output);
    }

    #[cfg(feature = "arm-mve")]
    fn mul_in_place(&self, p: &super::MulParams, a: &mut [i8], b: &[i8]) {
        mve::mul_in_place(p, a, b);
    }

    #[cfg(feature = "arm-mve")]
    fn map(&self, p: &super::MapParams<'_>, input: &[i8], output: &mut [i8]) {
        mve::map(p, input, output);
    }

    #[cfg(feature = "arm-mve")]
    fn map_in_place(&self, p: &super::MapParams<'_>, values: &mut [i8]) {
        mve::map_in_place(p, values);
    }
}

/// Bytes of a record that the assembly reads.
const _: () = assert!(size_of::<crate::model::ChannelRecord>() == 16);
