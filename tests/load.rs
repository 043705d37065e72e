//! A model sent over the line: it takes the old one's place whole or not at all, whatever line, host and power do.

use converter::jobs::convert::convert;
use converter::pack;
use converter::util::progress::Silent;
use ed25519_dalek::{Signer, SigningKey};
use edge_runtime::client::{Client, ClientError, Patience};
use edge_runtime::device::load::{Loader, ModelRegion, ModelStore};
use edge_runtime::device::protocol::{
    self as p, Demand, Header, LoadFile, MAX_CHUNK, MAX_PAYLOAD, Message, ModelId, Reply, Request,
    RetrainOptions,
};
use edge_runtime::device::{DeviceError, LoadError, NotReady};
use edge_runtime::flash::Flash;
use edge_runtime::head::store::Active;
use edge_runtime::model::write::with_head;
use edge_runtime::model::{AlignedBytes, DType, Family, Model};
use edge_runtime::signature::{PublicKey, SIGNATURE_LEN, Trust, model_message, signature_in};
use edge_runtime::sim::{Faults, PowerCut, SimFlash, Torn};
use graft_tests::device::{input, int8_model};
use graft_tests::machine::{Machine, REGION, ThreadPipe};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

static OLD: LazyLock<AlignedBytes> = LazyLock::new(|| int8_model(7));
static NEW: LazyLock<AlignedBytes> = LazyLock::new(|| int8_model(8));

type Host = Client<ThreadPipe>;

fn load(host: &mut Host, file: &[u8]) -> Result<Option<[u8; 32]>, ClientError> {
    load_signed(host, file, None)
}

fn load_signed(
    host: &mut Host,
    file: &[u8],
    signature: Option<&[u8; SIGNATURE_LEN]>,
) -> Result<Option<[u8; 32]>, ClientError> {
    let bytes = AlignedBytes::copy_of(file);
    host.load(
        &bytes,
        &Model::parse(&bytes).unwrap(),
        signature,
        &mut |_| (),
    )
}

fn id(file: &[u8]) -> ModelId {
    ModelId::of(&Model::parse(file).unwrap())
}

/// A client with a session of its own on the same line.
fn next_host(pipe: ThreadPipe, session: u32) -> Host {
    let patience = Patience {
        timeout: std::time::Duration::from_millis(200),
        attempts: 10,
    };
    Client::new(pipe, session, patience)
}

/// The model that runs, asked by a new host.
fn running(machine: &mut Machine, session: u32) -> ModelId {
    machine.run(Faults::NONE, session, |host| {
        host.connect(None).unwrap();
        host.load_info().unwrap().model.unwrap()
    })
}

/// What a host states of a file, truly.
fn stated(file: &[u8], model: &[u8]) -> LoadFile {
    let model = AlignedBytes::copy_of(model);
    LoadFile {
        len: file.len() as u32,
        sha256: Sha256::digest(file).into(),
        signature: None,
        demand: Demand::of(&Model::parse(&model).unwrap()),
    }
}

fn begin(host: &mut Host, file: LoadFile) -> Result<u32, ClientError> {
    host.call(&Request::BeginLoad(file), received)
}

fn received(reply: Reply<'_>) -> Option<u32> {
    match reply {
        Reply::Received { next } => Some(next),
        _ => None,
    }
}

fn chunks(host: &mut Host, file: &[u8], from: usize) -> Result<(), ClientError> {
    for (i, data) in file[from..].chunks(MAX_CHUNK).enumerate() {
        let offset = (from + i * MAX_CHUNK) as u32;
        host.call(&Request::LoadChunk { offset, data }, received)?;
    }
    Ok(())
}

fn finish(host: &mut Host) -> Result<[u8; 32], ClientError> {
    host.call(&Request::FinishLoad, |reply| match reply {
        Reply::Loaded { trunk } => Some(trunk),
        _ => None,
    })
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, ClientError>, expected: DeviceError) {
    match result {
        Err(ClientError::Device(error)) => assert_eq!(error, expected),
        other => panic!("expected {expected:?}, got {other:?}"),
    }
}

