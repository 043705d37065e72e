//! What answers where no application runs: the reason, to every request but those that bring a model.

use super::store::ModelStore;
use super::{Limits, Load, LoadError, signature};
use crate::device::app::refuse;
use crate::device::protocol::{self as p, HEADER_LEN, Header, LoadFile, Message, Reply, Request};
use crate::device::{DeviceError, NotReady};
use crate::model::header::LEN;
use sha2::{Digest, Sha256};

/// Longest reply of a loader.
const REPLY: usize = 160;

/// A host that loads.
#[derive(Clone, Copy, Debug)]
struct Session {
    number: u32,
    last: u32,
}

/// A file that is on its way.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    file: LoadFile,
    received: u32,
}

/// Takes a model where no application runs.
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
    /// Will answer `reason` to whatever does not bring a model.
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

    /// Answers what an application has checked and left to its loader.
    pub fn begin(&mut self, load: &Load, send: &mut dyn FnMut(&[u8])) {
        self.serve(&Request::BeginLoad(load.file), load.header, send);
    }

    /// Serves one payload; `send` gets the reply, or nothing if the payload is none of this protocol or comes late.
    pub fn handle(&mut self, payload: &[u8], send: &mut dyn FnMut(&[u8])) {
        let Some((header, body)) = Header::decode(payload) else {
            return;
        };
        // What comes now is for the device after its restart.
        if self.reset {
            return;
        }
        let device = p::VERSION;
        if header.version != device {
            return refuse(header, DeviceError::Version { device }, send);
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
            return refuse(header, DeviceError::BadRequest, send);
        };
        match (&request, known) {
            (Request::LoadChunk { .. } | Request::FinishLoad, None) => {
                refuse(header, DeviceError::NoSession, send);
            }
            // Another host comes before the old model is touched: the application can go on with it.
            (Request::Hello { .. }, None) if self.is_untouched() => self.reset = true,
            _ => self.serve(&request, header, send),
        }
    }

    /// True once the device is to restart: a model is loaded, or a host has asked for it.
    pub fn reset_requested(&self) -> bool {
        self.reset
    }

    /// True of what belongs to this loader and not to an application that still runs: all of a host that sends a
    /// file, and the last request of one that came to nothing, should it come again.
    pub fn is_for(&self, header: &Header) -> bool {
        let session = self.session.filter(|s| s.number == header.session);
        session.is_some_and(|s| self.transfer.is_some() || s.last == header.id)
    }

    /// True if an application ended for a file of which nothing has come.
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
        // What only asks needs no session; a host that loads keeps its own, whoever else is refused meanwhile.
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

    /// The hash of the trunk, once all is checked and the model is the device's.
    fn finish(&mut self) -> Result<[u8; 32], DeviceError> {
        let Some(Transfer { file, received }) = self.transfer else {
            return Err(DeviceError::Incomplete { have: 0, need: 0 });
        };
        let (have, need) = (received, file.len);
        if have < need {
            return Err(DeviceError::Incomplete { have, need });
        }
        let result = self.check(&file).and_then(|trunk| {
            self.store.finish(signature(&file).as_ref())?;
            Ok(trunk)
        });
        if result.is_err() {
            self.touched();
        }
        result
    }

    /// Reads the file back and judges it.
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

    /// The transfer came to nothing, and what was there before is gone with it, unless the store keeps that.
    fn touched(&mut self) {
        self.transfer = None;
        self.store.give_up();
        if !self.store.keeps_old() {
            self.reason = NotReady::NoModel;
        }
    }

    /// Another file is announced.
    fn give_up(&mut self) {
        if self.transfer.is_some_and(|t| t.received > 0) {
            self.touched();
        }
        self.transfer = None;
    }
}

impl From<LoadError> for DeviceError {
    fn from(e: LoadError) -> Self {
        match e {
            LoadError::Flash { at } => Self::Flash { at },
            e => Self::Load(e),
        }
    }
}

const _: () = assert!(REPLY >= HEADER_LEN + 110, "LoadInfo, the longest reply");
