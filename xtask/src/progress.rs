//! Progress bars on stderr. Where stderr is no terminal, indicatif draws nothing.

use converter::util::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;

/// The bar of the current stage.
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

    /// Puts `bar` in place of the one that is shown.
    fn show(&self, bar: ProgressBar, what: &str, template: &str) {
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_string());
        let mut current = self.lock();
        current.finish_and_clear();
        *current = bar;
    }
}

impl Progress for Bars {
    fn stage(&self, what: &str, steps: usize) {
        let bar = ProgressBar::new(steps as u64);
        let template = match steps {
            0 => "{msg}",
            _ => "{msg:24} {bar:32} {pos}/{len} {eta}",
        };
        self.show(bar, what, template);
    }

    fn step(&self) {
        self.lock().inc(1);
    }

    fn transfer(&self, what: &str, done: u64, total: Option<u64>) {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg:24} {bar:32} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
            ),
            None => (
                ProgressBar::no_length(),
                "{msg:24} {spinner} {binary_bytes} {binary_bytes_per_sec}",
            ),
        };
        // Speed and remaining time count from here; `done` bytes were there before.
        let bar = bar.with_position(done);
        bar.reset_eta();
        self.show(bar, what, template);
    }

    fn moved(&self, bytes: u64) {
        self.lock().inc(bytes);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.lock().finish_and_clear();
    }
}
