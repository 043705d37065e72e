//! The way to the host: semihosting's standard output.

use crate::report::{Failure, MAX_REPORT, Report};
use cortex_m_semihosting::debug::{self, ExitStatus};
use cortex_m_semihosting::hio::{self, HostStream};

/// The line, if the host opened it.
pub struct Line(Option<HostStream>);

impl Line {
    /// Opens it.
    pub fn open() -> Self {
        Self(hio::hstdout().ok())
    }

    /// Sends a message. What is lost the host misses, since it knows what has to come.
    pub fn send(&mut self, report: &Report) {
        let mut bytes = [0; 1 + MAX_REPORT];
        let [len, message @ ..] = &mut bytes;
        let Ok(used) = postcard::to_slice(report, message) else {
            return;
        };
        *len = used.len() as u8;
        let count = 1 + used.len();
        if let (Some(stream), Some(bytes)) = (&mut self.0, bytes.get(..count)) {
            let _ = stream.write_all(bytes);
        }
    }
}

/// Says that everything was run, or why not, and ends the machine.
pub fn end(result: Result<(), Failure>) -> ! {
    let (last, status) = match result {
        Ok(()) => (Report::Done, ExitStatus::Ok(())),
        Err(failure) => (Report::Failed(failure), ExitStatus::Err(())),
    };
    Line::open().send(&last);
    loop {
        debug::exit(status);
    }
}
