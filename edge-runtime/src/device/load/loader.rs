//! What answers while no application runs: it takes a new model, and tells the reason to every other request.

use super::store::ModelStore;
use super::{Limits, Load};
use crate::device::error::{DeviceError, NotReady};
use crate::device::protocol::{
    self as p, HEADER_LEN, Header, LoadFile, Message, Reply, Request, join_signature,
};
use crate::device::send::send_error;
use crate::model::header::LEN;
use sha2::{Digest, Sha256};

/// Longest reply of a loader.
const REPLY: usize = 160;

/// The session of a host that loads a model.
#[derive(Clone, Copy, Debug)]
struct Session {
    number: u32,
    last: u32,
}

/// A file of which a part has arrived.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    file: LoadFile,
    received: u32,
}

/// Answers while no application runs, and takes a new model.
pub struct Loader<S> {
    store: S,
    limits: Limits,
    reason: NotReady,
    session: Option<Session>,
    transfer: Option<Transfer>,
    reply: [u8; REPLY],
    reply_len: usize,
    reset: bool,
}

impl<S: ModelStore> Loader<S> {
    /// A loader that writes models to `store`, and answers `reason` to all requests that do not load one.
    pub fn new(store: S, limits: Limits, reason: NotReady) -> Self {
        Self {
            store,
            limits,
            reason,
            session: None,
            transfer: None,
            reply: [0; REPLY],
            reply_len: 0,
            reset: false,
        }
    }

    /// Answers the request that an application has checked and left to its loader.
    pub fn begin(&mut self, load: &Load, send: &mut dyn FnMut(&[u8])) {
        self.serve(&Request::BeginLoad(load.file), load.header, send);
    }

