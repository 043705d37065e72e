//! The image that measures a model on this machine.

#![no_std]
#![no_main]

runner::machine!();
