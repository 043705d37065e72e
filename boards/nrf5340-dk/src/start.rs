//! Clocks and the debug port, before anything else.

use embassy_nrf::Peripherals;
use embassy_nrf::config::{Config, Debug, HfclkSource};
use embassy_nrf::pac;
use embassy_nrf::pac::clock::vals::Hclk;

/// The processor's clock.
pub const CLOCK_HZ: u32 = 128_000_000;

/// What opens a debug port.
const OPEN: u32 = 0x50fa_50fa;

/// Starts the crystal, which the UART's rate needs, and sets the processor to 128 MHz.
pub fn start() -> Peripherals {
    // The debug port stays open after this start if UICR, which the debug probe's program writes and this
    // one does not, lets it.
    pac::CTRLAP.approtect().disable().write_value(OPEN);
    pac::CTRLAP.secureapprotect().disable().write_value(OPEN);
    let mut config = Config::default();
    config.debug = Debug::NotConfigured;
    config.hfclk_source = HfclkSource::ExternalXtal;
    let peripherals = embassy_nrf::init(config);
    pac::CLOCK.hfclkctrl().write(|w| w.set_hclk(Hclk::Div1));
    peripherals
}
