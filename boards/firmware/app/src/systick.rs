//! A microsecond clock from SysTick, the core's own timer.

use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;
use edge_runtime::device::Clock;

/// Ticks until the timer starts again from zero: it has 24 bits.
const PERIOD: u32 = 1 << 24;

/// Periods that are over.
static PERIODS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // Only this handler writes, and nothing that writes interrupts it.
    PERIODS.store(
        PERIODS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

/// The timer's frequency in Hz; 0 before it starts.
static HZ: AtomicU32 = AtomicU32::new(0);

/// A clock from SysTick at the processor's frequency. Its interrupt counts the periods.
pub struct SysTickClock(());

impl SysTickClock {
    /// Starts the timer, whose frequency is `hz`.
    pub fn start(mut timer: SYST, hz: u32) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(PERIOD - 1);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        HZ.store(hz, Ordering::Relaxed);
        Self(())
    }

    /// Ticks of the processor's clock since the start. If interrupts are off for longer than a period, periods are
    /// lost.
    pub fn ticks(&self) -> u64 {
        ticks()
    }
}

impl Clock for SysTickClock {
    fn micros(&self) -> u64 {
        micros()
    }
}

/// Microseconds since a [`SysTickClock`] was started; 0 before that. For the timestamps of logs.
pub fn micros() -> u64 {
    let hz = u64::from(HZ.load(Ordering::Relaxed));
    if hz == 0 {
        return 0;
    }
    let ticks = ticks();
    // In two parts, so that the product does not overflow.
    ticks / hz * 1_000_000 + ticks % hz * 1_000_000 / hz
}

fn ticks() -> u64 {
    loop {
        let periods = PERIODS.load(Ordering::Relaxed);
        let mut current = SYST::get_current();
        let mut over = periods;
        // A period is over and not counted yet, because interrupts are off: the timer counts the next one.
        if SCB::is_pendst_pending() {
            current = SYST::get_current();
            over = periods.wrapping_add(1);
        }
        // Unchanged: no period ended in between.
        if PERIODS.load(Ordering::Relaxed) == periods {
            // The timer counts down. It is 0 before its first tick, and for the last tick of a period, which is counted
            // by then.
            let within = (PERIOD - current) % PERIOD;
            return u64::from(over) * u64::from(PERIOD) + u64::from(within);
        }
    }
}
