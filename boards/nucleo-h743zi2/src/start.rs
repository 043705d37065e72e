//! Clocks, and a work-around that depends on the revision of the chip.

use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale,
};
use embassy_stm32::{Config, Peripherals, pac};

/// The clock of revisions X and V in Hz.
pub const FAST_HZ: u32 = 480_000_000;
/// The clock of older revisions in Hz, which have no voltage scale 0.
const SLOW_HZ: u32 = 400_000_000;

/// The first `REV_ID` with voltage scale 0: X is 0x2001, V is 0x2003; Y, the revision before, is 0x1003.
const FIRST_FAST: u16 = 0x2001;

/// The register of the bus matrix for the read issuing capability of AXI SRAM.
const AXI_TARG7_FN_MOD: usize = 0x5100_8108;

/// Starts the chip and returns the processor's clock in Hz, which is made from the internal 64 MHz. The buses run at half
/// of it, the peripherals, including the UART, at a quarter.
pub fn start() -> (Peripherals, u32) {
    let fast = pac::DBGMCU.idc().read().rev_id() >= FIRST_FAST;
    // 64 MHz / 4 * 60 / 2, or * 50.
    let (mul, scale, hz) = match fast {
        true => (PllMul::MUL60, VoltageScale::Scale0, FAST_HZ),
        false => (PllMul::MUL50, VoltageScale::Scale1, SLOW_HZ),
    };
    if !fast {
        // Without this, reads of AXI SRAM may return wrong values (ES0392, 2.2.10).
        // SAFETY: this is a register of the bus matrix, and ST's start-up code writes the same value.
        unsafe {
            core::ptr::with_exposed_provenance_mut::<u32>(AXI_TARG7_FN_MOD).write_volatile(1)
        };
    }
    let mut config = Config::default();
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV4,
        mul,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.d1c_pre = AHBPrescaler::DIV1;
    config.rcc.ahb_pre = AHBPrescaler::DIV2;
    config.rcc.apb1_pre = APBPrescaler::DIV2;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config.rcc.apb3_pre = APBPrescaler::DIV2;
    config.rcc.apb4_pre = APBPrescaler::DIV2;
    config.rcc.voltage_scale = scale;
    (embassy_stm32::init(config), hz)
}
