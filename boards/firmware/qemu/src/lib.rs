//! What QEMU's MPS2 and MPS3 machines have in common: the CMSDK UART, RAM that stands in for flash, logs
//! by semihosting. A machine's own crate says where its UART is, and `board.toml` the rest.

#![no_std]
#![warn(missing_docs)]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod flash;
mod uart;

// The logger of `defmt`.
use defmt_semihosting as _;

use edge_runtime::flash::Mapped;
use edge_runtime::power::NoMeter;
use firmware::{Board, MemoryMap, Region, SysTickClock};
use flash::RamFlash;
use uart::Uart;

defmt::timestamp!("{=u64:us}", firmware::micros());

/// Where a machine's UART 0 is.
#[derive(Clone, Copy, Debug)]
pub struct UartPlace {
    /// Address of its registers.
    pub base: u32,
    /// Number of its interrupt for received bytes.
    pub irq: u16,
    /// Its clock in Hz.
    pub clock_hz: u32,
}

/// Baud rate of the line. QEMU does not care.
const BAUD: u32 = 115_200;

/// Runs the firmware on a machine. `WRITE` and `ERASE` are those of `map`.
///
/// # Safety
/// To be called once, first thing; `map` and `uart` must be the machine's.
pub unsafe fn run<const WRITE: usize, const ERASE: usize>(map: &MemoryMap, uart: UartPlace) -> ! {
    // SAFETY: called once and first, so nobody else has them.
    let core = unsafe { cortex_m::Peripherals::steal() };
    let stores = map.stores();
    // SAFETY: `board.toml` gives the regions to heads, samples, model and arena alone; its checks say that they
    // lie in RAM of the machine and do not overlap.
    let (flash, model, memory) = unsafe {
        let flash = |region: &Region| {
            let driver = RamFlash::<WRITE, ERASE>::new(region.base as usize, region.len as usize);
            let base = driver.base();
            Mapped::new(driver, base, 0, region.len)
        };
        (flash(&stores), flash(&map.model), map.arena.take())
    };
    // SAFETY: the machine's UART, which only this value uses.
    let line = unsafe { Uart::new(uart, BAUD) };
    firmware::run(Board {
        name: map.board,
        line,
        flash,
        areas: map.areas(),
        clock: SysTickClock::start(core.SYST, map.clock_hz),
        power: NoMeter,
        model,
        memory,
    })
}

/// The main program of a machine: reads `board.rs`, which the build script made.
#[macro_export]
macro_rules! machine {
    ($uart:expr) => {
        include!(concat!(env!("OUT_DIR"), "/board.rs"));

        #[cortex_m_rt::entry]
        fn main() -> ! {
            // SAFETY: the entry, which runs once; the map is this machine's.
            unsafe { $crate::run::<{ MAP.write }, { MAP.erase }>(&MAP, $uart) }
        }
    };
}
