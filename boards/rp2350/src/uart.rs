//! The UART, whose driver takes for sent what is in the hardware's FIFO yet: a restart would cut it off.

use embassy_rp::uart::{BufferedUart, Error};
use embedded_io_async::{ErrorType, Read, Write};

/// The driver, with a `flush` that waits for the last bit.
pub struct Line(pub BufferedUart);

impl ErrorType for Line {
    type Error = Error;
}

impl Read for Line {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Read::read(&mut self.0, buffer).await
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        Write::write(&mut self.0, bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Write::flush(&mut self.0).await?;
        // At most a FIFO of 32 bytes.
        while self.0.busy() {}
        Ok(())
    }
}
