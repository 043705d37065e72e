//! Loading a model over the pipe.

use super::chunks::received;
use super::exchange::Work;
use super::{Client, ClientError, Pipe};
use crate::device::DeviceError;
use crate::device::protocol::{Demand, LoadFile, LoadInfo, Reply, Request, split_signature};
use crate::model::Model;
use crate::signature::SIGNATURE_LEN;
use sha2::{Digest, Sha256};

impl<P: Pipe> Client<P> {
    /// Which models can be loaded, and which one runs. Needs no session where no application runs.
    pub fn load_info(&mut self) -> Result<LoadInfo, ClientError> {
        self.call(&Request::LoadInfo, |reply| match reply {
            Reply::LoadInfo(info) => Some(info),
            _ => None,
        })
    }

    /// Sends a model file. The device checks it, stores it and restarts, which ends the session. `model` is
    /// the parsed file; `watch` is called with the number of bytes that have arrived. Returns the hash of the
    /// trunk, or `None` if the device restarted before its reply arrived: connect again to see what runs.
    pub fn load(
        &mut self,
        file: &[u8],
        model: &Model<'_>,
        signature: Option<&[u8; SIGNATURE_LEN]>,
        watch: &mut dyn FnMut(usize),
    ) -> Result<Option<[u8; 32]>, ClientError> {
        let begin = Request::BeginLoad(LoadFile {
            len: u32::try_from(file.len()).map_err(|_| ClientError::RequestTooLong)?,
            sha256: Sha256::digest(file).into(),
            signature: signature.map(split_signature),
            demand: Demand::of(model),
        });
        let chunk = |offset, data| Request::LoadChunk { offset, data };
        // A request of another host may end this session: the transfer then continues where it stopped.
        let mut interrupted = 0;
        loop {
            let first = self.call(&begin, received)? as usize;
            watch(first);
            match self.send_chunks(file, first, Work::Any, watch, chunk) {
                Err(ClientError::Device(DeviceError::NoSession)) if interrupted < 3 => {
                    interrupted += 1;
                }
                sent => break sent?,
            }
        }
        let loaded = self.call(&Request::FinishLoad, |reply| match reply {
            Reply::Loaded { trunk } => Some(trunk),
            _ => None,
        });
        match loaded {
            Ok(trunk) => Ok(Some(trunk)),
            Err(
                ClientError::Device(DeviceError::NoSession | DeviceError::NotReady(_))
                | ClientError::Pipe(_)
                | ClientError::NoAnswer { .. },
            ) => Ok(None),
            Err(e) => Err(e),
        }
    }
}
