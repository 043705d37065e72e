//! A microsecond clock from the core's own timer.

use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
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

/// The timer's frequency; 0 while it does not run.
static HZ: AtomicU32 = AtomicU32::new(0);

/// SysTick at the processor's clock, counted on by its interrupt.
pub struct SysTickClock(());

impl SysTickClock {
    /// Starts the timer, which runs at `hz`.
    pub fn start(mut timer: SYST, hz: u32) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(TURN - 1);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        HZ.store(hz, Ordering::Relaxed);
        Self(())
    }

    /// Ticks of the processor's clock since the start. With interrupts off for longer than a turn, turns are
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

/// Microseconds since a [`SysTickClock`] was started; 0 before. For timestamps of logs.
pub fn micros() -> u64 {
    let hz = u64::from(HZ.load(Ordering::Relaxed));
    if hz == 0 {
        return 0;
    }
    let ticks = ticks();
    // In two parts, so that nothing overflows for as long as the count lasts.
    ticks / hz * 1_000_000 + ticks % hz * 1_000_000 / hz
}

fn ticks() -> u64 {
    loop {
        let turns = TURNS.load(Ordering::Relaxed);
        let mut current = SYST::get_current();
        let mut over = turns;
        // A turn that is over and not counted, because interrupts are off: the count is that of the next.
        if SCB::is_pendst_pending() {
            current = SYST::get_current();
            over = turns.wrapping_add(1);
        }
        // The same before and after: no turn was counted in between.
        if TURNS.load(Ordering::Relaxed) == turns {
            // It stands at 0 before its first tick and for one tick at the end of a turn, which is then counted.
            let within = (TURN - current) % TURN;
            return u64::from(over) * u64::from(TURN) + u64::from(within);
        }
    }
}
