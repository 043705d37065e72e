//! Lets a program that is not asynchronous use an asynchronous UART driver: the processor sleeps until an interrupt
//! of the driver brings bytes.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use embedded_io::ErrorType;
use embedded_io_async::{Read, Write};

/// A buffered, asynchronous UART driver whose reads and writes block, with the processor asleep. Bytes that arrive
/// while the program computes wait in the driver's buffer.
pub struct SleepingUart<U>(U);

impl<U: Read + Write> SleepingUart<U> {
    /// Wraps a driver. Its buffer for sending must hold at least [`MAX_SEND`] bytes.
    pub fn new(uart: U) -> Self {
        Self(uart)
    }
}

/// Most bytes that are passed to the driver at once.
pub const MAX_SEND: usize = 1024;

impl<U: Read + Write> ErrorType for SleepingUart<U> {
    type Error = U::Error;
}

impl<U: Read + Write> embedded_io::Read for SleepingUart<U> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, U::Error> {
        block_on(self.0.read(buffer))
    }
}

impl<U: Read + Write> embedded_io::Write for SleepingUart<U> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, U::Error> {
        block_on(self.0.write(&bytes[..bytes.len().min(MAX_SEND)]))
    }

    fn flush(&mut self) -> Result<(), U::Error> {
        block_on(self.0.flush())
    }
}

/// Runs a future to its end and sleeps while it waits. What it waits for must raise an interrupt.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        // Interrupts are off from the poll to the sleep. One that comes in between stays pending, ends the sleep at
        // once, and is served when they are on again.
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
    // The eight instructions after the sleep do nothing: on an nRF5340 the first ones may fail (anomaly 168; Zephyr
    // executes as many).
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
