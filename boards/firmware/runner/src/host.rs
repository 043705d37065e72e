//! The way to the host: semihosting's standard output.

use crate::report::{Report, kind};
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
        if let Some(stream) = &mut self.0 {
            let _ = stream.write_all(bytemuck::bytes_of(report));
        }
    }
}

/// Says that everything was run, or why not ([`crate::report::failure`]), and ends the machine.
pub fn end(result: Result<(), u32>) -> ! {
    let (kind, value, status) = match result {
        Ok(()) => (kind::DONE, 0, ExitStatus::Ok(())),
        Err(failure) => (kind::FAILED, failure, ExitStatus::Err(())),
    };
    Line::open().send(&Report {
        kind,
        value,
        ..Report::default()
    });
    loop {
        debug::exit(status);
    }
}
