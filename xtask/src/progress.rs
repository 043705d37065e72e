//! Progress bars on stderr. Where stderr is no terminal, indicatif draws nothing.

use converter::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;

/// One bar at a time, for the stage that goes on.
pub struct Bars {
    current: Mutex<ProgressBar>,
}

impl Bars {
    /// No bar yet.
    pub fn new() -> Self {
        Self {
            current: Mutex::new(ProgressBar::hidden()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ProgressBar> {
        self.current
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Progress for Bars {
    fn stage(&self, what: &str, steps: usize) {
        let style = ProgressStyle::with_template("{msg:24} {bar:32} {pos}/{len} {eta}");
        let bar = ProgressBar::new(steps as u64)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_string());
        let mut current = self.lock();
        current.finish_and_clear();
        *current = bar;
    }

    fn step(&self) {
        self.lock().inc(1);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.lock().finish_and_clear();
    }
}
