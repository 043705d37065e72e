//! Clocks and the debug port, before anything else.

use embassy_nrf::Peripherals;
use embassy_nrf::config::{Config, Debug, HfclkSource};
use embassy_nrf::pac;
use embassy_nrf::pac::clock::vals::Hclk;

/// The processor's clock.
pub const CLOCK_HZ: u32 = 128_000_000;

/// Starts the crystal, which the UART's rate needs, and sets the processor to 128 MHz.
pub fn start() -> Peripherals {
    // The debug port is open if both UICR and the program open it. As in Nordic's start-up code, the program copies the
    // value from UICR, which the software of the debug probe writes.
    let (uicr, port) = (pac::UICR, pac::CTRLAP);
    let open = uicr.approtect().read().0;
    port.approtect().disable().write_value(open);
    let open = uicr.secureapprotect().read().0;
    port.secureapprotect().disable().write_value(open);
    let mut config = Config::default();
    config.debug = Debug::NotConfigured;
    config.hfclk_source = HfclkSource::ExternalXtal;
    let peripherals = embassy_nrf::init(config);
    pac::CLOCK.hfclkctrl().write(|w| w.set_hclk(Hclk::Div1));
    peripherals
}
