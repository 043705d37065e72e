//! What QEMU's MPS2 and MPS3 machines have in common: the CMSDK UART, RAM that behaves like flash, logs by semihosting.
//! The crate of a machine says where its UART is; everything else is in its `board.toml`.

#![no_std]
#![warn(missing_docs)]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod flash;
mod uart;

// The logger of `defmt`.
use defmt_semihosting as _;

use app::{Board, MemoryMap, MemoryRange, SysTickClock};
use edge_runtime::flash::Mapped;
use edge_runtime::power::NoMeter;
use flash::RamFlash;
use uart::Uart;

defmt::timestamp!("{=u64:us}", app::micros());

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

/// Speed of the UART in bits per second. QEMU ignores it.
const BAUD: u32 = 115_200;

/// Runs the firmware on a machine. `WRITE` and `ERASE` must be `map.write` and `map.erase`.
///
/// # Safety
/// Call this once and first. `map` and `uart` must be those of the machine.
pub unsafe fn run<const WRITE: usize, const ERASE: usize>(map: &MemoryMap, uart: UartPlace) -> ! {
    // SAFETY: called once and first, so nothing else has the peripherals.
    let core = unsafe { cortex_m::Peripherals::steal() };
    let stores = map.stores();
    // SAFETY: by `board.toml` only heads, samples, model and arena use these regions. The build script has checked that
    // they are inside memories of the machine and do not overlap.
    let (flash, model, memory) = unsafe {
        let flash = |range: &MemoryRange| {
            let driver = RamFlash::<WRITE, ERASE>::new(range.base as usize, range.len as usize);
            let base = driver.base();
            Mapped::new(driver, base, 0, range.len)
        };
        (flash(&stores), flash(&map.model), map.arena.take())
    };
    // SAFETY: this is the machine's UART, and only this value uses it.
    let line = unsafe { Uart::new(uart, BAUD) };
    app::run(Board {
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

/// The main program on a machine. Includes `board.rs`, which the build script generates.
#[macro_export]
macro_rules! machine {
    ($uart:expr) => {
        include!(concat!(env!("OUT_DIR"), "/board.rs"));

        #[cortex_m_rt::entry]
        fn main() -> ! {
            // SAFETY: the entry runs once, and map and UART are this machine's.
            unsafe { $crate::run::<{ MAP.write }, { MAP.erase }>(&MAP, $uart) }
        }
    };
}