    /// Serves one payload; `send` gets the reply. Payloads that are late or of no known protocol get none.
    pub fn handle(&mut self, payload: &[u8], send: &mut dyn FnMut(&[u8])) {
        let Some((header, body)) = Header::decode(payload) else {
            return;
        };
        // The device is about to restart, and answers again after that.
        if self.reset {
            return;
        }
        let device = p::VERSION;
        if header.version != device {
            return send_error(header, DeviceError::Version { device }, send);
        }
        let known = self.session.filter(|s| s.number == header.session);
        if let Some(session) = known {
            match header.id.wrapping_sub(session.last) as i32 {
                0 => return send(self.reply.get(..self.reply_len).unwrap_or_default()),
                late if late < 0 => return,
                _ => (),
            }
        }
        let Some(request) = p::decode::<Request<'_>>(body) else {
            return send_error(header, DeviceError::BadRequest, send);
        };
        match (&request, known) {
            (Request::LoadChunk { .. } | Request::FinishLoad, None) => {
                send_error(header, DeviceError::NoSession, send);
            }
            // Another host connects before the old model is touched: after a restart the application serves
            // it.
            (Request::Hello { .. }, None) if self.is_untouched() => self.reset = true,
            _ => self.serve(&request, header, send),
        }
    }

    /// True once the device must restart: a model is loaded, or a host has asked for it.
    pub fn reset_requested(&self) -> bool {
        self.reset
    }

    /// True if a request belongs to this loader and not to an application beside it: if its host is sending a
    /// file, or if it repeats the last request of a transfer that failed.
    pub fn is_for(&self, header: &Header) -> bool {
        let session = self.session.filter(|s| s.number == header.session);
        session.is_some_and(|s| self.transfer.is_some() || s.last == header.id)
    }

    /// True if an application ended for a file of which nothing has arrived yet.
    fn is_untouched(&self) -> bool {
        let nothing = self.transfer.is_none_or(|t| t.received == 0);
        matches!(self.reason, NotReady::Loading { .. }) && nothing
    }

    fn serve(&mut self, request: &Request<'_>, header: Header, send: &mut dyn FnMut(&[u8])) {
        let result = self.execute(request);
        self.reset |= matches!(result, Ok(Reply::Resetting | Reply::Loaded { .. }));
        let is_ok = result.is_ok();
        let header = Header::new(header.session, header.id);
        let mut out = [0; REPLY];
        let len = p::encode(header, &Message::Reply(result), &mut out).unwrap_or(0);
        send(&out[..len]);
        // Requests that only ask need no session. A host that loads keeps its session while others are
        // refused.
        let opens = matches!(request, Request::BeginLoad(_)) && (is_ok || self.transfer.is_none());
        if opens || self.session.is_some_and(|s| s.number == header.session) {
            (self.reply, self.reply_len) = (out, len);
            self.session = Some(Session {
                number: header.session,
                last: header.id,
            });
        }
    }

    fn execute(&mut self, request: &Request<'_>) -> Result<Reply<'static>, DeviceError> {
        match *request {
            Request::LoadInfo => Ok(Reply::LoadInfo(self.limits.info(None))),
            Request::BeginLoad(ref file) => {
                let next = self.announce(file)?;
                Ok(Reply::Received { next })
            }
            Request::LoadChunk { offset, data } => {
                let next = self.chunk(offset, data)?;
                Ok(Reply::Received { next })
            }
            Request::FinishLoad => {
                let trunk = self.finish()?;
                Ok(Reply::Loaded { trunk })
            }
            Request::Reset => Ok(Reply::Resetting),
            _ => Err(DeviceError::NotReady(self.reason())),
        }
    }

    fn reason(&self) -> NotReady {
        match &self.transfer {
            Some(t) => NotReady::Loading {
                have: t.received,
                need: t.file.len,
            },
            None => self.reason,
        }
    }

    fn announce(&mut self, file: &LoadFile) -> Result<u32, DeviceError> {
        self.limits.check(file)?;
        if let Some(going) = &self.transfer
            && going.file.sha256 == file.sha256
            && going.file.len == file.len
        {
            let received = going.received;
            let file = *file;
            self.transfer = Some(Transfer { file, received });
            return Ok(received);
        }
        self.give_up();
        self.store.begin(file.len)?;
        self.transfer = Some(Transfer {
            file: *file,
            received: 0,
        });
        Ok(0)
    }

    fn chunk(&mut self, offset: u32, data: &[u8]) -> Result<u32, DeviceError> {
        let Some(transfer) = &mut self.transfer else {
            return Err(DeviceError::Incomplete { have: 0, need: 0 });
        };
        let expected = transfer.received;
        if offset != expected {
            return Err(DeviceError::ChunkOffset { expected });
        }
        if data.is_empty() {
            return Ok(expected);
        }
        let limit = transfer.file.len;
        if data.len() > (limit - expected) as usize {
            return Err(DeviceError::TooLong { limit });
        }
        if let Err(e) = self.store.append(data) {
            self.touched();
            return Err(e.into());
        }
        transfer.received += data.len() as u32;
        Ok(transfer.received)
    }

    /// Checks the whole file and makes it the model of the device. Returns the hash of its trunk.
    fn finish(&mut self) -> Result<[u8; 32], DeviceError> {
        let Some(Transfer { file, received }) = self.transfer else {
            return Err(DeviceError::Incomplete { have: 0, need: 0 });
        };
        let (have, need) = (received, file.len);
        if have < need {
            return Err(DeviceError::Incomplete { have, need });
        }
        let result = self.check(&file).and_then(|trunk| {
            self.store
                .finish(file.signature.map(join_signature).as_ref())?;
            Ok(trunk)
        });
        if result.is_err() {
            self.touched();
        }
        result
    }

    /// Reads the file back and checks it.
    fn check(&mut self, file: &LoadFile) -> Result<[u8; 32], DeviceError> {
        let arrived = self.store.arrived()?;
        let rest = arrived.bytes.get(LEN..).unwrap_or_default();
        let sha256 = Sha256::new()
            .chain_update(arrived.header)
            .chain_update(rest);
        if sha256.finalize()[..] != file.sha256 {
            return Err(DeviceError::Checksum);
        }
        let model = self.limits.check_arrived(arrived, &file.demand)?;
        Ok(*model.trunk_sha256())
    }

    /// Ends a failed transfer. The old model is gone, too, unless the store keeps it.
    fn touched(&mut self) {
        self.transfer = None;
        self.store.give_up();
        if !self.store.keeps_old() {
            self.reason = NotReady::NoModel;
        }
    }

    /// Ends the transfer because another file is announced.
    fn give_up(&mut self) {
        if self.transfer.is_some_and(|t| t.received > 0) {
            self.touched();
        }
        self.transfer = None;
    }
}

const _: () = assert!(REPLY >= HEADER_LEN + 110, "LoadInfo, the longest reply");
