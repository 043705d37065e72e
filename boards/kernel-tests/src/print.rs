//! Printing to the emulator's console without `core::fmt`, which would be a third of the program and is
//! not what is measured.

use cortex_m_semihosting::hio;

/// A line that is being put together; what does not fit is dropped.
pub struct Line {
    bytes: [u8; 200],
    len: usize,
}

impl Line {
    /// An empty line.
    #[expect(clippy::new_without_default, reason = "a default line says nothing")]
    pub fn new() -> Self {
        Self {
            bytes: [0; 200],
            len: 0,
        }
    }

    /// Adds text and a space.
    pub fn text(&mut self, text: &str) -> &mut Self {
        text.bytes().for_each(|b| self.byte(b));
        self.byte(b' ');
        self
    }

    /// Adds a decimal number and a space.
    pub fn number(&mut self, n: u64) -> &mut Self {
        let (mut digits, mut rest, mut len) = ([0; 20], n, 0);
        loop {
            digits[len] = b'0' + (rest % 10) as u8;
            len += 1;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        digits[..len].iter().rev().for_each(|b| self.byte(*b));
        self.byte(b' ');
        self
    }

    /// Adds eight hexadecimal digits and a space.
    pub fn hex(&mut self, n: u32) -> &mut Self {
        for i in (0..8).rev() {
            self.byte(b"0123456789abcdef"[(n >> (4 * i)) as usize & 15]);
        }
        self.byte(b' ');
        self
    }

    /// Prints it.
    pub fn print(&mut self) {
        self.byte(b'\n');
        if let Ok(mut out) = hio::hstdout() {
            let _ = out.write_all(&self.bytes[..self.len]);
        }
        self.len = 0;
    }

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}
