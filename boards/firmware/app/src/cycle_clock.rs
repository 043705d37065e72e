//! A clock that also counts the processor's cycles.

use cortex_m::Peripherals;
use cortex_m::peripheral::DWT;
use edge_runtime::device::Clock;

/// A clock, and the cycle counter of the core's DWT unit where there is one. In QEMU it does not count.
pub struct CycleClock<C> {
    clock: C,
    counts: bool,
}

impl<C: Clock> CycleClock<C> {
    /// Starts the cycle counter beside a clock that runs.
    pub fn start(clock: C) -> Self {
        // SAFETY: uses only the units for trace and counting, which nothing else in the firmware uses. A debugger
        // that uses them finds them switched on.
        let core = unsafe { Peripherals::steal() };
        let (mut dcb, mut dwt) = (core.DCB, core.DWT);
        dcb.enable_trace();
        // Cortex-M7 locks the registers of the unit; on other cores this does nothing.
        DWT::unlock();
        let counts = DWT::has_cycle_counter();
        if counts {
            dwt.enable_cycle_counter();
        }
        Self { clock, counts }
    }
}

impl<C: Clock> Clock for CycleClock<C> {
    fn micros(&self) -> u64 {
        self.clock.micros()
    }

    fn cycles(&self) -> Option<u32> {
        self.counts.then(DWT::cycle_count)
    }
}