#[test]
fn another_model_runs_and_what_belongs_to_the_old_one_waits() {
    let (old, new) = (Model::parse(&OLD).unwrap(), Model::parse(&NEW).unwrap());
    let mut machine = Machine::with_model(&OLD);
    let (samples, head) = machine.run(Faults::NONE, 1, |host| {
        host.connect(Some(*old.trunk_sha256())).unwrap();
        for i in 0..24 {
            host.send_input(&input(&old, i % 2, i as u64)).unwrap();
            host.add_sample(["a", "b"][i % 2], None).unwrap();
        }
        let trained = host.retrain(RetrainOptions::default(), &mut |_| ());
        assert_eq!(trained.unwrap().committed, Some(1));
        let kept = (host.samples().unwrap(), host.export_head().unwrap());
        let mut seen = vec![];
        let trunk = host.load(&NEW, &new, None, &mut |done| seen.push(done));
        assert_eq!(trunk.unwrap(), Some(*new.trunk_sha256()));
        assert!(
            seen.is_sorted() && seen[0] == 0 && seen.last() == Some(&NEW.len()),
            "{seen:?}"
        );
        // The device restarted, so it does not know the session any more.
        assert_refused(host.state(), DeviceError::NoSession);
        kept
    });
    assert_eq!(running(&mut machine, 2), id(&NEW));
    machine.run(Faults::NONE, 3, |host| {
        host.connect(Some(*new.trunk_sha256())).unwrap();
        let state = host.state().unwrap();
        assert_eq!((state.samples, state.active), (0, Active::Factory));
        assert_eq!(host.export_head().unwrap(), new.head().unwrap().bytes());
        load(host, &OLD).unwrap();
    });
    // The old trunk again: its samples and its head. The same with another factory head keeps them, too.
    let other_head = with_head(&OLD, &head).unwrap();
    for (session, file) in [(4, &OLD[..]), (5, &other_head[..])] {
        machine.run(Faults::NONE, session, |host| {
            host.connect(Some(*old.trunk_sha256())).unwrap();
            assert_eq!(host.load_info().unwrap().model, Some(id(file)));
            assert_eq!(host.samples().unwrap(), samples);
            assert_eq!(host.export_head().unwrap(), head);
            load(host, &other_head).unwrap();
        });
    }
}

#[test]
fn a_bad_line_brings_the_same_bytes() {
    let faults = Faults {
        dropped: 5_000,
        damaged: 5_000,
        doubled: 500,
    };
    let mut machine = Machine::with_model(&OLD);
    let repetitions = machine.run(faults, 11, |host| {
        host.connect(None).unwrap();
        load(host, &NEW).unwrap();
        host.repetitions()
    });
    assert!(repetitions > 50, "{repetitions}");
    assert!(machine.model.bytes().starts_with(&NEW));
    assert_eq!(running(&mut machine, 12), id(&NEW));
}

#[test]
fn a_device_without_a_model_takes_one() {
    let mut machine = Machine::new(Trust::Anyone);
    // Nothing there, or something damaged.
    for (session, damaged) in [(1, false), (2, true)] {
        if damaged {
            machine.model.bytes_mut()[5000] ^= 1;
        }
        let reason = if damaged {
            NotReady::DamagedModel
        } else {
            NotReady::NoModel
        };
        machine.run(Faults::NONE, session, |host| {
            assert_refused(host.connect(None), DeviceError::NotReady(reason));
            let info = host.load_info().unwrap();
            assert_eq!(info.capacity as usize, REGION.len as usize - SIGNATURE_LEN);
            assert_eq!(
                (info.model, info.family, info.keeps_old),
                (None, None, false)
            );
            load(host, &NEW).unwrap();
        });
        assert_eq!(running(&mut machine, 10 + session), id(&NEW));
    }
}

