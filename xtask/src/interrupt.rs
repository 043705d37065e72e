//! Ctrl-C and SIGTERM.

use crate::cli::Command;
use signal_hook::consts::SIGINT;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// From here on, SIGINT (Ctrl-C) and SIGTERM still end the program, but no temporary file stays.
///
/// `deploy` writes no file here and has its own end, see [`catch_ctrl_c`].
pub fn remove_temporary_files(command: &Command) {
    if !matches!(command, Command::Deploy(_)) {
        #[cfg(unix)]
        unix::remove_on_signals();
    }
}

/// From here on, SIGINT (Ctrl-C) does not end the program. It sets the flag that is returned.
pub fn catch_ctrl_c() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    // If it fails, Ctrl-C ends the program as usual.
    let _ = signal_hook::flag::register(SIGINT, Arc::clone(&interrupted));
    interrupted
}

#[cfg(unix)]
mod unix {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    pub fn remove_on_signals() {
        // If it fails, signals end the program as usual, and temporary files stay.
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
