//! The microsecond counter of the RP2350, which also counts while interrupts are off because the flash is written.

use edge_runtime::device::Clock;
use embassy_rp::pac::TIMER0;

/// TIMER0. `embassy_rp::init` sets it to one tick per microsecond.
pub struct TimerClock;

impl Clock for TimerClock {
    fn micros(&self) -> u64 {
        micros()
    }
}

/// Microseconds since power-up.
pub fn micros() -> u64 {
    loop {
        let (high, low) = (TIMER0.timerawh().read(), TIMER0.timerawl().read());
        // Unchanged: the lower half did not start again from zero in between.
        if TIMER0.timerawh().read() == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}
