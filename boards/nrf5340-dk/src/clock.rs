//! Microseconds from TIMER1, which also counts while the processor sleeps, unlike SysTick.

use core::sync::atomic::{AtomicU32, Ordering};
use edge_runtime::device::Clock;
use embassy_nrf::interrupt::typelevel::{Binding, Handler, Interrupt, TIMER1 as Timer1Interrupt};
use embassy_nrf::peripherals::TIMER1;
use embassy_nrf::timer::{Frequency, Timer};
use embassy_nrf::{Peri, pac};

/// Periods of the timer that are over. Each takes 71 minutes.
static PERIODS: AtomicU32 = AtomicU32::new(0);

/// Its registers.
const TIMER: pac::timer::Timer = pac::TIMER1;

/// The channel that marks the end of a period.
const PERIOD_END: usize = 1;
/// The channel that captures the time for the program.
const READ: usize = 0;
/// The channel that captures the time for the logs.
const STAMP: usize = 2;

/// The interrupt handler that counts the periods.
pub struct PeriodHandler;

impl Handler<Timer1Interrupt> for PeriodHandler {
    unsafe fn on_interrupt() {
        TIMER.events_compare(PERIOD_END).write_value(0);
        // Reading waits until the write has arrived. Otherwise the handler would be called again when it ends.
        TIMER.events_compare(PERIOD_END).read();
        // Only this handler writes, and nothing that writes interrupts it.
        PERIODS.store(
            PERIODS.load(Ordering::Relaxed).wrapping_add(1),
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
        _handler: impl Binding<Timer1Interrupt, PeriodHandler>,
    ) -> Self {
        let timer = Timer::new(timer);
        timer.set_frequency(Frequency::F1MHz);
        // A period ends when the 32 bits become zero again. The zero at the start is not an end.
        timer.cc(PERIOD_END).write(0);
        timer.clear();
        timer.start();
        timer.persist();
        TIMER.events_compare(PERIOD_END).write_value(0);
        TIMER.intenset().write(|w| w.set_compare(PERIOD_END, true));
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

/// Microseconds since the start, for the logs. An interrupt handler may call it.
pub fn stamp() -> u64 {
    micros(STAMP)
}

/// Microseconds, captured by a channel that nothing else uses at the same time.
fn micros(channel: usize) -> u64 {
    let waits = || TIMER.events_compare(PERIOD_END).read() != 0;
    loop {
        // A period that is over and not counted yet, because interrupts are off, counts as well.
        let (periods, waiting) = (PERIODS.load(Ordering::Relaxed), waits());
        TIMER.tasks_capture(channel).write_value(1);
        let now = TIMER.cc(channel).read();
        // Unchanged: no period ended in between.
        if waits() == waiting && PERIODS.load(Ordering::Relaxed) == periods {
            let periods = u64::from(periods) + u64::from(waiting);
            return periods << 32 | u64::from(now);
        }
    }
}