#[test]
fn what_is_refused_before_anything_is_erased() {
    let mut machine = Machine::with_model(&OLD);
    let good = stated(&NEW, &NEW);
    let float = convert(graft_tests::source(1), None, &Silent)
        .unwrap()
        .bytes;
    let packed = pack::pack(&Model::parse(&NEW).unwrap(), Family::Mve).unwrap();
    let demand = |change: &dyn Fn(&mut Demand)| {
        let mut file = good;
        change(&mut file.demand);
        file
    };
    let have = REGION.len - SIGNATURE_LEN as u32;
    let untouched = machine.model.operations();
    machine.run(Faults::NONE, 1, |host| {
        host.connect(None).unwrap();
        let long = |len| {
            (
                LoadFile { len, ..good },
                LoadError::TooLong { have, need: len },
            )
        };
        let packing = LoadError::Packing {
            have: Some(Family::Mve),
            need: None,
        };
        for (file, error) in [
            (LoadFile { len: 63, ..good }, LoadError::NotAModel),
            long(have + 1),
            long(u32::MAX),
            (stated(&float, &float), LoadError::Float),
            (demand(&|d| d.dtype = DType::F32), LoadError::Float),
            (stated(&packed, &packed), packing),
            (demand(&|d| d.features = 0), LoadError::Areas),
            (demand(&|d| d.features = 20_000), LoadError::Areas),
            (demand(&|d| d.features = u32::MAX), LoadError::Areas),
            (demand(&|d| d.classes = u32::MAX), LoadError::Areas),
            (demand(&|d| d.arena = u32::MAX), LoadError::Areas),
        ] {
            assert_refused(begin(host, file), DeviceError::Load(error));
        }
        match begin(host, demand(&|d| d.arena = 1 << 17)) {
            Err(ClientError::Device(DeviceError::Load(LoadError::Ram { have, need }))) => {
                assert!(have < need && need > 1 << 17, "{have} {need}");
            }
            other => panic!("{other:?}"),
        }
        let chunk = Request::LoadChunk {
            offset: 0,
            data: &[1],
        };
        let nothing = DeviceError::Incomplete { have: 0, need: 0 };
        assert_refused(host.call(&chunk, received), nothing);
        assert_refused(finish(host), nothing);
        // The application goes on in the same session.
        assert_eq!(host.load_info().unwrap().model, Some(id(&OLD)));
    });
    assert_eq!(machine.model.operations(), untouched);
}

#[test]
fn what_only_the_whole_file_shows() {
    let mut machine = Machine::with_model(&OLD);
    let changed = |at: usize| {
        let mut file = NEW.to_vec();
        file[at] ^= 1;
        file
    };
    let head_at = Model::parse(&NEW).unwrap().header().head_offset() as usize;
    let good = stated(&NEW, &NEW);
    let other = LoadFile {
        demand: Demand {
            arena: good.demand.arena + 16,
            ..good.demand
        },
        ..good
    };
    let damaged = |file: &[u8]| {
        (
            file.to_vec(),
            stated(file, &NEW),
            DeviceError::Load(LoadError::Damaged),
        )
    };
    let version = {
        let mut file = NEW.to_vec();
        file[8] = 77;
        let stated = stated(&file, &NEW);
        (
            file,
            stated,
            DeviceError::Load(LoadError::Version { found: 77 }),
        )
    };
    let noise = vec![5; 3000];
    let no_model = (
        noise.clone(),
        stated(&noise, &NEW),
        DeviceError::Load(LoadError::NotAModel),
    );
    let cases = [
        // Other bytes than were announced.
        (changed(300), good, DeviceError::Checksum),
        (changed(0), good, DeviceError::Checksum),
        (NEW.to_vec(), other, DeviceError::Load(LoadError::Misstated)),
        // Announced as they are, and no good model.
        damaged(&changed(5000)),
        damaged(&changed(head_at + 200)),
        damaged(&NEW[..NEW.len() - 1]),
        version,
        no_model,
    ];
    for (i, (file, stated, error)) in cases.into_iter().enumerate() {
        let session = 10 * (i as u32 + 1);
        machine.run(Faults::NONE, session, |host| {
            // The device has the model of the case before, or none: it says so, and takes the next.
            let _ = host.connect(None);
            assert_eq!(begin(host, stated).unwrap(), 0);
            let part = Request::LoadChunk {
                offset: 5,
                data: &[1],
            };
            assert_refused(
                host.call(&part, received),
                DeviceError::ChunkOffset { expected: 0 },
            );
            chunks(host, &file, 0).unwrap();
            let limit = stated.len;
            let more = Request::LoadChunk {
                offset: limit,
                data: &[1],
            };
            assert_refused(host.call(&more, received), DeviceError::TooLong { limit });
            assert_refused(finish(host), error);
            let nothing = DeviceError::Incomplete { have: 0, need: 0 };
            assert_refused(finish(host), nothing);
            assert_refused(host.state(), DeviceError::NotReady(NotReady::NoModel));
        });
        machine.run(Faults::NONE, session + 1, |host| {
            assert!(
                host.connect(None).is_err(),
                "no model runs that was refused: {i}"
            );
            load(host, &OLD).unwrap();
        });
        assert_eq!(running(&mut machine, session + 2), id(&OLD));
    }
}

