//! Counts instructions: under `-icount shift=0` an instruction takes a nanosecond of the emulator's time.

use cortex_m::peripheral::{SYST, syst::SystClkSource};

/// Hundredths of instructions per tick: 25 MHz on mps2-an386, 20 MHz on mps2-an521, 32 MHz on mps3-an547.
pub const PER_TICK: u64 = if cfg!(m33) {
    50_00
} else if cfg!(feature = "m55") {
    31_25
} else {
    40_00
};

const TOP: u32 = 0xff_ffff;

/// A running count.
pub struct Counter(SYST);

impl Counter {
    /// Starts at zero.
    pub fn new(mut syst: SYST) -> Self {
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(TOP);
        syst.clear_current();
        syst.enable_counter();
        Self(syst)
    }

    /// Instructions since the last call, to a tick; starts again from zero.
    ///
    /// # Panics
    /// If there were more than 524 million, which wraps.
    pub fn lap(&mut self) -> u64 {
        let ticks = TOP - SYST::get_current();
        assert!(!self.0.has_wrapped(), "a lap is too long for SysTick");
        self.0.clear_current();
        ticks as u64 * PER_TICK / 100
    }
}
