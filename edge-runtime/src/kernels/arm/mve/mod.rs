//! Kernels for Arm's M-profile vector extension (Helium: Cortex-M52, M55, M85), in assembly, and the layouts
//! of weights that they read.
//!
//! Rust has no stable MVE intrinsics, and the tiles take all registers; so the inner loops are
//! `global_asm!`, and the Rust around them does the shapes and checks every length once a layer. They give the
//! bytes of the portable kernels, and `boards/kernel-tests` compares them in QEMU.

#[cfg(all(feature = "arm-mve", target_arch = "arm"))]
mod add;
#[cfg(all(feature = "arm-mve", target_arch = "arm"))]
mod conv;
#[cfg(all(feature = "arm-mve", target_arch = "arm"))]
mod copy;
#[cfg(all(feature = "arm-mve", target_arch = "arm"))]
mod depthwise;
pub mod pack;
#[cfg(all(feature = "arm-mve", target_arch = "arm"))]
mod quad;
#[cfg(all(feature = "arm-mve", target_arch = "arm"))]
mod sixteen;

#[cfg(all(feature = "arm-mve", target_arch = "arm"))]
pub use self::{
    add::{add, add_in_place},
    conv::{PackedConv, conv},
    depthwise::{PackedDepthwise, depthwise},
};
