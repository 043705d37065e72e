//! How long work reports its progress. The command line shows it as bars; tests ignore it.

/// Receives the progress of some work.
pub trait Progress: Sync {
    /// A new stage begins, of `steps` steps; 0 if there is nothing to count. `what` names it, e.g.
    /// `calibrating`.
    fn stage(&self, what: &str, steps: usize);

    /// One more step of the stage is done. May be called from several threads.
    fn step(&self);

    /// A new stage begins that moves bytes: `done` of `total` are there already; how many come in all may
    /// not be known.
    fn transfer(&self, _what: &str, _done: u64, _total: Option<u64>) {}

    /// `bytes` more bytes are done.
    fn moved(&self, _bytes: u64) {}
}

/// Ignores all progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &str, _: usize) {}
    fn step(&self) {}
}
