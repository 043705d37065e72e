//! The host, reached through the standard output of semihosting.

use cortex_m_semihosting::debug::{self, ExitStatus};
use cortex_m_semihosting::hio::{self, HostStream};
use runner_report::{Report, kind};

/// The host's end, if the host has opened it.
pub struct Host(Option<HostStream>);

impl Host {
    /// Opens it.
    pub fn open() -> Self {
        Self(hio::hstdout().ok())
    }

    /// Sends a message. The host notices a lost one, because it knows which messages must come.
    pub fn send(&mut self, report: &Report) {
        if let Some(stream) = &mut self.0 {
            let _ = stream.write_all(bytemuck::bytes_of(report));
        }
    }
}

/// Reports that all inputs were run, or why not ([`runner_report::failure`]), and ends the machine.
pub fn end(result: Result<(), u32>) -> ! {
    let (kind, value, status) = match result {
        Ok(()) => (kind::DONE, 0, ExitStatus::Ok(())),
        Err(failure) => (kind::FAILED, failure, ExitStatus::Err(())),
    };
    Host::open().send(&Report {
        kind,
        value,
        ..Report::default()
    });
    loop {
        debug::exit(status);
    }
}
