//! The RP2350's own counter of microseconds, which also counts while interrupts are off for writing flash.

use edge_runtime::device::Clock;
use embassy_rp::pac::TIMER0;

/// TIMER0, which `embassy_rp::init` sets to one tick a microsecond.
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
        // The same before and after: the lower half did not turn in between.
        if TIMER0.timerawh().read() == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}
