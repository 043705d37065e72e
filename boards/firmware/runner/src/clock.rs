//! SysTick at the processor's clock. With QEMU's `-icount shift=0` an instruction takes one nanosecond.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use runner_report::CALIBRATION;

/// Ticks until the timer starts again from zero: it has 24 bits.
const PERIOD: u32 = 1 << 24;

/// Instructions of one pass of the loop in [`Clock::calibrate`].
const LOOP: u64 = 2;

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

/// A count of ticks with 64 bits: the timer has 24, and its interrupt counts the periods.
pub struct Clock(());

impl Clock {
    /// Starts the timer. Interrupts must stay enabled.
    pub fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(PERIOD - 1);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Self(())
    }

    /// Ticks since the start.
    #[inline(never)]
    pub fn ticks(&self) -> u64 {
        loop {
            let periods = PERIODS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            // Unchanged: no period ended in between.
            if PERIODS.load(Ordering::Relaxed) == periods {
                // The timer counts down, and is zero at the start and at the end of a period.
                let passed = (PERIOD - current) % PERIOD;
                return u64::from(periods) * u64::from(PERIOD) + u64::from(passed);
            }
        }
    }

    /// Measures a loop of [`CALIBRATION`] instructions in ticks.
    pub fn calibrate(&self) -> u64 {
        let passes = (CALIBRATION / LOOP) as u32;
        let start = self.ticks();
        // SAFETY: only counts a register down.
        unsafe {
            asm!("2: subs {0}, {0}, #1", "bne 2b", inout(reg) passes => _, options(nomem, nostack));
        }
        self.ticks() - start
    }
}
