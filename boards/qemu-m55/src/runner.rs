//! The image that measures and verifies on this machine.

#![no_std]
#![no_main]

runner::machine!();
