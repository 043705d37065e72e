//! The firmware for ST's NUCLEO-H743ZI2. Stack and variables are in DTCM, which is not cached; the arena is in AXI SRAM,
//! which is.

#![no_std]
#![no_main]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod flash;
mod start;

// The logger of `defmt`.
use defmt_rtt as _;

use app::{Board, CycleClock, MAX_SEND, Meter, SharedFlash, SleepingUart, SysTickClock};
use core::cell::RefCell;
use edge_runtime::device::server::{RX_LEN, TX_LEN};
use edge_runtime::flash::Mapped;
use embassy_stm32::bind_interrupts;
use embassy_stm32::flash::{FLASH_BASE, Flash};
use embassy_stm32::i2c::{self, I2c};
use embassy_stm32::peripherals::USART3;
use embassy_stm32::usart::{self, BufferedInterruptHandler, BufferedUart};
use embedded_storage::nor_flash::NorFlash;
use flash::EccFlash;

include!(concat!(env!("OUT_DIR"), "/board.rs"));

bind_interrupts!(struct Interrupts {
    USART3 => BufferedInterruptHandler<USART3>;
});

defmt::timestamp!("{=u64:us}", app::micros());

const _: () = {
    type F = EccFlash<'static>;
    assert!(
        MAP.write == F::WRITE_SIZE && MAP.erase == F::ERASE_SIZE,
        "board.toml has the driver's units"
    );
    assert!(
        MAP.stores().base >= FLASH_BASE as u32 + flash::BANK,
        "the stores are in the second bank, so that writing them does not stop the program"
    );
    assert!(
        MAP.model.base >= FLASH_BASE as u32 + flash::FIRST,
        "the driver refuses to write over the program"
    );
    assert!(
        MAP.clock_hz == start::FAST_HZ,
        "board.toml has the processor's clock"
    );
    assert!(
        TX_LEN >= MAX_SEND,
        "the driver's buffer holds what it is given at once"
    );
    if let Some(sensor) = SENSOR {
        assert!(sensor.bus == 1, "the sensor is on bus I2C1");
    }
};

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: called once and first, so nothing else has the peripherals.
    let mut core = unsafe { cortex_m::Peripherals::steal() };
    core.SCB.enable_icache();
    let (p, hz) = start::start();
    let stores = MAP.stores();
    // SAFETY: by `board.toml` the region has one use. Called once.
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
    // SAFETY: by `board.toml` each region has one use. The flash can be read there, all of it after the repair. Only the
    // driver writes to it, and it removes what it has overwritten from the cache.
    let [flash, model] = [stores, MAP.model].map(|region| unsafe {
        let base = core::ptr::with_exposed_provenance(region.base as usize);
        let offset = region.base - FLASH_BASE as u32;
        Mapped::new(SharedFlash::new(&driver), base, offset, region.len)
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
    app::run(Board {
        name: MAP.board,
        line: SleepingUart::new(line),
        flash,
        areas: MAP.areas(),
        clock: CycleClock::start(SysTickClock::start(core.SYST, hz)),
        power,
        model,
        memory,
    })
}
