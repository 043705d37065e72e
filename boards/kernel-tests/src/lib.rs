//! The Cortex-M kernels in QEMU: equal to the portable ones (`bin/compare.rs`). `./run` builds and starts it. How
//! many instructions a model takes, `cargo xtask bench` counts.
#![no_std]

pub mod random;

use cortex_m_semihosting::debug;

/// Ends the emulator, with an error if something was wrong.
pub fn exit(good: bool) -> ! {
    debug::exit(match good {
        true => debug::EXIT_SUCCESS,
        false => debug::EXIT_FAILURE,
    });
    loop {
        cortex_m::asm::wfi();
    }
}
