//! Graft's runtime: runs `.edge` models, trains new heads for them, and serves both to a host. The same code
//! runs on microcontrollers, Linux boards and hosts.
//!
//! # Which type to start from
//!
//! | you want to | start from | example |
//! |---|---|---|
//! | run an int8 model in memory that you own | [`model::Model`], [`engine::Engine`] | below |
//! | run int8 and float models on a host, on several threads | `backend::BackendKind` (feature `std`) | `classify` |
//! | use a model in a tract program | `backend::tract::typed_model` (feature `tract`) | `tract_pipeline` |
//! | turn a picture file into an input | `picture` (feature `pictures`) | `classify` |
//! | turn feature maps into classes | [`head::Head`] | below |
//! | train a head | [`head::train::train`] | `train_head` |
//! | keep heads in flash, with a way back | [`head::store::HeadStore`] | `train_head` |
//! | keep samples in flash | [`device::samples::SampleStore`] | [there](device::samples::SampleStore) |
//! | serve a host on a device of your own | [`device::app::App`], [`device::server::Server`] | [there](device::app::App) |
//! | talk to a device | `client::Client` (feature `std`), `transport::Connection` (feature `noise`) | at `Client` |
//! | accept only signed models and heads | [`signature::Trust`] (feature `signed`) | |
//! | test without hardware | `sim` (feature `sim`) | |
//!
//! The examples are programs in `examples/`: `cargo run -p edge-runtime --features pictures,tract --example
//! classify`. Ready programs are the firmware in `boards/` and, for Linux, `src/bin/edge`.
//!
//! ```
//! use edge_runtime::engine::Engine;
//! use edge_runtime::model::Model;
//!
//! # let bytes = graft_tests::tiny::model();
//! # let input = graft_tests::tiny::input(0, 1);
//! // Checks everything once. On a microcontroller `bytes` is the flash itself.
//! let model = Model::parse(&bytes)?;
//! let mut arena = vec![0; model.arena_bytes()];
//! let mut engine = Engine::new(&model, &mut arena)?;
//! // int8, NHWC, quantized as `model.input().quant` says.
//! engine.input_mut().copy_from_slice(&input);
//! let map = engine.run();
//!
//! let head = model.head().expect("this model has a head");
//! let (mut feature, mut logits) = (vec![0; head.features()], vec![0.0; head.classes()]);
//! head.feature(map, &mut feature);
//! head.logits(&feature, &mut logits);
//! # assert!(logits.iter().all(|l| l.is_finite()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! The core needs no feature: it is `no_std`, allocates nothing and takes all memory from its caller
//! (`default-features = false`).
//!
//! | feature | adds |
//! |---|---|
//! | `std` (default) | detection of CPU features at run time, aligned file buffers, backends, the client |
//! | `tract` | the tract backend, the fastest one on hosts and Linux boards |
//! | `pictures` | picture files to inputs, and folders of them |
//! | `noise` | sockets, plain and encrypted |
//! | `signed` | signatures of models and imported heads |
//! | `key-files` | keys in PEM files, signatures in files, signing |
//! | `linux` | the device program for Linux |
//! | `sim` | a simulated device: flash, line, clock and sensor that fail on purpose |
//! | `arm-dsp`, `arm-mve` | kernels for Cortex-M with DSP or MVE; no effect on other processors |

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]
#![forbid(clippy::undocumented_unsafe_blocks)]

#[cfg(target_endian = "big")]
compile_error!("the .edge format is read in place and little-endian");

#[cfg(feature = "std")]
pub mod backend;
#[cfg(feature = "std")]
pub mod client;
mod crc32;
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

pub use crc32::crc32;
