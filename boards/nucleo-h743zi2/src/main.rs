//! The firmware for ST's NUCLEO-H743ZI2. Stack and variables are in DTCM, which no cache covers; the arena
//! is in AXI SRAM, which it does.

#![no_std]
#![no_main]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod flash;
mod start;

// The logger of `defmt`.
use defmt_rtt as _;

use core::cell::RefCell;
use edge_runtime::device::server::{RX_LEN, TX_LEN};
use edge_runtime::flash::Mapped;
use embassy_stm32::bind_interrupts;
use embassy_stm32::flash::{FLASH_BASE, Flash};
use embassy_stm32::i2c::{self, I2c};
use embassy_stm32::peripherals::USART3;
use embassy_stm32::usart::{self, BufferedInterruptHandler, BufferedUart};
use embedded_storage::nor_flash::NorFlash;
use firmware::{Asleep, Board, Cycles, Meter, PIECE, Shared, SysTickClock};
use flash::EccFlash;

include!(concat!(env!("OUT_DIR"), "/board.rs"));

bind_interrupts!(struct Interrupts {
    USART3 => BufferedInterruptHandler<USART3>;
});

defmt::timestamp!("{=u64:us}", firmware::micros());

const _: () = {
    type F = EccFlash<'static>;
    assert!(
        MAP.write == F::WRITE_SIZE && MAP.erase == F::ERASE_SIZE,
        "the driver's units"
    );
    assert!(
        MAP.stores().base >= FLASH_BASE as u32 + flash::BANK,
        "the stores are in the second bank, so that writing them does not stop the program"
    );
    assert!(
        MAP.model.base >= FLASH_BASE as u32 + flash::FIRST,
        "the driver leaves the program alone"
    );
    assert!(MAP.clock_hz == start::FAST_HZ, "the processor's clock");
    assert!(
        TX_LEN >= PIECE,
        "the driver refuses what its buffer cannot hold"
    );
    if let Some(sensor) = SENSOR {
        assert!(sensor.bus == 1, "the sensor's bus is I2C1");
    }
};

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: the first thing, and done once, so nobody else has them.
    let mut core = unsafe { cortex_m::Peripherals::steal() };
    core.SCB.enable_icache();
    let (p, hz) = start::start();
    let stores = MAP.stores();
    // SAFETY: `board.toml` gives the region to its use alone. Called once.
    let memory = unsafe { MAP.arena.take() };
    let mut driver = EccFlash::new(Flash::new_blocking(p.FLASH), core.SCB);
    for region in [MAP.model, stores] {
        let offset = region.base - FLASH_BASE as u32;
        match driver.repair(offset..offset + region.len, memory) {
            Ok(0) => {}
            Ok(words) => defmt::warn!("{=usize} words of flash were torn and are erased", words),
            Err(error) => defmt::error!("torn words of flash stay: {}", error),
        }
    }
    driver.start_data_cache(&mut core.CPUID);
    let driver = RefCell::new(driver);
    // SAFETY: `board.toml` gives the regions to their uses alone. The flash is mapped there, all of it is readable
    // after the repair, only the driver writes to it, and it makes the cache forget what it wrote over.
    let [flash, model] = [stores, MAP.model].map(|region| unsafe {
        let base = core::ptr::with_exposed_provenance(region.base as usize);
        let offset = region.base - FLASH_BASE as u32;
        Mapped::new(Shared::new(&driver), base, offset, region.len)
    });
    let (mut tx, mut rx) = ([0; TX_LEN], [0; 2 * RX_LEN]);
    let mut config = usart::Config::default();
    config.baudrate = BAUD;
    let line = BufferedUart::new(p.USART3, p.PD9, p.PD8, &mut tx, &mut rx, Interrupts, config);
    let Ok(line) = line else {
        defmt::panic!("the UART cannot have the baud rate of board.toml");
    };
    let power = Meter::start(SENSOR, || {
        I2c::new_blocking(p.I2C1, p.PB8, p.PB9, i2c::Config::default())
    });
    firmware::run(Board {
        name: MAP.board,
        line: Asleep::new(line),
        flash,
        areas: MAP.areas(),
        clock: Cycles::start(SysTickClock::start(core.SYST, hz)),
        power,
        model,
        memory,
    })
}
