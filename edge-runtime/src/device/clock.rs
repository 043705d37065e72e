//! Time.

/// A clock that counts from an arbitrary moment.
pub trait Clock {
    /// Microseconds since that moment; never less than before.
    fn micros(&self) -> u64;

    /// Cycles of the processor modulo 2^32; `None` if it does not count them.
    fn cycles(&self) -> Option<u32> {
        None
    }
}

impl<C: Clock + ?Sized> Clock for &C {
    fn micros(&self) -> u64 {
        (**self).micros()
    }
    fn cycles(&self) -> Option<u32> {
        (**self).cycles()
    }
}
