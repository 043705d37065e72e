//! Bytes to a device and back, whatever carries them.

use std::io;
use std::time::Duration;

/// A byte pipe with a device, or with a host, at its other end. It may lose and damage bytes: frames and
/// repetitions above it make up for that.
pub trait Pipe {
    /// Sends all bytes.
    ///
    /// # Errors
    /// If the pipe is closed or broken for good.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits at most `timeout` for bytes, and returns how many it wrote to the start of `buffer`; 0 if none
    /// came.
    ///
    /// # Errors
    /// If the pipe is closed or broken for good.
    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize>;
}
