//! Microseconds by TIMER1, which also counts while the processor sleeps, unlike SysTick.

use core::sync::atomic::{AtomicU32, Ordering};
use edge_runtime::device::Clock;
use embassy_nrf::interrupt::typelevel::{Binding, Handler, Interrupt, TIMER1 as Timer1Interrupt};
use embassy_nrf::peripherals::TIMER1;
use embassy_nrf::timer::{Frequency, Timer};
use embassy_nrf::{Peri, pac};

/// Turns of the timer that are over: 71 minutes each.
static TURNS: AtomicU32 = AtomicU32::new(0);

/// Channel that marks the end of a turn.
const TURN: usize = 1;

/// Counts the turns.
pub struct TurnHandler;

impl Handler<Timer1Interrupt> for TurnHandler {
    unsafe fn on_interrupt() {
        pac::TIMER1.events_compare(TURN).write_value(0);
        // Read back, so that the write has arrived before the handler ends and is not called again.
        pac::TIMER1.events_compare(TURN).read();
        // One writer, which nobody interrupts for another write.
        TURNS.store(
            TURNS.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }
}

/// TIMER1 at 1 MHz. Must be read with interrupts enabled.
pub struct TimerClock {
    timer: Timer<'static>,
}

impl TimerClock {
    /// Starts the timer.
    pub fn start(
        timer: Peri<'static, TIMER1>,
        _handler: impl Binding<Timer1Interrupt, TurnHandler>,
    ) -> Self {
        let timer = Timer::new(timer);
        timer.set_frequency(Frequency::F1MHz);
        // Its 32 bits turn to zero, which is a turn; not the zero that it starts from.
        timer.cc(TURN).write(0);
        timer.clear();
        timer.start();
        pac::TIMER1.events_compare(TURN).write_value(0);
        pac::TIMER1.intenset().write(|w| w.set_compare(TURN, true));
        Timer1Interrupt::unpend();
        // SAFETY: no critical section depends on this interrupt being masked.
        unsafe { Timer1Interrupt::enable() };
        Self { timer }
    }
}

impl Clock for TimerClock {
    fn micros(&self) -> u64 {
        loop {
            let turns = TURNS.load(Ordering::Relaxed);
            let now = self.timer.cc(0).capture();
            // The same before and after, and none waits to be counted: the timer did not turn in between.
            let waits = pac::TIMER1.events_compare(TURN).read() != 0;
            if !waits && TURNS.load(Ordering::Relaxed) == turns {
                return u64::from(turns) << 32 | u64::from(now);
            }
        }
    }
}
