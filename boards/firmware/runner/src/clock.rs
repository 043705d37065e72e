//! SysTick at the processor's clock. Under QEMU's `-icount shift=0` an instruction takes a nanosecond of it.

use crate::report::CALIBRATION;
use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;

/// Ticks of a turn of the timer: all of its 24 bits.
const TURN: u32 = 1 << 24;

/// Instructions of one turn of the loop of [`Clock::calibrate`].
const LOOP: u64 = 2;

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

/// A running count of ticks, longer than the timer's 24 bits by its interrupt.
pub struct Clock(());

impl Clock {
    /// Starts the timer. Interrupts must stay enabled.
    pub fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(TURN - 1);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Self(())
    }

    /// Ticks since the start.
    #[inline(never)]
    pub fn ticks(&self) -> u64 {
        loop {
            let before = TURNS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            // The same before and after: the timer did not turn in between.
            if TURNS.load(Ordering::Relaxed) == before {
                // It counts down; at the start and at the end of a turn it is zero.
                let passed = (TURN - current) % TURN;
                return u64::from(before) * u64::from(TURN) + u64::from(passed);
            }
        }
    }

    /// Ticks of a loop of [`CALIBRATION`] instructions.
    pub fn calibrate(&self) -> u64 {
        let turns = (CALIBRATION / LOOP) as u32;
        let start = self.ticks();
        // SAFETY: counts a register down, and touches nothing else.
        unsafe {
            asm!("2: subs {0}, {0}, #1", "bne 2b", inout(reg) turns => _, options(nomem, nostack));
        }
        self.ticks() - start
    }
}
