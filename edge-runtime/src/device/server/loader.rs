//! A loader behind a byte pipe: what answers while no application runs.
//!
//! So a device without a model still answers: its host gets an error that says what is missing, and can load
//! a model. Knows no stores of heads and samples.

use super::{RX_LEN, TX_LEN};
use crate::device::frame::{FrameReader, encode};
use crate::device::load::{Load, Loader, ModelStore};

/// A loader with the buffers of its pipe.
pub struct LoadServer<'b, S> {
    loader: Loader<S>,
    reader: FrameReader<'b>,
    tx: &'b mut [u8; TX_LEN],
}

impl<'b, S: ModelStore> LoadServer<'b, S> {
    /// Serves `loader`, with `rx` for incoming frames and `tx` for outgoing ones.
    pub fn new(loader: Loader<S>, rx: &'b mut [u8; RX_LEN], tx: &'b mut [u8; TX_LEN]) -> Self {
        Self {
            loader,
            reader: FrameReader::new(rx),
            tx,
        }
    }

    /// Answers the request that an application has left to its loader; `send` gets the frame to send.
    pub fn begin(&mut self, load: &Load, send: &mut dyn FnMut(&[u8])) {
        let tx = &mut *self.tx;
        self.loader.begin(load, &mut |message| {
            if let Some(frame) = encode(message, &mut tx[..]) {
                send(frame);
            }
        });
    }

    /// Takes bytes that have arrived, in pieces of any size; `send` gets the frames to send, one a call.
    pub fn receive(&mut self, mut bytes: &[u8], send: &mut dyn FnMut(&[u8])) {
        while let Some(payload) = self.reader.read(&mut bytes) {
            let tx = &mut *self.tx;
            self.loader.handle(payload, &mut |message| {
                if let Some(frame) = encode(message, &mut tx[..]) {
                    send(frame);
                }
            });
        }
    }

    /// True once the device is to restart: a model is loaded, or a host has asked for it, and the reply is
    /// sent.
    pub fn reset_requested(&self) -> bool {
        self.loader.reset_requested()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::load::{Limits, ModelRegion};
    use crate::device::memory::Areas;
    use crate::device::protocol::{self as p, Header, MAX_PAYLOAD, Message, Reply, Request};
    use crate::device::{DeviceError, LoadError, NotReady};
    use crate::flash::{Area, Flash, FlashError, Geometry};
    use crate::signature::Trust;

    const GEOMETRY: Geometry = Geometry {
        len: 4096,
        write_size: 8,
        erase_size: 1024,
    };

    /// A flash that nothing may touch.
    struct Untouched;

    impl Flash for Untouched {
        fn geometry(&self) -> Geometry {
            GEOMETRY
        }
        fn bytes(&self) -> &[u8] {
            &[]
        }
        fn program(&mut self, at: u32, _: &[u8]) -> Result<(), FlashError> {
            panic!("programs {at}")
        }
        fn erase(&mut self, at: u32) -> Result<(), FlashError> {
            panic!("erases {at}")
        }
    }

    fn loader(reason: NotReady) -> Loader<ModelRegion<Untouched>> {
        let area = Area {
            start: 0,
            len: 2048,
        };
        let limits = Limits {
            capacity: 4032,
            keeps_old: false,
            geometry: GEOMETRY,
            areas: Areas {
                heads: area,
                samples: area,
            },
            ram: 1000,
            classes: 2,
            trust: Trust::Anyone,
        };
        Loader::new(ModelRegion::new(Untouched), limits, reason)
    }

    fn ask<S: ModelStore>(
        server: &mut LoadServer<'_, S>,
        header: Header,
        request: &Request<'_>,
    ) -> Vec<u8> {
        let (mut payload, mut frame) = ([0; MAX_PAYLOAD], [0; TX_LEN]);
        let len = p::encode(header, request, &mut payload).unwrap();
        let frame = encode(&payload[..len], &mut frame).unwrap();
        let mut answer = vec![];
        server.receive(frame, &mut |bytes| answer.extend_from_slice(bytes));
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
        let mut server = LoadServer::new(loader(NotReady::NoModel), &mut rx, &mut tx);
        let header = Header::new(9, 1);
        for request in [Request::Hello { expect: None }, Request::State] {
            let body = ask(&mut server, header, &request);
            let expected = DeviceError::NotReady(NotReady::NoModel);
            assert_eq!(p::decode(&body), Some(Message::Reply(Err(expected))));
        }
        let old = Header {
            version: 1,
            ..header
        };
        let device = p::VERSION;
        let body = ask(&mut server, old, &Request::State);
        let expected = DeviceError::Version { device };
        assert_eq!(p::decode(&body), Some(Message::Reply(Err(expected))));
        let body = ask(&mut server, header, &Request::FinishLoad);
        let expected = DeviceError::NoSession;
        assert_eq!(p::decode(&body), Some(Message::Reply(Err(expected))));
        let file = p::LoadFile {
            len: 10,
            sha256: [0; 32],
            signature: None,
            demand: p::Demand {
                dtype: crate::model::DType::I8,
                family: None,
                arena: 16,
                features: 4,
                classes: 2,
            },
        };
        let body = ask(&mut server, header, &Request::BeginLoad(file));
        let expected = DeviceError::Load(LoadError::NotAModel);
        assert_eq!(p::decode(&body), Some(Message::Reply(Err(expected))));
        let header = Header::new(10, 2);
        // Noise is no request.
        server.receive(&[0, 1, 2, 3, 0, 5, 0], &mut |_| panic!("answered noise"));
        assert!(!server.reset_requested());
        let body = ask(&mut server, header, &Request::Reset);
        assert_eq!(p::decode(&body), Some(Message::Reply(Ok(Reply::Resetting))));
        assert!(server.reset_requested());
    }
}
