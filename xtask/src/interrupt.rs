//! When a signal ends the program: no file that was only begun stays.

use crate::cli::Command;

/// From now on, SIGINT (Ctrl-C) and SIGTERM end the program as they always do, after temporary files are removed.
/// `deploy` has an end of its own.
pub fn leave_nothing(command: &Command) {
    if !matches!(command, Command::Deploy(_)) {
        #[cfg(unix)]
        unix::remove_at_the_end();
    }
}

#[cfg(unix)]
mod unix {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    pub fn remove_at_the_end() {
        // Without it, a signal leaves what it always left.
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
            return;
        };
        std::thread::spawn(move || {
            for signal in signals.forever() {
                converter::util::output::abandon();
                let _ = emulate_default_handler(signal);
            }
        });
    }
}
