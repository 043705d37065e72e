//! Heads from outside, and heads and samples of another trunk.

use super::{MODEL, add_samples, ask, assert_refused, send};
use ed25519_dalek::{Signer, SigningKey};
use edge_runtime::device::DeviceError;
use edge_runtime::device::protocol::{self as p, Header, Message, Reply, Request, RetrainOptions};
use edge_runtime::head::store::Active;
use edge_runtime::model::Model;
use edge_runtime::signature::{PublicKey, Trust, head_message, model_message};
use edge_runtime::sim::{Faults, SimFlash};
use graft_tests::device::{flash, int8_model, memory, start, with_client};

/// Imports a file and returns what the commit says.
fn import(
    flash: &mut SimFlash,
    model: &Model<'_>,
    trust: Trust,
    head: &[u8],
    signature: Option<[u8; 64]>,
) -> Option<DeviceError> {
    let mut memory = memory(model);
    let mut app = start(model, flash, &mut memory, trust);
    assert_eq!(ask(&mut app, 1, &Request::Hello { expect: None }), None);
    let begin = Request::BeginImport {
        len: head.len() as u32,
        crc: edge_runtime::crc32(&[head]),
        signature: signature.map(|s| [s[..32].try_into().unwrap(), s[32..].try_into().unwrap()]),
    };
    assert_eq!(ask(&mut app, 2, &begin), None);
    for (i, data) in head.chunks(512).enumerate() {
        let offset = 512 * i as u32;
        assert_eq!(
            ask(
                &mut app,
                3 + i as u32,
                &Request::ImportChunk { offset, data }
            ),
            None
        );
    }
    ask(&mut app, 100, &Request::Commit)
}

#[test]
fn heads_from_outside_are_judged() {
    let model = Model::parse(&MODEL).unwrap();
    let head = model.head().unwrap().bytes();
    let other = int8_model(8);
    let foreign = Model::parse(&other).unwrap().head().unwrap().bytes();
    let mut flash = flash();
    let judged = import(&mut flash, &model, Trust::Anyone, foreign, None);
    assert_eq!(judged, Some(DeviceError::ForeignHead));
    let mut damaged = head.to_vec();
    damaged[200] ^= 1;
    let judged = import(&mut flash, &model, Trust::Anyone, &damaged, None);
    assert_eq!(judged, Some(DeviceError::BadHead));

    let key = SigningKey::from_bytes(&[5; 32]);
    let signed = Trust::Signed(PublicKey::new(key.verifying_key().as_bytes()).unwrap());
    let trunk = model.trunk_sha256();
    let sign = |message: &[u8]| key.sign(message).to_bytes();
    let signature = sign(&head_message(trunk, head));
    let judged = import(&mut flash, &model, signed, head, None);
    assert_eq!(judged, Some(DeviceError::Unsigned));
    // Of another head, of a model with these bytes, of the bytes alone, and noise.
    for wrong in [
        sign(&head_message(trunk, foreign)),
        sign(&head_message(&[1; 32], head)),
        sign(&model_message(head)),
        sign(head),
        [0xff; 64],
    ] {
        let judged = import(&mut flash, &model, signed, head, Some(wrong));
        assert_eq!(judged, Some(DeviceError::Signature));
    }
    // A good signature makes no head of another trunk and no damaged one a good one.
    let theirs = sign(&head_message(foreign[32..64].try_into().unwrap(), foreign));
    let judged = import(&mut flash, &model, signed, foreign, Some(theirs));
    assert_eq!(judged, Some(DeviceError::ForeignHead));
    let broken = sign(&head_message(trunk, &damaged));
    let judged = import(&mut flash, &model, signed, &damaged, Some(broken));
    assert_eq!(judged, Some(DeviceError::BadHead));
    assert_eq!(flash.operations(), 0, "state untouched");
    assert_eq!(
        import(&mut flash, &model, signed, head, Some(signature)),
        None
    );
    // A head that was taken without a signature is not active once one is asked for.
    let mut memory = memory(&model);
    let active = |flash: &mut SimFlash, trust, memory: &mut [u8]| {
        let mut app = start(&model, flash, memory, trust);
        assert_eq!(ask(&mut app, 1, &Request::Hello { expect: None }), None);
        let mut payload = [0; 32];
        let len = p::encode(Header::new(9, 2), &Request::State, &mut payload).unwrap();
        let reply = send(&mut app, &payload[..len]);
        match p::decode(&reply[0][9..]) {
            Some(Message::Reply(Ok(Reply::State(state)))) => {
                (state.active.sequence(), state.signed)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(active(&mut flash, signed, &mut memory), (1, true));
    assert_eq!(import(&mut flash, &model, Trust::Anyone, head, None), None);
    assert_eq!(active(&mut flash, Trust::Anyone, &mut memory), (2, false));
    assert_eq!(active(&mut flash, signed, &mut memory), (1, true));
}

/// A device that gets another model and its old one back: what the old one stored waits until its place is
/// needed.
#[test]
fn samples_and_heads_of_another_trunk_wait() {
    let old = Model::parse(&MODEL).unwrap();
    let bytes = int8_model(8);
    let new = Model::parse(&bytes).unwrap();
    let mut flash = flash();
    let (samples, head) = with_client(&old, &mut flash, Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        add_samples(client, &old, 30);
        let trained = client.retrain(RetrainOptions::default(), &mut |_| ());
        assert_eq!(trained.unwrap().committed, Some(1));
        (client.samples().unwrap(), client.export_head().unwrap())
    });

    let untouched = flash.operations();
    with_client(&new, &mut flash, Faults::NONE, 2, |client| {
        client.connect(None).unwrap();
        let state = client.state().unwrap();
        assert_eq!((state.samples, state.active), (0, Active::Factory));
        assert_eq!(
            client.export_head().unwrap(),
            new.head().unwrap().bytes(),
            "not the old trunk's head"
        );
        let trained = client.retrain(RetrainOptions::default(), &mut |_| ());
        assert_refused(trained, DeviceError::TooFewClasses { have: 0 });
    });
    assert_eq!(flash.operations(), untouched, "left alone");

    // One sample of the new trunk takes a free segment.
    with_client(&new, &mut flash, Faults::NONE, 3, |client| {
        client.connect(None).unwrap();
        add_samples(client, &new, 1);
        assert_eq!(client.state().unwrap().samples, 1);
    });
    with_client(&old, &mut flash, Faults::NONE, 4, |client| {
        client.connect(None).unwrap();
        assert_eq!(client.samples().unwrap(), samples);
        assert_eq!(client.export_head().unwrap(), head);
    });

    // The store takes as many samples as an empty one, and a head: now the place is needed.
    with_client(&new, &mut flash, Faults::NONE, 5, |client| {
        client.connect(None).unwrap();
        let most = client.state().unwrap().max_samples as usize;
        add_samples(client, &new, most - 1);
        assert_eq!(client.state().unwrap().samples as usize, most);
        let trained = client.retrain(RetrainOptions::default(), &mut |_| ());
        assert_eq!(trained.unwrap().committed, Some(2), "no number twice");
    });
    with_client(&old, &mut flash, Faults::NONE, 6, |client| {
        client.connect(None).unwrap();
        let state = client.state().unwrap();
        // The one segment that is always spare may still have some.
        assert!(state.samples < 30 / 2, "{}", state.samples);
        assert_eq!(state.active, Active::Factory);
        add_samples(client, &old, 1);
        assert_eq!(client.state().unwrap().samples, state.samples + 1);
    });
}
