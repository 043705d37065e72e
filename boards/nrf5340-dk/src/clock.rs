//! Microseconds by TIMER1, which also counts while the processor sleeps, unlike SysTick.

use core::sync::atomic::{AtomicU32, Ordering};
use edge_runtime::device::Clock;
use embassy_nrf::interrupt::typelevel::{Binding, Handler, Interrupt, TIMER1 as Timer1Interrupt};
use embassy_nrf::peripherals::TIMER1;
use embassy_nrf::timer::{Frequency, Timer};
use embassy_nrf::{Peri, pac};

/// Turns of the timer that are over: 71 minutes each.
static TURNS: AtomicU32 = AtomicU32::new(0);

/// Its registers.
const TIMER: pac::timer::Timer = pac::TIMER1;

/// Channel that marks the end of a turn.
const TURN: usize = 1;
/// Channel that captures the time for the program.
const READ: usize = 0;
/// Channel that captures the time for the logs.
const STAMP: usize = 2;

/// Counts the turns.
pub struct TurnHandler;

impl Handler<Timer1Interrupt> for TurnHandler {
    unsafe fn on_interrupt() {
        TIMER.events_compare(TURN).write_value(0);
        // Read back, so that the write has arrived before the handler ends and is not called again.
        TIMER.events_compare(TURN).read();
        // One writer, which nobody interrupts for another write.
        TURNS.store(
            TURNS.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }
}

/// TIMER1 at 1 MHz.
pub struct TimerClock(());

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
        timer.persist();
        TIMER.events_compare(TURN).write_value(0);
        TIMER.intenset().write(|w| w.set_compare(TURN, true));
        Timer1Interrupt::unpend();
        // SAFETY: no critical section depends on this interrupt being masked.
        unsafe { Timer1Interrupt::enable() };
        Self(())
    }
}

impl Clock for TimerClock {
    fn micros(&self) -> u64 {
        micros(READ)
    }
}

/// Microseconds since the start, for the logs, which may be written by a handler.
pub fn stamp() -> u64 {
    micros(STAMP)
}

/// Microseconds, captured by a channel that nobody uses at the same time.
fn micros(channel: usize) -> u64 {
    let waits = || TIMER.events_compare(TURN).read() != 0;
    loop {
        // A turn that waits to be counted, because interrupts are off, counts as well.
        let (turns, waiting) = (TURNS.load(Ordering::Relaxed), waits());
        TIMER.tasks_capture(channel).write_value(1);
        let now = TIMER.cc(channel).read();
        // The same before and after: the timer did not turn in between.
        if waits() == waiting && TURNS.load(Ordering::Relaxed) == turns {
            let turns = u64::from(turns) + u64::from(waiting);
            return turns << 32 | u64::from(now);
        }
    }
}
