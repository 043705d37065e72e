//! A UART that is flushed to the last bit. The driver's own `flush` returns while bytes are in the hardware's FIFO, and a
//! restart would lose them.

use embassy_rp::uart::{BufferedUart, Error};
use embedded_io_async::{ErrorType, Read, Write};

/// The driver, with a `flush` that waits for the last bit.
pub struct DrainingUart(pub BufferedUart);

impl ErrorType for DrainingUart {
    type Error = Error;
}

impl Read for DrainingUart {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Read::read(&mut self.0, buffer).await
    }
}

impl Write for DrainingUart {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        Write::write(&mut self.0, bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Write::flush(&mut self.0).await?;
        // At most the 32 bytes of the FIFO.
        while self.0.busy() {}
        Ok(())
    }
}
