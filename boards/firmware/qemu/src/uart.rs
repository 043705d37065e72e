//! Arm's CMSDK APB UART (Cortex-M System Design Kit technical reference manual, DDI 0479, section 4.3).

use crate::UartPlace;
use core::convert::Infallible;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorType, Read, ReadReady, Write};

/// Registers, by their offset.
mod register {
    pub const DATA: usize = 0x00;
    pub const STATE: usize = 0x04;
    pub const CTRL: usize = 0x08;
    pub const INTERRUPT: usize = 0x0c;
    pub const BAUD_DIVIDER: usize = 0x10;
}

/// `STATE`: the buffer for sending is full.
const TX_FULL: u32 = 1 << 0;
/// `STATE`: a byte has arrived.
const RX_FULL: u32 = 1 << 1;
/// `STATE`: bytes were lost. Writing the bits clears them.
const OVERRUNS: u32 = 1 << 2 | 1 << 3;
/// `CTRL`: send, receive, and raise an interrupt when a byte has arrived.
const ENABLE: u32 = 1 << 0 | 1 << 1 | 1 << 3;
/// `INTERRUPT`: a byte has arrived. Writing the bit clears it.
const RX: u32 = 1 << 1;
/// The smallest divider that the UART takes.
const LEAST_DIVIDER: u32 = 16;

#[derive(Clone, Copy)]
struct Irq(u16);

// SAFETY: the crate of a machine passes the number of its UART, and it never changes.
unsafe impl InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

/// The UART. Its interrupt only ends a sleep, so it needs no handler.
pub struct Uart {
    base: *mut u32,
    irq: Irq,
}

impl Uart {
    /// Sets it up.
    ///
    /// # Safety
    /// `place` must be that of such a UART, and nothing else may use it.
    pub unsafe fn new(place: UartPlace, baud: u32) -> Self {
        let uart = Self {
            base: core::ptr::with_exposed_provenance_mut(place.base as usize),
            irq: Irq(place.irq),
        };
        uart.set(
            register::BAUD_DIVIDER,
            (place.clock_hz / baud).max(LEAST_DIVIDER),
        );
        uart.set(register::CTRL, ENABLE);
        uart
    }

    fn get(&self, offset: usize) -> u32 {
        // SAFETY: a register of the UART, as `new`'s caller promised.
        unsafe { self.base.byte_add(offset).read_volatile() }
    }

    fn set(&self, offset: usize, value: u32) {
        // SAFETY: a register of the UART, as `new`'s caller promised.
        unsafe { self.base.byte_add(offset).write_volatile(value) };
    }

    fn is(&self, state: u32) -> bool {
        self.get(register::STATE) & state != 0
    }

    /// Sleeps until a byte has arrived.
    fn wait(&self) {
        while !self.is(RX_FULL) {
            // Interrupts are off: a pending one ends the sleep without being served. Others, like that of the timer,
            // are served when interrupts are on again.
            cortex_m::interrupt::free(|_| {
                // SAFETY: no critical section depends on this interrupt being masked.
                unsafe { NVIC::unmask(self.irq) };
                if !self.is(RX_FULL) {
                    cortex_m::asm::wfi();
                }
                self.set(register::INTERRUPT, RX);
                NVIC::mask(self.irq);
                NVIC::unpend(self.irq);
            });
        }
    }
}

impl ErrorType for Uart {
    /// The UART reports no errors. The protocol notices lost bytes.
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.is(RX_FULL))
    }
}

impl Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.wait();
        self.set(register::STATE, OVERRUNS);
        let mut count = 0;
        for to in buffer.iter_mut() {
            if !self.is(RX_FULL) {
                break;
            }
            *to = self.get(register::DATA) as u8;
            count += 1;
        }
        Ok(count)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for byte in bytes {
            while self.is(TX_FULL) {}
            self.set(register::DATA, u32::from(*byte));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while self.is(TX_FULL) {}
        Ok(())
    }
}