#[test]
fn a_host_that_goes_away_and_comes_again() {
    let mut machine = Machine::with_model(&OLD);
    let file = stated(&NEW, &NEW);
    let half = NEW.len() / 2 / MAX_CHUNK * MAX_CHUNK;
    machine.run(Faults::NONE, 1, |host| {
        host.connect(None).unwrap();
        begin(host, file).unwrap();
        let nothing = Request::LoadChunk {
            offset: 0,
            data: &[],
        };
        assert_eq!(host.call(&nothing, received).unwrap(), 0);
        // Nothing had come, so the old model is whole, and the application comes back for the next host.
        let mut host = next_host(host.pipe().handle(), 2);
        host.connect(None).unwrap();
        assert_eq!(host.load_info().unwrap().model, Some(id(&OLD)));
        begin(&mut host, file).unwrap();
        chunks(&mut host, &NEW[..half], 0).unwrap();
        // Half had come.
        let mut host = next_host(host.into_pipe(), 3);
        let (have, need) = (half as u32, file.len);
        let loading = NotReady::Loading { have, need };
        assert_refused(host.connect(None), DeviceError::NotReady(loading));
        let chunk = Request::LoadChunk {
            offset: have,
            data: &[1],
        };
        assert_refused(host.call(&chunk, received), DeviceError::NoSession);
        // The same file goes on; another one begins anew.
        assert_eq!(begin(&mut host, file).unwrap(), have);
        assert_eq!(begin(&mut host, stated(&OLD, &OLD)).unwrap(), 0);
        assert_refused(
            host.state(),
            DeviceError::NotReady(NotReady::Loading {
                have: 0,
                need: OLD.len() as u32,
            }),
        );
        assert_eq!(begin(&mut host, file).unwrap(), 0);
        chunks(&mut host, &NEW[..half], 0).unwrap();
        assert_eq!(begin(&mut host, file).unwrap(), have);
        // What another host is refused takes nothing away.
        let mut other = next_host(host.pipe().handle(), 4);
        let huge = LoadFile {
            len: u32::MAX,
            ..file
        };
        assert!(begin(&mut other, huge).is_err());
        chunks(&mut host, &NEW, half).unwrap();
        finish(&mut host).unwrap();
    });
    assert_eq!(running(&mut machine, 9), id(&NEW));
}

#[test]
fn signatures_are_judged_before_anything_is_erased() {
    let keys = [1u8, 2].map(|seed| SigningKey::from_bytes(&[seed; 32]));
    let trust = Trust::Signed(PublicKey::new(keys[0].verifying_key().as_bytes()).unwrap());
    let sign = |key: &SigningKey, file: &[u8]| key.sign(&model_message(file)).to_bytes();
    let mut machine = Machine::new(trust);
    let good = sign(&keys[0], &OLD);
    machine.run(Faults::NONE, 1, |host| {
        assert!(host.load_info().unwrap().signed);
        load_signed(host, &OLD, Some(&good)).unwrap();
    });
    assert_eq!(signature_in(machine.model.bytes()), Some(good));
    let untouched = machine.model.operations();
    machine.run(Faults::NONE, 2, |host| {
        host.connect(None).unwrap();
        assert_refused(load(host, &NEW), DeviceError::Load(LoadError::Unsigned));
        for signature in [sign(&keys[1], &NEW), good, [0; 64]] {
            let refused = load_signed(host, &NEW, Some(&signature));
            assert_refused(refused, DeviceError::Load(LoadError::Signature));
        }
        assert_eq!(host.load_info().unwrap().model, Some(id(&OLD)));
    });
    assert_eq!(machine.model.operations(), untouched);
    // A good signature for other bytes than those that come.
    let signature = Some(halves(&sign(&keys[0], &NEW)));
    machine.run(Faults::NONE, 3, |host| {
        host.connect(None).unwrap();
        let file = LoadFile {
            signature,
            ..stated(&NEW, &NEW)
        };
        begin(host, file).unwrap();
        let mut forged = NEW.to_vec();
        forged[5000] ^= 1;
        chunks(host, &forged, 0).unwrap();
        assert_refused(finish(host), DeviceError::Checksum);
    });
    machine.run(Faults::NONE, 4, |host| {
        let none = DeviceError::NotReady(NotReady::NoModel);
        assert_refused(host.connect(None), none);
        load_signed(host, &NEW, Some(&sign(&keys[0], &NEW))).unwrap();
    });
    assert_eq!(running(&mut machine, 5), id(&NEW));
    // A model that lies there with another's signature does not run.
    machine.trust = Trust::Signed(PublicKey::new(keys[1].verifying_key().as_bytes()).unwrap());
    machine.run(Faults::NONE, 6, |host| {
        assert!(host.connect(None).is_err());
    });
}

fn halves(signature: &[u8; 64]) -> [[u8; 32]; 2] {
    [0, 32].map(|at| core::array::from_fn(|i| signature[at + i]))
}

