//! Heads: commit, rollback, export, import.

use super::chunks::received;
use super::exchange::Work;
use super::{Client, ClientError, Pipe};
use crate::crc32;
use crate::device::protocol::{Reply, Request, split_signature};
use crate::head::store::Active;
use crate::signature::SIGNATURE_LEN;

impl<P: Pipe> Client<P> {
    /// Makes the trained or imported head the active one; returns its sequence number.
    pub fn commit(&mut self) -> Result<u32, ClientError> {
        self.call(&Request::Commit, |reply| match reply {
            Reply::Committed { sequence } => Some(sequence),
            _ => None,
        })
    }

    /// Goes back to the head before.
    pub fn rollback(&mut self) -> Result<Active, ClientError> {
        self.call(&Request::Rollback, |reply| match reply {
            Reply::RolledBack(active) => Some(active),
            _ => None,
        })
    }

    /// The file of the active head.
    pub fn export_head(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut file: Vec<u8> = vec![];
        let mut first = None;
        loop {
            let request = Request::ExportHead {
                offset: file.len() as u32,
                max: self.chunk as u16,
            };
            let (attempts, before) = (self.attempts(), self.repetitions);
            let read = |reply: Reply<'_>| match reply {
                Reply::Head {
                    sequence,
                    len,
                    data,
                } => Some((sequence, len, data.to_vec())),
                _ => None,
            };
            let part = self.attempt(&request, attempts, Work::Little, &mut |_| (), read);
            let (sequence, len, data) = match part {
                Err(ClientError::NoAnswer { .. }) if self.shrink() => continue,
                other => other?,
            };
            if self.repetitions == before {
                self.grow();
            }
            if *first.get_or_insert((sequence, len)) != (sequence, len) {
                return Err(ClientError::HeadChanged);
            }
            let end = data.is_empty();
            file.extend(data);
            if end || file.len() >= len as usize {
                return Ok(file);
            }
        }
    }

    /// Sends a head file. [`Self::commit`] makes it active.
    pub fn import_head(
        &mut self,
        file: &[u8],
        signature: Option<&[u8; SIGNATURE_LEN]>,
    ) -> Result<(), ClientError> {
        let begin = Request::BeginImport {
            len: u32::try_from(file.len()).map_err(|_| ClientError::RequestTooLong)?,
            crc: crc32(&[file]),
            signature: signature.map(split_signature),
        };
        self.call(&begin, received)?;
        let chunk = |offset, data| Request::ImportChunk { offset, data };
        self.send_chunks(file, 0, Work::Little, &mut |_| (), chunk)
    }
}
