//! A loader behind a byte pipe: what answers where the application cannot run, or has ended for a new model.
//!
//! A device without a model is no dead device: its host gets a typed error that says what to do, and can load one.
//! Knows no stores of heads and samples.

use super::frame::{FrameReader, encode};
use super::load::{Load, Loader, ModelStore};
use super::server::{RX_LEN, TX_LEN};

/// A line without an application behind it.
pub struct Vacant<'b, S> {
    loader: Loader<S>,
    reader: FrameReader<'b>,
    tx: &'b mut [u8; TX_LEN],
}

impl<'b, S: ModelStore> Vacant<'b, S> {
    /// Ties a loader to the buffers of its line.
    pub fn new(loader: Loader<S>, rx: &'b mut [u8; RX_LEN], tx: &'b mut [u8; TX_LEN]) -> Self {
        Self {
            loader,
            reader: FrameReader::new(rx),
            tx,
        }
    }

    /// Answers what an application has left to its loader; `send` gets the frame to send.
    pub fn begin(&mut self, load: &Load, send: &mut dyn FnMut(&[u8])) {
        let tx = &mut *self.tx;
        self.loader.begin(load, &mut |message| {
            if let Some(frame) = encode(message, &mut tx[..]) {
                send(frame);
            }
        });
    }

    /// Takes what has arrived, in pieces of any size; `send` gets the frames to send.
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

    /// True once the device is to restart: a model is loaded, or a host has asked for it, and the reply is sent.
    pub fn reset_requested(&self) -> bool {
        self.loader.reset_requested()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::load::{Limits, LoadError, Region};
    use crate::device::memory::Areas;
    use crate::device::protocol::{self as p, Header, MAX_PAYLOAD, Message, Reply, Request};
    use crate::device::{DeviceError, NotReady};
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

    fn loader(reason: NotReady) -> Loader<Region<Untouched>> {
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
        Loader::new(Region::new(Untouched), limits, reason)
    }

    fn ask<S: ModelStore>(
        vacant: &mut Vacant<'_, S>,
        header: Header,
        request: &Request<'_>,
    ) -> Vec<u8> {
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
        let mut vacant = Vacant::new(loader(NotReady::NoModel), &mut rx, &mut tx);
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
        let body = ask(&mut vacant, header, &Request::FinishLoad);
        let expected = DeviceError::NoSession;
        assert_eq!(p::decode(&body), Some(Message::Reply(Err(expected))));
        let file = p::LoadFile {
            len: 10,
            sha256: [0; 32],
            signature: None,
            demand: crate::device::load::Demand {
                dtype: crate::model::DType::I8,
                family: None,
                arena: 16,
                features: 4,
                classes: 2,
            },
        };
        let body = ask(&mut vacant, header, &Request::BeginLoad(file));
        let expected = DeviceError::Load(LoadError::NotAModel);
        assert_eq!(p::decode(&body), Some(Message::Reply(Err(expected))));
        let header = Header::new(10, 2);
        // Noise is no request.
        vacant.receive(&[0, 1, 2, 3, 0, 5, 0], &mut |_| panic!("answered noise"));
        assert!(!vacant.reset_requested());
        let body = ask(&mut vacant, header, &Request::Reset);
        assert_eq!(p::decode(&body), Some(Message::Reply(Ok(Reply::Resetting))));
        assert!(vacant.reset_requested());
    }
}