/// Loads NEW over what is in `machine`, without a line.
fn load_directly(machine: &mut Machine, signature: Option<&[u8; SIGNATURE_LEN]>) -> bool {
    let limits = machine.limits();
    let (have, need) = (0, NEW.len() as u32);
    let reason = NotReady::Loading { have, need };
    let region = ModelRegion::new(&mut machine.model);
    let mut loader = Loader::new(region, limits, reason);
    let mut id = 0;
    let mut ask = |request: &Request<'_>| {
        id += 1;
        let mut payload = [0; MAX_PAYLOAD];
        let len = p::encode(Header::new(1, id), request, &mut payload).unwrap();
        let mut done = false;
        loader.handle(&payload[..len], &mut |answer| {
            let (_, body) = Header::decode(answer).unwrap();
            done = matches!(p::decode(body), Some(Message::Reply(Ok(_))));
        });
        done
    };
    let mut file = stated(&NEW, &NEW);
    file.signature = signature.map(halves);
    let begun = ask(&Request::BeginLoad(file));
    // Odd pieces, as a bad line makes them.
    let mut sent = NEW.chunks(509).enumerate();
    begun
        && sent.all(|(i, data)| {
            let offset = 509 * i as u32;
            ask(&Request::LoadChunk { offset, data })
        })
        && ask(&Request::FinishLoad)
}

#[test]
fn old_or_none_or_new_at_every_cut() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let trust = Trust::Signed(PublicKey::new(key.verifying_key().as_bytes()).unwrap());
    let sign = |file: &[u8]| key.sign(&model_message(file)).to_bytes();
    let (old, new) = (id(&OLD), id(&NEW));
    let mut torn = vec![Torn::Nothing, Torn::All];
    torn.extend(
        (0..1000)
            .step_by(125)
            .flat_map(|t| [Torn::Front(t), Torn::Back(t)]),
    );
    let (mut cuts, mut found) = (0, [0; 3]);
    for trust in [Trust::Anyone, trust] {
        let signed = trust.is_required();
        let start = || {
            let mut machine = Machine::new(trust);
            let mut region = ModelRegion::new(&mut machine.model);
            region.begin(OLD.len() as u32).unwrap();
            region.append(&OLD).unwrap();
            region.finish(signed.then(|| sign(&OLD)).as_ref()).unwrap();
            machine
        };
        let signature = signed.then(|| sign(&NEW));
        let mut whole = start();
        let before = whole.model.operations();
        assert!(load_directly(&mut whole, signature.as_ref()));
        let operations = whole.model.operations() - before;
        assert!(operations > 20, "{operations}");
        for operation in 0..operations {
            for torn in torn.iter().copied() {
                let at = format!("operation {operation}, {torn:?}");
                let mut machine = start();
                let seed = operation * 31 + cuts;
                machine.model.cut_power(PowerCut {
                    operation,
                    torn,
                    seed,
                });
                assert!(!load_directly(&mut machine, signature.as_ref()), "{at}");
                assert!(machine.model.is_off(), "{at}");
                cuts += 1;
                machine.model.restore_power();
                match machine.whole_model().map(|model| ModelId::of(&model)) {
                    Ok(model) if model == old => found[0] += 1,
                    Ok(model) => {
                        assert_eq!(model, new, "{at}");
                        found[2] += 1;
                    }
                    Err(
                        NotReady::NoModel | NotReady::DamagedModel | NotReady::ModelVersion { .. },
                    ) => {
                        found[1] += 1;
                    }
                    Err(e) => panic!("{at}: {e}"),
                }
                // It takes the model again, whatever is there.
                assert!(load_directly(&mut machine, signature.as_ref()), "{at}");
                let model = machine.whole_model().map(|model| ModelId::of(&model));
                assert_eq!(model, Ok(new), "{at}");
            }
        }
    }
    let [olds, none, news] = found;
    assert!(olds > 0 && none > 0 && news > 0, "{found:?}");
    assert_eq!(olds + none + news, cuts);
    assert!(cuts > 500, "{cuts}");
}

