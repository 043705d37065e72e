//! The Cortex-M kernels in QEMU: equal to the portable ones (`bin/compare.rs`), and how many instructions
//! a model takes (`bin/bench.rs`). `./run` builds and starts them. This is what both share.
#![no_std]

pub mod print;
pub mod random;
pub mod stack;
pub mod systick;

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
