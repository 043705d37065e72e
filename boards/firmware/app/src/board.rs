//! The parts of a board that the application runs on.

use edge_runtime::device::memory::Areas;

/// The parts of a board: a serial line (`embedded-io`'s `Read` and `Write`), two
/// [`Flash`](edge_runtime::flash::Flash)es, a [`Clock`](edge_runtime::device::Clock) and a
/// [`PowerMeter`](edge_runtime::power::PowerMeter).
pub struct Board<L, F, M, C, P> {
    /// Its name.
    pub name: &'static str,
    /// The serial line to the host. A read waits, best with the processor asleep, for at least one byte. After an
    /// error bytes are missing; the protocol repeats them.
    pub line: L,
    /// The flash with heads and samples: a driver of the board's own, or a `NorFlash` driver in
    /// [`edge_runtime::flash::Mapped`].
    pub flash: F,
    /// Where heads and samples are in it.
    pub areas: Areas,
    /// The clock.
    pub clock: C,
    /// The power meter: `Ina219` over the board's I2C, or `NoMeter`.
    pub power: P,
    /// The flash region of the model: a `.edge` file at its start, or anything else if none was flashed. It is a value
    /// of its own, because the model is read in place while `flash` is written;
    /// [`SharedFlash`](crate::SharedFlash) makes two of one driver.
    pub model: M,
    /// RAM for the application.
    pub memory: &'static mut [u8],
}
