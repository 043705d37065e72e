//! The firmware for the Raspberry Pi Pico 2. Core 1 stays where the boot ROM keeps it: nothing else runs
//! while the flash is written.

#![no_std]
#![no_main]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod clock;
mod line;

// The logger of `defmt`.
use defmt_rtt as _;

use clock::TimerClock;
use core::cell::RefCell;
use edge_runtime::device::server::{RX_LEN, TX_LEN};
use edge_runtime::flash::Mapped;
use embassy_rp::bind_interrupts;
use embassy_rp::config::Config;
use embassy_rp::flash::{Blocking, ERASE_SIZE, Flash, WRITE_SIZE};
use embassy_rp::i2c::{self, I2c};
use embassy_rp::peripherals::{FLASH, UART0};
use embassy_rp::uart::{self, BufferedInterruptHandler, BufferedUart};
use firmware::{Asleep, Board, Cycles, Meter, Region, Shared};
use line::Line;

include!(concat!(env!("OUT_DIR"), "/board.rs"));

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

/// Where the flash is mapped.
const BASE: u32 = 0x1000_0000;
/// Bytes of flash up to the end of model and stores: what the driver may touch.
const FLASH_SIZE: usize = (if MAP.stores().end() > MAP.model.end() {
    MAP.stores().end()
} else {
    MAP.model.end()
} - BASE) as usize;

defmt::timestamp!("{=u64:us}", clock::micros());

const _: () = {
    assert!(
        MAP.write == WRITE_SIZE && MAP.erase == ERASE_SIZE,
        "the driver's units"
    );
    assert!(
        MAP.clock_hz == 150_000_000,
        "embassy-rp's clock of the processor"
    );
    if let Some(sensor) = SENSOR {
        assert!(sensor.bus == 0, "the sensor's bus is I2C0");
    }
};

#[cortex_m_rt::entry]
fn main() -> ! {
    // The crystal of 12 MHz, and 150 MHz from it.
    let p = embassy_rp::init(Config::default());
    let stores = MAP.stores();
    let driver = RefCell::new(Flash::<FLASH, Blocking, FLASH_SIZE>::new_blocking(p.FLASH));
    // SAFETY: `board.toml` gives the regions to their uses alone; the flash is mapped at `BASE`, and its
    // driver makes the cache forget what it wrote over. Called once.
    let (flash, model, memory) = unsafe {
        let part = |region: Region| {
            let base = core::ptr::with_exposed_provenance(region.base as usize);
            Mapped::new(Shared::new(&driver), base, region.base - BASE, region.len)
        };
        (part(stores), part(MAP.model), MAP.arena.take())
    };
    let (mut tx, mut rx) = ([0; TX_LEN], [0; 2 * RX_LEN]);
    let mut config = uart::Config::default();
    config.baudrate = BAUD;
    let line = BufferedUart::new(
        p.UART0, p.PIN_0, p.PIN_1, Interrupts, &mut tx, &mut rx, config,
    );
    let power = Meter::start(SENSOR, || {
        I2c::new_blocking(p.I2C0, p.PIN_5, p.PIN_4, i2c::Config::default())
    });
    firmware::run(Board {
        name: MAP.board,
        line: Asleep::new(Line(line)),
        flash,
        areas: MAP.areas(),
        clock: Cycles::start(TimerClock),
        power,
        model,
        memory,
    })
}
