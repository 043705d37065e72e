//! A microsecond clock from the core's own timer.

use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use edge_runtime::device::Clock;

/// Ticks of a turn of the timer: all of its 24 bits.
const TURN: u32 = 1 << 24;

/// Turns that are over.
static TURNS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // One writer, which nobody interrupts for another write.
    TURNS.store(
        TURNS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

/// SysTick at the processor's clock, counted on by its interrupt. Must be read with interrupts enabled.
pub struct SysTickClock {
    hz: u32,
}

impl SysTickClock {
    /// Starts the timer, which runs at `hz`.
    pub fn start(mut timer: SYST, hz: u32) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(TURN - 1);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Self { hz: hz.max(1) }
    }

    /// Ticks of the processor's clock since the start.
    pub fn ticks(&self) -> u64 {
        loop {
            let before = TURNS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            // The same before and after: the timer did not turn in between.
            if TURNS.load(Ordering::Relaxed) == before {
                return u64::from(before) * u64::from(TURN) + u64::from(TURN - 1 - current);
            }
        }
    }
}

impl Clock for SysTickClock {
    fn micros(&self) -> u64 {
        let (ticks, hz) = (self.ticks(), u64::from(self.hz));
        // In two parts, so that nothing overflows for as long as the count lasts.
        ticks / hz * 1_000_000 + ticks % hz * 1_000_000 / hz
    }
}
