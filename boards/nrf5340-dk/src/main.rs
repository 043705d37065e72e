//! The firmware for the application core of the nRF5340 DK: one secure program at address 0. It does not write to UICR,
//! and never starts the network core.

#![no_std]
#![no_main]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod clock;
mod flash;
mod start;

// The logger of `defmt`.
use defmt_rtt as _;

use app::{Board, CycleClock, MemoryRange, Meter, SharedFlash, SleepingUart};
use clock::{PeriodHandler, TimerClock};
use core::cell::RefCell;
use edge_runtime::device::server::{RX_LEN, TX_LEN};
use edge_runtime::flash::Mapped;
use embassy_nrf::buffered_uarte::{self, Baudrate, BufferedUarte};
use embassy_nrf::nvmc::{Nvmc, PAGE_SIZE};
use embassy_nrf::peripherals::{SERIAL0, SERIAL1};
use embassy_nrf::twim::{self, Twim};
use embassy_nrf::{bind_interrupts, uarte};
use embedded_storage::nor_flash::NorFlash;
use flash::CachedFlash;

include!(concat!(env!("OUT_DIR"), "/board.rs"));

bind_interrupts!(struct Interrupts {
    SERIAL0 => buffered_uarte::InterruptHandler<SERIAL0>;
    SERIAL1 => twim::InterruptHandler<SERIAL1>;
    TIMER1 => PeriodHandler;
});

const _: () = {
    assert!(
        MAP.write == <Nvmc as NorFlash>::WRITE_SIZE && MAP.erase == PAGE_SIZE,
        "board.toml has the driver's units"
    );
    assert!(
        MAP.clock_hz == start::CLOCK_HZ,
        "board.toml has the processor's clock"
    );
    assert!(
        BAUD == 1_000_000,
        "this is the highest of the few rates of the UARTE"
    );
    if let Some(sensor) = SENSOR {
        assert!(sensor.bus == 1, "the sensor is on bus TWIM1");
    }
};

defmt::timestamp!("{=u64:us}", clock::stamp());

/// Bytes of RAM for a message to the power sensor: the I2C master cannot send from flash.
const MESSAGE: usize = 8;

#[cortex_m_rt::entry]
fn main() -> ! {
    let p = start::start();
    let stores = MAP.stores();
    let driver = RefCell::new(CachedFlash::new(Nvmc::new(p.NVMC)));
    // SAFETY: by `board.toml` each region has one use. The flash can be read from address 0 on, and its driver removes
    // what it has overwritten from the cache. Called once.
    let (flash, model, memory) = unsafe {
        let part = |range: MemoryRange| {
            let base = core::ptr::with_exposed_provenance(range.base as usize);
            Mapped::new(SharedFlash::new(&driver), base, range.base, range.len)
        };
        (part(stores), part(MAP.model), MAP.arena.take())
    };
    let (mut tx, mut rx) = ([0; TX_LEN], [0; 2 * RX_LEN]);
    let mut config = uarte::Config::default();
    config.baudrate = Baudrate::Baud1m;
    let line = BufferedUarte::new(
        p.SERIAL0,
        p.TIMER0,
        p.PPI_CH0,
        p.PPI_CH1,
        p.PPI_GROUP0,
        p.P0_22,
        p.P0_20,
        Interrupts,
        config,
        &mut rx,
        &mut tx,
    );
    let mut message = [0; MESSAGE];
    let power = Meter::start(SENSOR, || {
        let config = twim::Config::default();
        Twim::new(
            p.SERIAL1,
            Interrupts,
            p.P1_02,
            p.P1_03,
            config,
            &mut message,
        )
    });
    app::run(Board {
        name: MAP.board,
        line: SleepingUart::new(line),
        flash,
        areas: MAP.areas(),
        clock: CycleClock::start(TimerClock::start(p.TIMER1, Interrupts)),
        power,
        model,
        memory,
    })
}
