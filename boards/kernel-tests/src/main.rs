//! The Cortex-M kernels in QEMU: equal to the portable ones, and how many instructions they take.
//!
//! Without a model in memory it compares kernels on random shapes ([`compare`]); with one it runs it and
//! prints instructions per layer ([`bench`]). Exits with an error where something differs. `./run` builds
//! and starts it.
#![no_std]
#![no_main]

mod bench;
mod compare;
mod random;
mod stack;
mod systick;

use core::panic::PanicInfo;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use edge_runtime::model::header::MAGIC;

/// Where `./run` places the model: the board's PSRAM, or DDR.
const MODEL: usize = if cfg!(m33) {
    0x8000_0000
} else if cfg!(feature = "m55") {
    0x6000_0000
} else {
    0x2100_0000
};

/// Length of the PSRAM.
const ROOM: usize = 16 << 20;

#[entry]
fn main() -> ! {
    // SAFETY: the PSRAM is RAM that nothing else uses; QEMU fills it with zeros or the model.
    let psram = unsafe { core::slice::from_raw_parts(MODEL as *const u8, ROOM) };
    let good = match psram.starts_with(&MAGIC) {
        true => bench::run(psram),
        false => compare::run(),
    };
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
