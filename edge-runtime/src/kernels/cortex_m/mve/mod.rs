//! Kernels for Arm's M-profile vector extension (Helium: Cortex-M52, M55, M85), in assembly.
//!
//! Rust has no stable MVE intrinsics, and the tiles take all registers; so the inner loops are
//! `global_asm!`, and the Rust around them does the shapes and checks every length once a layer. They give the
//! bytes of the portable kernels, and `tests/conformance_qemu.rs` shows it in QEMU.
//!
//! Built with the feature `arm-mve`, for `thumbv8m.main-none-eabihf`, best with `-C target-cpu=cortex-m55`. The
//! assembly names its processor itself, since link-time optimization assembles it without the compiler's.
//! The start-up code has to enable the floating-point unit, which vector instructions belong to.

mod conv;
mod conv_tile;
mod copy;
mod depthwise;
mod depthwise_lanes;
mod elementwise;

pub use self::{
    conv::conv,
    depthwise::depthwise,
    elementwise::{add, add_in_place, map, map_in_place, mul, mul_in_place},
};
