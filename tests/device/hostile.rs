//! Peers that repeat, guess, cheat or send noise.

use super::{MODEL, ask, send};
use edge_runtime::device::DeviceError;
use edge_runtime::device::protocol::{
    self as p, ClassMode, Demand, Header, Message, Request, RetrainOptions,
};
use edge_runtime::model::{DType, Model};
use edge_runtime::signature::Trust;
use graft_tests::device::{TestApp, flash, memory, start};
use proptest::prelude::*;

#[test]
fn a_repeated_request_is_answered_and_not_executed() {
    let model = Model::parse(&MODEL).unwrap();
    let (mut flash, mut memory) = (flash(), memory(&model));
    let mut app = start(&model, &mut flash, &mut memory, Trust::Anyone);
    assert_eq!(
        ask(&mut app, 1, &Request::State),
        Some(DeviceError::NoSession)
    );
    assert_eq!(ask(&mut app, 5, &Request::Hello { expect: None }), None);
    let begin = Request::BeginImport {
        len: 10,
        crc: 0,
        signature: None,
    };
    assert_eq!(ask(&mut app, 6, &begin), None);
    let chunk = Request::ImportChunk {
        offset: 0,
        data: &[1; 4],
    };
    let mut payload = [0; 64];
    let len = p::encode(Header::new(9, 7), &chunk, &mut payload).unwrap();
    let first = send(&mut app, &payload[..len]);
    assert_eq!(
        send(&mut app, &payload[..len]),
        first,
        "executed again, it would be out of order"
    );
    // Late ones are ignored.
    let len = p::encode(Header::new(9, 6), &begin, &mut payload).unwrap();
    assert!(send(&mut app, &payload[..len]).is_empty());
    let next = Request::ImportChunk {
        offset: 4,
        data: &[1; 4],
    };
    assert_eq!(ask(&mut app, 8, &next), None);
    // Numbers wrap around.
    assert_eq!(ask(&mut app, 8 + (1 << 31) - 1, &Request::State), None);
    assert_eq!(ask(&mut app, 3, &Request::State), None);
}

