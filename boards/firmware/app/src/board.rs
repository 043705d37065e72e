//! What a board plugs into the application.

use edge_runtime::device::memory::Areas;

/// The parts of a board: its line (`embedded-io`'s `Read` and `Write`), two [`Flash`](edge_runtime::flash::Flash)es,
/// a [`Clock`](edge_runtime::device::Clock) and a [`PowerMeter`](edge_runtime::power::PowerMeter).
pub struct Board<L, F, M, C, P> {
    /// Its name.
    pub name: &'static str,
    /// The line to the host. Reading waits, at best asleep, until at least one byte is there; an error of the
    /// line loses bytes, which the protocol bears.
    pub line: L,
    /// The flash of heads and samples: a driver of its own, or a `NorFlash` driver in
    /// [`edge_runtime::flash::Mapped`].
    pub flash: F,
    /// Where they are in it.
    pub areas: Areas,
    /// The clock.
    pub clock: C,
    /// The power meter: `Ina219` over the board's I2C, or `NoMeter`.
    pub power: P,
    /// The region of the model: a `.edge` file at its start, or anything else if none was flashed. Another value than
    /// `flash`, since the model is read in place while that is written; a driver that serves both is
    /// [`Shared`](crate::Shared).
    pub model: M,
    /// RAM for the application.
    pub memory: &'static mut [u8],
}
