//! What answers where the application cannot run: the reason, to every request.
//!
//! A device without a model is no dead device: its host gets a typed error that says what to do. Only
//! `Reset` is done. Knows no stores and keeps no sessions.

use super::app::refuse;
use super::frame::{FrameReader, encode};
use super::protocol::{self as p, Header, Message, Reply, Request};
use super::server::{RX_LEN, TX_LEN};
use super::{DeviceError, NotReady};

/// A line without an application behind it.
pub struct Vacant<'b> {
    reason: NotReady,
    reader: FrameReader<'b>,
    tx: &'b mut [u8; TX_LEN],
    reset: bool,
}

impl<'b> Vacant<'b> {
    /// Will answer `reason`.
    pub fn new(reason: NotReady, rx: &'b mut [u8; RX_LEN], tx: &'b mut [u8; TX_LEN]) -> Self {
        Self {
            reason,
            reader: FrameReader::new(rx),
            tx,
            reset: false,
        }
    }

    /// Takes what has arrived, in pieces of any size; `send` gets the frames to send.
    pub fn receive(&mut self, mut bytes: &[u8], send: &mut dyn FnMut(&[u8])) {
        while let Some(payload) = self.reader.read(&mut bytes) {
            let tx = &mut *self.tx;
            let mut reply = |message: &[u8]| {
                if let Some(frame) = encode(message, &mut tx[..]) {
                    send(frame);
                }
            };
            let Some((header, body)) = Header::decode(payload) else {
                continue;
            };
            let device = p::VERSION;
            let error = if header.version != device {
                DeviceError::Version { device }
            } else if let Some(Request::Reset) = p::decode(body) {
                self.reset = true;
                let header = Header::new(header.session, header.id);
                let mut out = [0; 32];
                if let Some(len) =
                    p::encode(header, &Message::Reply(Ok(Reply::Resetting)), &mut out)
                {
                    reply(&out[..len]);
                }
                continue;
            } else {
                DeviceError::NotReady(self.reason)
            };
            refuse(header, error, &mut reply);
        }
    }

    /// True once a host has asked for a restart, and the reply is sent.
    pub fn reset_requested(&self) -> bool {
        self.reset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::protocol::MAX_PAYLOAD;

    fn ask(vacant: &mut Vacant<'_>, header: Header, request: &Request<'_>) -> Vec<u8> {
        let (mut payload, mut frame) = ([0; MAX_PAYLOAD], [0; TX_LEN]);
        let len = p::encode(header, request, &mut payload).unwrap();
        let frame = encode(&payload[..len], &mut frame).unwrap();
        let mut answer = vec![];
        vacant.receive(frame, &mut |bytes| answer.extend_from_slice(bytes));
        let mut rx = [0; RX_LEN];
        let payload = FrameReader::new(&mut rx)
            .read(&mut &answer[..])
            .expect("an answer")
            .to_vec();
        let (answered, body) = Header::decode(&payload).unwrap();
        assert_eq!((answered.session, answered.id), (header.session, header.id));
        body.to_vec()
    }

    #[test]
    fn every_request_gets_the_reason_and_reset_is_done() {
        let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
        let mut vacant = Vacant::new(NotReady::NoModel, &mut rx, &mut tx);
        let header = Header::new(9, 1);
        for request in [Request::Hello { expect: None }, Request::State] {
            let body = ask(&mut vacant, header, &request);
            let expected = DeviceError::NotReady(NotReady::NoModel);
            assert_eq!(p::decode(&body), Some(Message::Reply(Err(expected))));
        }
        let old = Header {
            version: 1,
            ..header
        };
        let device = p::VERSION;
        let body = ask(&mut vacant, old, &Request::State);
        let expected = DeviceError::Version { device };
        assert_eq!(p::decode(&body), Some(Message::Reply(Err(expected))));
        // Noise is no request.
        vacant.receive(&[0, 1, 2, 3, 0, 5, 0], &mut |_| panic!("answered noise"));
        assert!(!vacant.reset_requested());
        let body = ask(&mut vacant, header, &Request::Reset);
        assert_eq!(p::decode(&body), Some(Message::Reply(Ok(Reply::Resetting))));
        assert!(vacant.reset_requested());
    }
}
