//! Kernels for Arm's M-profile vector extension (Helium: Cortex-M52, M55, M85), in assembly.
//!
//! Rust has no stable MVE intrinsics, and the tiles take all registers; so the inner loops are
//! `global_asm!`, and the Rust around them does the shapes and checks every length once a layer. They give the
//! bytes of the portable kernels, and `boards/kernel-tests` compares them in QEMU.

mod add;
mod conv;
mod copy;
mod depthwise;
mod quad;
mod sixteen;

pub use self::{
    add::{add, add_in_place},
    conv::conv,
    depthwise::depthwise,
};
