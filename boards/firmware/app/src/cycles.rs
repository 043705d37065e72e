//! The core's own cycle counter, beside a clock.

use cortex_m::Peripherals;
use cortex_m::peripheral::DWT;
use edge_runtime::device::Clock;

/// A clock with the processor's cycles from DWT's counter, where the core has one. QEMU's have none that
/// counts.
pub struct Cycles<C> {
    clock: C,
    counts: bool,
}

impl<C: Clock> Cycles<C> {
    /// Starts the counter.
    pub fn start(clock: C) -> Self {
        // SAFETY: of the core's peripherals only trace and counter are touched, which nothing else here uses;
        // a debugger that does finds them switched on.
        let core = unsafe { Peripherals::steal() };
        let (mut dcb, mut dwt) = (core.DCB, core.DWT);
        dcb.enable_trace();
        // Cortex-M7 locks the unit's registers; elsewhere this does nothing.
        DWT::unlock();
        let counts = DWT::has_cycle_counter();
        if counts {
            dwt.enable_cycle_counter();
        }
        Self { clock, counts }
    }
}

impl<C: Clock> Clock for Cycles<C> {
    fn micros(&self) -> u64 {
        self.clock.micros()
    }

    fn cycles(&self) -> Option<u32> {
        self.counts.then(DWT::cycle_count)
    }
}