/// The same through a line and restarts, at some of the cuts.
#[test]
fn a_device_that_loses_power_says_what_it_has() {
    for operation in (0..40).step_by(7) {
        let mut machine = Machine::with_model(&OLD);
        let torn = Torn::Front(500);
        let seed = operation;
        machine.model.cut_power(PowerCut {
            operation,
            torn,
            seed,
        });
        machine.run(Faults::NONE, 1, |host| {
            host.connect(None).unwrap();
            match load(host, &NEW) {
                Err(ClientError::Device(DeviceError::Flash { .. })) => (),
                other => panic!("{other:?}"),
            }
            // The block of the header was the first to go.
            assert_refused(host.state(), DeviceError::NotReady(NotReady::NoModel));
        });
        machine.model.restore_power();
        machine.run(Faults::NONE, 2, |host| {
            assert!(host.connect(None).is_err());
            load(host, &NEW).unwrap();
        });
        assert_eq!(running(&mut machine, 3), id(&NEW));
    }
}

fn any_step() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let data = proptest::collection::vec(any::<u8>(), 0..80);
    (0u8..12, any::<u32>(), data, 0u32..3).prop_map(|(kind, n, data, session)| {
        let good = stated(&NEW, &NEW);
        let request = match kind {
            0 => Request::Hello { expect: None },
            1 | 2 => Request::BeginLoad(good),
            3 => Request::BeginLoad(LoadFile { len: n, ..good }),
            4 => Request::BeginLoad(LoadFile {
                demand: Demand {
                    arena: n,
                    features: n >> 7,
                    classes: n >> 3,
                    ..good.demand
                },
                ..good
            }),
            5 | 6 => Request::LoadChunk {
                offset: n % 200,
                data: &data,
            },
            7 => Request::LoadChunk {
                offset: n,
                data: &data,
            },
            8 => Request::FinishLoad,
            9 => Request::LoadInfo,
            10 => Request::State,
            _ => Request::Commit,
        };
        let mut out = vec![0; MAX_PAYLOAD];
        let len = p::encode(Header::new(session, 0), &request, &mut out).unwrap();
        out.truncate(len);
        (n, out)
    })
}

proptest! {
    /// Whatever hosts ask a loader: at most one answer each, which fits, no panic, and no model that was not sent.
    #[test]
    fn a_loader_answers_whatever_comes(
        steps in proptest::collection::vec(any_step(), 1..60),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut machine = Machine::new(Trust::Anyone);
        let limits = machine.limits();
        let mut loader = Loader::new(ModelRegion::new(&mut machine.model), limits, NotReady::NoModel);
        for (i, (n, mut payload)) in steps.into_iter().enumerate() {
            payload[5..9].copy_from_slice(&(i as u32).to_le_bytes());
            if n % 7 == 0 {
                let at = 9 + n as usize % (payload.len() - 8);
                if let Some(byte) = payload.get_mut(at) {
                    *byte ^= n as u8;
                }
            }
            let mut answers = 0;
            loader.handle(&payload, &mut |answer| {
                answers += 1;
                let (_, body) = Header::decode(answer).expect("a header");
                assert!(matches!(p::decode(body), Some(Message::Reply(_))));
            });
            prop_assert!(answers <= 1);
        }
        loader.handle(&noise, &mut |_| ());
        prop_assert!(machine.whole_model().is_err());
    }
}

/// A file of any length and chunks of any size lie in the region byte for byte, whatever the write unit.
#[test]
fn any_length_in_any_pieces() {
    for (write_size, piece) in [(1, 1), (4, 7), (8, 100), (16, 64), (32, 33), (32, 4096)] {
        for len in [64usize, 65, 95, 96, 97, 4096, 4097, 12_000, (64 << 10) - 64] {
            let geometry = edge_runtime::flash::Geometry {
                write_size,
                ..REGION
            };
            let mut region = ModelRegion::new(SimFlash::new(geometry, true));
            let file: Vec<u8> = (0..len).map(|i| (i * 7 % 251) as u8).collect();
            for _ in 0..2 {
                region.begin(len as u32).unwrap();
                for part in file.chunks(piece) {
                    region.append(part).unwrap();
                }
                let arrived = region.arrived().unwrap();
                assert_eq!(arrived.header[..], file[..64]);
                assert_eq!(
                    arrived.bytes[64..],
                    file[64..],
                    "{write_size} {piece} {len}"
                );
                assert_ne!(arrived.bytes[..64], file[..64], "the header comes last");
                region.finish(Some(&[9; 64])).unwrap();
                assert!(region.bytes().starts_with(&file));
                assert_eq!(signature_in(region.bytes()), Some([9; 64]));
            }
            // A file without a signature leaves none behind.
            region.begin(64).unwrap();
            region.append(&file[..64]).unwrap();
            region.finish(None).unwrap();
            assert_eq!(signature_in(region.bytes()), None);
        }
    }
}
