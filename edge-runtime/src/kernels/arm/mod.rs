//! Kernels for 32-bit Arm, beside the portable ones.

pub mod mve;
