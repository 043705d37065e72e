//! The firmware for the Raspberry Pi Pico 2. Core 1 is never started, so nothing else runs while the flash is written.

#![no_std]
#![no_main]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod clock;
mod uart;

// The logger of `defmt`.
use defmt_rtt as _;

use app::{Board, CycleClock, MemoryRange, Meter, SharedFlash, SleepingUart};
use clock::TimerClock;
use core::cell::RefCell;
use edge_runtime::device::server::{RX_LEN, TX_LEN};
use edge_runtime::flash::Mapped;
use embassy_rp::bind_interrupts;
use embassy_rp::config::Config;
use embassy_rp::flash::{Blocking, ERASE_SIZE, Flash, WRITE_SIZE};
use embassy_rp::i2c::{self, I2c};
use embassy_rp::peripherals::{FLASH, UART0};
use embassy_rp::uart::{BufferedInterruptHandler, BufferedUart, Config as UartConfig};
use uart::DrainingUart;

include!(concat!(env!("OUT_DIR"), "/board.rs"));

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

/// The address of the flash.
const BASE: u32 = 0x1000_0000;
/// Bytes of flash up to the end of model and stores: the driver refuses what is beyond.
const FLASH_SIZE: usize = (if MAP.stores().end() > MAP.model.end() {
    MAP.stores().end()
} else {
    MAP.model.end()
} - BASE) as usize;

defmt::timestamp!("{=u64:us}", clock::micros());

const _: () = {
    assert!(
        MAP.write == WRITE_SIZE && MAP.erase == ERASE_SIZE,
        "board.toml has the driver's units"
    );
    assert!(
        MAP.clock_hz == 150_000_000,
        "board.toml has the clock that embassy-rp sets"
    );
    if let Some(sensor) = SENSOR {
        assert!(sensor.bus == 0, "the sensor is on bus I2C0");
    }
};

#[cortex_m_rt::entry]
fn main() -> ! {
    // Makes 150 MHz from the crystal of 12 MHz.
    let p = embassy_rp::init(Config::default());
    let stores = MAP.stores();
    let driver = RefCell::new(Flash::<FLASH, Blocking, FLASH_SIZE>::new_blocking(p.FLASH));
    // SAFETY: by `board.toml` each region has one use. The flash can be read from `BASE` on, and its driver removes what
    // it has overwritten from the cache. Called once.
    let (flash, model, memory) = unsafe {
        let part = |range: MemoryRange| {
            let base = core::ptr::with_exposed_provenance(range.base as usize);
            Mapped::new(
                SharedFlash::new(&driver),
                base,
                range.base - BASE,
                range.len,
            )
        };
        (part(stores), part(MAP.model), MAP.arena.take())
    };
    let (mut tx, mut rx) = ([0; TX_LEN], [0; 2 * RX_LEN]);
    let mut config = UartConfig::default();
    config.baudrate = BAUD;
    let line = BufferedUart::new(
        p.UART0, p.PIN_0, p.PIN_1, Interrupts, &mut tx, &mut rx, config,
    );
    let power = Meter::start(SENSOR, || {
        I2c::new_blocking(p.I2C0, p.PIN_5, p.PIN_4, i2c::Config::default())
    });
    app::run(Board {
        name: MAP.board,
        line: SleepingUart::new(DrainingUart(line)),
        flash,
        areas: MAP.areas(),
        clock: CycleClock::start(TimerClock),
        power,
        model,
        memory,
    })
}
