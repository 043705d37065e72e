//! What runs on the device: the `.edge` model, the int8 kernels, the engine that walks the model over
//! one caller-owned arena, the training of the head, and the device application with its stores.
//!
//! The core is `no_std` and allocates nothing; it compiles with `default-features = false`. The feature
//! `std` adds what a host needs (CPU-feature detection, aligned file buffers, the [`backend::Backend`]
//! trait), `tract` adds the tract backend, `signed` the signatures of models and imported heads, `key-files` their files, `sim` a simulated
//! device's parts, `pictures` picture files, `noise` sockets and the encrypted line, `linux` what the device
//! program for Linux plugs in. The core knows no board, no transport and no file format but its own.

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]
#![forbid(clippy::undocumented_unsafe_blocks)]

#[cfg(target_endian = "big")]
compile_error!("the .edge format is read in place and little-endian");

#[cfg(feature = "std")]
pub mod backend;
pub mod device;
pub mod engine;
pub mod flash;
pub mod head;
pub mod kernels;
#[cfg(all(feature = "linux", target_os = "linux"))]
pub mod linux;
pub mod model;
#[cfg(feature = "pictures")]
pub mod picture;
pub mod power;
pub mod random;
pub mod signature;
#[cfg(feature = "sim")]
pub mod sim;
pub mod tensor;
#[cfg(feature = "noise")]
pub mod transport;
