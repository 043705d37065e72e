//! A line over a buffered UART driver whose interrupts do the work: the processor sleeps until one of them
//! brings bytes.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use embedded_io::ErrorType;
use embedded_io_async::{Read, Write};

/// A driver that is asynchronous, used by a program that is not. Bytes that arrive while the program
/// computes wait in the driver's buffer.
pub struct Asleep<U>(U);

impl<U: Read + Write> Asleep<U> {
    /// Around a driver whose buffer for sending holds at least `PIECE` bytes.
    pub fn new(uart: U) -> Self {
        Self(uart)
    }
}

/// Most bytes that are handed to the driver at a time.
pub const PIECE: usize = 1024;

impl<U: Read + Write> ErrorType for Asleep<U> {
    type Error = U::Error;
}

impl<U: Read + Write> embedded_io::Read for Asleep<U> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, U::Error> {
        wait(self.0.read(buffer))
    }
}

impl<U: Read + Write> embedded_io::Write for Asleep<U> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, U::Error> {
        wait(self.0.write(&bytes[..bytes.len().min(PIECE)]))
    }

    fn flush(&mut self) -> Result<(), U::Error> {
        wait(self.0.flush())
    }
}

/// Runs a future to its end, asleep as long as it waits. Whatever it waits for must come by an interrupt.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        // With interrupts off, one that comes between the question and the sleep stays pending, which ends
        // the sleep; it is served when they are on again.
        let done = cortex_m::interrupt::free(|_| match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => {
                sleep();
                None
            }
        });
        if let Some(value) = done {
            return value;
        }
    }
}

/// Sleeps until an interrupt is pending.
fn sleep() {
    cortex_m::asm::dsb();
    // Then eight instructions that do nothing: those right after a sleep may fail on an nRF5340 (anomaly
    // 168; Zephyr executes as many).
    // SAFETY: changes neither memory nor registers.
    unsafe {
        core::arch::asm!(
            "wfi",
            ".rept 8",
            "nop",
            ".endr",
            options(nostack, preserves_flags)
        );
    }
}
