//! How long work tells that it goes on. The command line draws bars from it; tests stay silent.

/// Hears what is going on.
pub trait Progress: Sync {
    /// A new stage of so many steps begins.
    fn stage(&self, what: &str, steps: usize);

    /// One more step of it is done.
    fn step(&self);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &str, _: usize) {}
    fn step(&self) {}
}
