//! A transfer in chunks: the bytes of an input or a head file.

use crate::crc32;
use crate::device::error::DeviceError;

/// How much of an announced transfer has arrived. The bytes themselves lie in memory of the caller.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transfer {
    /// Bytes that have arrived.
    received: u32,
    /// Bytes that were announced; 0 if nothing was.
    len: u32,
    /// CRC-32 of all of them, as announced.
    crc: u32,
}

impl Transfer {
    /// A transfer of `len` bytes, of which none has arrived.
    pub fn begin(len: u32, crc: u32) -> Self {
        Self {
            received: 0,
            len,
            crc,
        }
    }

    /// Puts a chunk into `to` where it belongs, and returns the offset of the next one.
    pub fn chunk(&mut self, to: &mut [u8], offset: u32, data: &[u8]) -> Result<u32, DeviceError> {
        if self.len == 0 {
            return Err(DeviceError::Incomplete { have: 0, need: 0 });
        }
        if offset != self.received {
            return Err(DeviceError::ChunkOffset {
                expected: self.received,
            });
        }
        let limit = self.len;
        let place = to
            .get_mut(..limit as usize)
            .and_then(|to| to.get_mut(offset as usize..))
            .and_then(|to| to.get_mut(..data.len()))
            .ok_or(DeviceError::TooLong { limit })?;
        place.copy_from_slice(data);
        self.received += data.len() as u32;
        Ok(self.received)
    }

    /// All bytes of the transfer, which lie in `from`; refused if some are missing or the checksum is wrong.
    pub fn finish<'t>(&self, from: &'t [u8]) -> Result<&'t [u8], DeviceError> {
        let (have, need) = (self.received, self.len);
        if need == 0 || have < need {
            return Err(DeviceError::Incomplete { have, need });
        }
        let bytes = from.get(..need as usize).unwrap_or_default();
        if crc32(&[bytes]) != self.crc {
            return Err(DeviceError::Checksum);
        }
        Ok(bytes)
    }
}