#[test]
fn hostile_peers() {
    let model = Model::parse(&MODEL).unwrap();
    let (mut flash, mut memory) = (flash(), memory(&model));
    let untouched = flash.operations();
    let mut app = start(&model, &mut flash, &mut memory, Trust::Anyone);
    // Another version, whatever follows.
    let mut payload = [0xee; 40];
    payload[..9].copy_from_slice(&[9, 1, 0, 0, 0, 2, 0, 0, 0]);
    let reply = send(&mut app, &payload);
    assert_eq!(reply, [[4, 1, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 4]]);
    // Another model.
    let other = Request::Hello {
        expect: Some([1; 32]),
    };
    assert_eq!(ask(&mut app, 1, &other), Some(DeviceError::WrongModel));
    assert_eq!(
        ask(&mut app, 2, &Request::State),
        Some(DeviceError::NoSession)
    );
    assert_eq!(ask(&mut app, 1, &Request::Hello { expect: None }), None);
    // Too short to have a header, and not decodable.
    assert!(send(&mut app, &[1, 2, 3]).is_empty());
    let mut garbage = Header::new(9, 2).encode().to_vec();
    garbage.extend([200, 200]);
    let reply = send(&mut app, &garbage);
    assert_eq!(reply[0][9..], [0, 1, 3], "bad request");

    let mut id = 10;
    let mut refused = |app: &mut TestApp<'_>, request: Request<'_>| {
        id += 1;
        ask(app, id, &request)
    };
    let data = &[0; 100][..];
    let chunk = Request::InputChunk { offset: 0, data };
    let nothing = DeviceError::Incomplete { have: 0, need: 0 };
    assert_eq!(refused(&mut app, chunk), Some(nothing));
    assert_eq!(
        refused(&mut app, Request::Infer { top: 255 }),
        Some(nothing)
    );
    let (len, crc) = (u32::MAX, 0);
    let need = 3072;
    let long = Request::BeginInput { len, crc };
    assert_eq!(
        refused(&mut app, long),
        Some(DeviceError::InputLength { need })
    );
    assert_eq!(
        refused(&mut app, Request::BeginInput { len: need, crc }),
        None
    );
    for offset in [1, 3072, u32::MAX] {
        let far = Request::InputChunk { offset, data };
        let expected = DeviceError::ChunkOffset { expected: 0 };
        assert_eq!(refused(&mut app, far), Some(expected));
    }
    for i in 0..30 {
        let offset = i * 100;
        assert_eq!(
            refused(&mut app, Request::InputChunk { offset, data }),
            None
        );
    }
    let beyond = Request::InputChunk { offset: 3000, data };
    assert_eq!(
        refused(&mut app, beyond),
        Some(DeviceError::TooLong { limit: need })
    );
    let part = DeviceError::Incomplete { have: 3000, need };
    assert_eq!(refused(&mut app, Request::Infer { top: 1 }), Some(part));
    let rest = Request::InputChunk {
        offset: 3000,
        data: &[0; 72],
    };
    assert_eq!(refused(&mut app, rest), None);
    assert_eq!(
        refused(&mut app, Request::Infer { top: 1 }),
        Some(DeviceError::Checksum)
    );
    let signature = None;
    let huge = Request::BeginImport {
        len,
        crc,
        signature,
    };
    assert!(matches!(
        refused(&mut app, huge),
        Some(DeviceError::TooLong { .. })
    ));
    let outside = Request::ExportHead {
        offset: u32::MAX,
        max: u16::MAX,
    };
    assert!(matches!(
        refused(&mut app, outside),
        Some(DeviceError::TooLong { .. })
    ));
    for (class, offset) in [(0, u32::MAX), (u32::MAX, 1)] {
        let label = Request::Label { class, offset };
        let beyond = refused(&mut app, label);
        assert!(matches!(beyond, Some(DeviceError::TooLong { .. })));
    }
    for f in [f32::NAN, f32::INFINITY, -1.0] {
        let options = RetrainOptions {
            learning_rate: f,
            ..Default::default()
        };
        assert!(refused(&mut app, Request::RetrainHead(options)).is_some());
    }
    drop(app);
    assert_eq!(flash.operations(), untouched, "state untouched");
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![0u32..4000, any::<u32>()];
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    (0u8..29, number.clone(), number, bytes, any::<bool>()).prop_map(|(kind, a, b, bytes, flag)| {
        let data = &bytes[..];
        let text = String::from_utf8_lossy(data);
        let names = ["a", "b", "c"].map(String::from);
        let noise = || text.chars().take(12).collect();
        let class = names.get(b as usize % 4).cloned().unwrap_or_else(noise);
        let options = RetrainOptions {
            epochs: a % 3,
            batch: b,
            learning_rate: if flag { 0.5 } else { f32::from_bits(a) },
            hidden: (b % 5 == 4) as u16,
            force: flag,
            classes: [ClassMode::Replace, ClassMode::Add, ClassMode::Keep][b as usize % 3],
            seed: b as u64,
            ..RetrainOptions::default()
        };
        let request = match kind {
            0 => Request::Hello { expect: None },
            1 => Request::Model,
            2 => Request::State,
            3 => Request::BeginInput { len: 3072, crc: b },
            4 | 5 => Request::InputChunk { offset: a, data },
            6 => Request::Infer { top: b as u8 },
            7 => Request::Logits { first: a },
            8 | 20..24 => Request::AddSample {
                class: &class,
                pool: None,
                token: b as u64,
            },
            9 => Request::Samples { first: a },
            10 => Request::ClearSamples {
                class: flag.then_some(&class),
            },
            11 => Request::RetrainHead(options),
            12 => Request::Commit,
            13 => Request::Rollback,
            14 => Request::ExportHead {
                offset: a,
                max: b as u16,
            },
            15 => Request::BeginImport {
                len: a,
                crc: b,
                signature: None,
            },
            16 | 17 => Request::ImportChunk { offset: a, data },
            18 => Request::Power,
            24 => Request::LoadInfo,
            25 => Request::BeginLoad(p::LoadFile {
                len: a,
                sha256: [b as u8; 32],
                signature: flag.then_some([[1; 32]; 2]),
                demand: Demand {
                    dtype: DType::I8,
                    family: None,
                    arena: b,
                    features: a,
                    classes: b,
                },
            }),
            26 => Request::LoadChunk { offset: a, data },
            27 => Request::FinishLoad,
            28 => Request::Label {
                class: b % 5,
                offset: a % 50,
            },
            _ => Request::Log,
        };
        let mut out = vec![0; p::MAX_PAYLOAD];
        let len = p::encode(Header::new(9, 0), &request, &mut out).unwrap();
        out.truncate(len);
        out
    })
}

proptest! {
    /// Requests of all kinds in any order, some damaged, and plain noise: one reply each, and no panic.
    #[test]
    fn whatever_comes_is_answered(
        requests in proptest::collection::vec((any_request(), proptest::option::of((any::<usize>(), any::<u8>()))), 1..60),
        noise in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..10),
    ) {
        let model = Model::parse(&MODEL).unwrap();
        let (mut flash, mut memory) = (flash(), memory(&model));
        let mut app = start(&model, &mut flash, &mut memory, Trust::Anyone);
        prop_assert_eq!(ask(&mut app, 1, &Request::Hello { expect: None }), None);
        let mut id = 1;
        for (i, (mut payload, damage)) in requests.into_iter().enumerate() {
            // Now and then there is an input to run on.
            if i % 4 == 0 {
                let data = &[i as u8; 1024][..];
                let crc = edge_runtime::crc32(&[data, data, data]);
                let parts = [0, 1024, 2048].map(|offset| Request::InputChunk { offset, data });
                for request in [Request::BeginInput { len: 3072, crc }].into_iter().chain(parts) {
                    id += 1;
                    prop_assert_eq!(ask(&mut app, id, &request), None);
                }
            }
            id += 1;
            payload[5..9].copy_from_slice(&u32::to_le_bytes(id));
            if let Some((at, value)) = damage {
                let at = 9 + at % (payload.len() - 8);
                if let Some(byte) = payload.get_mut(at) {
                    *byte = value;
                }
            }
            let replies = send(&mut app, &payload);
            let (_, body) = Header::decode(replies.last().expect("a reply")).unwrap();
            prop_assert!(matches!(p::decode(body), Some(Message::Reply(_))));
        }
        for payload in noise {
            send(&mut app, &payload);
        }
    }
}
