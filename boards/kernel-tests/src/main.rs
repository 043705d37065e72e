//! The Cortex-M kernels in QEMU: equal to the portable ones on random shapes ([`compare`]).
//!
//! Exits with an error where something differs. `./run` builds and starts it. How many instructions a network
//! takes, `cargo xtask bench` counts.
#![no_std]
#![no_main]

mod compare;
mod random;

use core::panic::PanicInfo;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};

#[entry]
fn main() -> ! {
    let good = compare::run();
    debug::exit(match good {
        true => debug::EXIT_SUCCESS,
        false => debug::EXIT_FAILURE,
    });
    loop {}
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
