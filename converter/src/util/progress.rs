//! How long work tells that it goes on. The command line draws bars from it; tests stay silent.

/// Hears what is going on.
pub trait Progress: Sync {
    /// A new stage of so many steps begins; 0 if there is nothing to count.
    fn stage(&self, what: &str, steps: usize);

    /// One more step of it is done.
    fn step(&self);

    /// A new stage begins that moves bytes: `done` of `total` are there already; how many come in all may
    /// not be known.
    fn transfer(&self, _what: &str, _done: u64, _total: Option<u64>) {}

    /// So many more bytes of it are there.
    fn moved(&self, _bytes: u64) {}
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &str, _: usize) {}
    fn step(&self) {}
}
