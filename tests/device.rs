//! The device application in the simulation: whole sessions over good and bad lines, and hostile peers.

use converter::dataset::Dataset;
use converter::jobs::retrain::retrain;
use converter::util::progress::Silent;
use ed25519_dalek::{Signer, SigningKey};
use edge_runtime::backend::BackendKind;
use edge_runtime::device::app::{App, AppError};
use edge_runtime::device::client::{Client, ClientError, Pipe};
use edge_runtime::device::judged;
use edge_runtime::device::load::Demand;
use edge_runtime::device::memory::{Areas, MemoryPlan, PlanError};
use edge_runtime::device::protocol::{
    self as p, ClassMode, Header, Message, Progress, Reply, Request, RetrainOptions,
};
use edge_runtime::device::{DeviceError, EventKind};
use edge_runtime::head::file::{NewData, NewHead, encode};
use edge_runtime::head::store::Active;
use edge_runtime::head::{Head, HeadRecord, Int8Layers, MAX_HIDDEN, Pool, PoolKind};
use edge_runtime::model::{AlignedBytes, DType, Model};
use edge_runtime::power::NoMeter;
use edge_runtime::signature::{PublicKey, Trust, head_message, model_message};
use edge_runtime::sim::{Faults, SimClock, SimFlash};
use graft_tests::class_folders;
use graft_tests::device::{
    AREAS, CONFIG, GEOMETRY, TestApp, flash, input, int8_model, memory, start, with_client,
};
use proptest::prelude::*;
use std::sync::LazyLock;

static MODEL: LazyLock<AlignedBytes> = LazyLock::new(|| int8_model(7));

const CLASSES: [&str; 3] = ["red", "green", "blue"];

/// A bad line.
const NOISE: Faults = Faults {
    dropped: 10_000,
    damaged: 10_000,
    doubled: 1000,
};

fn add_samples<P: Pipe>(client: &mut Client<P>, model: &Model<'_>, count: usize) {
    for i in 0..count {
        let class = i % CLASSES.len();
        client.send_input(&input(model, class, i as u64)).unwrap();
        client.add_sample(CLASSES[class], None).unwrap();
    }
}

/// info, 40 samples, retrain, commit, infer, export; the head's file and the likeliest class.
fn session(faults: Faults, number: u32) -> (Vec<u8>, String, u64) {
    let model = Model::parse(&MODEL).unwrap();
    with_client(&model, &mut flash(), faults, number, |client| {
        let identity = client.connect(Some(*model.trunk_sha256())).unwrap();
        assert_eq!(&identity.trunk, model.trunk_sha256());
        let (name, side) = client.model(|m| (m.name.to_string(), m.input.h)).unwrap();
        assert_eq!((name.as_str(), side), ("small", 32));
        add_samples(client, &model, 40);
        let counted = client.samples().unwrap();
        let counts: Vec<_> = counted
            .iter()
            .map(|c| (c.name.as_str(), c.samples, c.held_out))
            .collect();
        assert_eq!(counts, [("blue", 13, 1), ("green", 13, 1), ("red", 14, 1)]);
        let state = client.state().unwrap();
        assert_eq!(
            (state.samples, state.classes, state.active),
            (40, 3, Active::Factory)
        );
        let mut epochs = 0;
        let options = RetrainOptions {
            commit: false,
            ..RetrainOptions::default()
        };
        let retrained = client
            .retrain(options, &mut |p| {
                epochs += u32::from(matches!(p, Progress::Epoch { .. }))
            })
            .unwrap();
        assert!(faults != Faults::NONE || epochs > retrained.epoch);
        assert_eq!(
            (retrained.classes, retrained.samples, retrained.held_out),
            (3, 37, 3)
        );
        assert_eq!((retrained.committed, retrained.present_top1), (None, None));
        assert!(client.state().unwrap().candidate);
        assert_eq!(client.commit().unwrap(), 1);
        client.send_input(&input(&model, 2, 999)).unwrap();
        let (micros, top) = client.infer(2).unwrap();
        assert!(micros > 0 && top.len() == 2 && top[0].logit >= top[1].logit);
        let logits = client.logits().unwrap();
        assert_eq!(logits[top[0].class as usize], top[0].logit);
        let head = client.export_head().unwrap();
        assert_eq!(head[64..96], retrained.sha256);
        (head, top[0].label.clone(), client.repetitions())
    })
}

#[test]
fn a_bad_line_gives_the_same_head() {
    let (clean, label, repetitions) = session(Faults::NONE, 1);
    assert_eq!((label.as_str(), repetitions), ("blue", 0));
    for number in [2, 3] {
        let (noisy, label, repetitions) = session(NOISE, number);
        assert!(repetitions > 1000, "{repetitions}");
        assert!(noisy == clean && label == "blue");
    }
}

#[test]
fn the_host_trains_the_same_head() {
    let bytes = [0, 6].map(trained_twice);
    assert!(bytes[0] < bytes[1], "the second one has a hidden layer");
}

/// Trains a head on the host and on a device; the length of its file, if both are the same.
fn trained_twice(hidden: u16) -> usize {
    let dir = tempfile::tempdir().unwrap();
    class_folders(dir.path(), &CLASSES, 16, 50);
    let dataset = Dataset::open(dir.path()).unwrap();
    let model = Model::parse(&MODEL).unwrap();
    let options = RetrainOptions {
        hidden,
        seed: 3,
        ..RetrainOptions::default()
    };
    let host = retrain(
        &model,
        &MODEL,
        BackendKind::Tract,
        &dataset,
        &options.train_options(),
        &Silent,
    )
    .unwrap();
    let device = with_client(&model, &mut flash(), Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        for class in ["blue", "green", "red"] {
            let i = CLASSES.iter().position(|c| *c == class).unwrap();
            for k in 0..16 {
                client.send_input(&input(&model, i, 50 + k)).unwrap();
                client.add_sample(class, None).unwrap();
            }
        }
        client.check_training(&[], false, &options).unwrap();
        let retrained = client.retrain(options, &mut |_| ()).unwrap();
        assert_eq!(retrained.committed, Some(1));
        assert_eq!(retrained.held_out_top1, host.held_out_top1);
        assert_eq!(retrained.training_bytes as usize, host.training_bytes);
        // It runs there, too, and what the device says of it is what the host computes.
        client.send_input(&input(&model, 0, 70)).unwrap();
        let (_, likely) = client.infer(3).unwrap();
        assert_eq!(likely[0].label, CLASSES[0]);
        client.export_head().unwrap()
    });
    let host = Model::parse(&host.bytes).unwrap();
    let head = host.head().unwrap();
    assert!(device == head.bytes(), "not the same bits");
    assert_eq!(head.size().hidden, hidden as usize);
    device.len()
}

/// A narrow hidden layer makes the head of many classes small; its logits still have to find room.
#[test]
fn no_more_classes_than_planned() {
    let model = Model::parse(&MODEL).unwrap();
    let mut flash = flash();
    with_client(&model, &mut flash, Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        for class in 0..CONFIG.classes + 1 {
            client.send_input(&input(&model, class, 5)).unwrap();
            client.add_sample(&format!("class {class}"), None).unwrap();
        }
        let classes = 4 * (CONFIG.classes as u32 + 1);
        for hidden in [0, 1, 2] {
            let options = RetrainOptions {
                hidden,
                force: true,
                ..RetrainOptions::default()
            };
            let (have, need) = (classes - 4, classes);
            assert_refused(
                client.retrain(options, &mut |_| ()),
                DeviceError::Ram { have, need },
            );
        }
        client.send_input(&input(&model, 0, 5)).unwrap();
        client.infer(2).unwrap();
    });
}

#[test]
fn what_a_training_refuses() {
    let model = Model::parse(&MODEL).unwrap();
    with_client(&model, &mut flash(), Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        let untrained = client.retrain(RetrainOptions::default(), &mut |_| ());
        assert_refused(untrained, DeviceError::TooFewClasses { have: 0 });
        add_samples(client, &model, 60);
        let good = client
            .retrain(RetrainOptions::default(), &mut |_| ())
            .unwrap();
        assert_eq!((good.committed, good.present_top1), (Some(1), None));
        let again = client
            .retrain(RetrainOptions::default(), &mut |_| ())
            .unwrap();
        assert_eq!(again.sha256, good.sha256);
        assert_eq!(
            (again.committed, again.present_top1),
            (Some(2), good.held_out_top1)
        );
        let wide = |hidden| RetrainOptions {
            hidden,
            ..RetrainOptions::default()
        };
        let refused = client.retrain(wide(MAX_HIDDEN as u16 + 1), &mut |_| ());
        assert_refused(refused, DeviceError::HiddenUnits);
        let refused = client.retrain(wide(MAX_HIDDEN as u16), &mut |_| ());
        let short = matches!(&refused, Err(ClientError::Device(DeviceError::Ram { have, need })) if have < need);
        assert!(short, "{refused:?}");
        // The host knows before anything is sent, and what would fit.
        let refused = client.check_training(&[], false, &wide(MAX_HIDDEN as u16));
        let Err(ClientError::Hidden { most, .. }) = refused else {
            panic!("{refused:?}");
        };
        let fits = |client: &mut Client<_>, more: &[&str], hidden| {
            let more: Vec<String> = more.iter().map(|s| s.to_string()).collect();
            client.check_training(&more, false, &wide(hidden))
        };
        fits(client, &[], most as u16).unwrap();
        assert!(fits(client, &[], most as u16 + 1).is_err());
        // Classes count with those that are stored, whatever the hidden layer saves.
        fits(client, &["red", "a", "b", "c"], 1).unwrap();
        for hidden in [0, 1] {
            let refused = fits(client, &["a", "b", "c", "d"], hidden);
            let expected = matches!(
                refused,
                Err(ClientError::Classes {
                    classes: 7,
                    most: 6
                })
            );
            assert!(expected, "{refused:?}");
        }
        let widest = client.retrain(wide(most as u16), &mut |_| ()).unwrap();
        assert_eq!(widest.classes, 3);
        let refused = client.retrain(wide(most as u16 + 1), &mut |_| ());
        let short = matches!(refused, Err(ClientError::Device(DeviceError::Ram { .. })));
        assert!(short, "{refused:?}");
        let pool = RetrainOptions {
            pool: Some(PoolKind::Max),
            ..RetrainOptions::default()
        };
        let stored = PoolKind::Avg;
        assert_refused(
            client.retrain(pool, &mut |_| ()),
            DeviceError::Pool { stored },
        );
        let add = RetrainOptions {
            classes: ClassMode::Add,
            ..RetrainOptions::default()
        };
        assert!(client.retrain(add, &mut |_| ()).is_ok());
        client.rollback().unwrap();
        assert_eq!(client.clear_samples(Some("green")).unwrap(), 20);
        let missing = DeviceError::MissingClasses {
            missing: 1,
            classes: 3,
        };
        assert_refused(client.retrain(add, &mut |_| ()), missing);
    });
}

/// Which classes of the present head a new one lacks: nobody loses one unasked, and hears its name.
#[test]
fn old_classes_do_not_vanish() {
    let model = Model::parse(&MODEL).unwrap();
    let with = |classes| RetrainOptions {
        classes,
        force: true,
        ..RetrainOptions::default()
    };
    let [keep, add, replace] = [ClassMode::Keep, ClassMode::Add, ClassMode::Replace].map(with);
    assert_eq!(keep.classes, RetrainOptions::default().classes);
    let none = &mut |_| ();
    let mut first = flash();
    let head = with_client(&model, &mut first, Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        add_samples(client, &model, 30);
        // The head that came with the network has four classes, which nobody meant to keep.
        assert!(!client.state().unwrap().head_trained);
        assert_eq!(client.check_training(&[], false, &keep).unwrap(), [""; 0]);
        let refused = client.check_training(&[], false, &add);
        let fewer = matches!(
            refused,
            Err(ClientError::Fewer {
                have: 3,
                classes: 4
            })
        );
        assert!(fewer, "{refused:?}");
        client.retrain(keep, none).unwrap();
        assert!(client.state().unwrap().head_trained);
        assert_eq!(client.labels(3).unwrap(), ["blue", "green", "red"]);

        client.clear_samples(Some("red")).unwrap();
        for options in [keep, add] {
            match client.check_training(&[], false, &options) {
                Err(ClientError::Lost { missing, classes }) => {
                    assert_eq!((missing, classes), (vec!["red".to_string()], 3));
                }
                other => panic!("{other:?}"),
            }
            // Whoever does not ask first is refused by the device.
            let (missing, classes) = (1, 3);
            let lacks = DeviceError::MissingClasses { missing, classes };
            assert_refused(client.retrain(options, none), lacks);
        }
        // With pictures of it on their way it is not lost; to go on without it takes a word.
        let red = ["red".to_string()];
        assert_eq!(client.check_training(&red, false, &keep).unwrap(), [""; 0]);
        assert_eq!(client.check_training(&[], false, &replace).unwrap(), red);
        client.export_head().unwrap()
    });
    // A device that got its head from another one.
    let mut second = flash();
    with_client(&model, &mut second, Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        client.import_head(&head, None).unwrap();
        client.commit().unwrap();
        for class in ["red", "violet"] {
            client.send_input(&input(&model, 0, 1)).unwrap();
            client.add_sample(class, None).unwrap();
        }
        let (missing, classes) = (2, 3);
        let lacks = DeviceError::MissingClasses { missing, classes };
        assert_refused(client.retrain(keep, none), lacks);
        let lost = client.check_training(&[], false, &replace).unwrap();
        assert_eq!(lost, ["blue", "green"]);
        let trained = client.retrain(replace, none).unwrap();
        assert_eq!((trained.classes, trained.committed), (2, Some(2)));
    });
}

/// Of each class, how many of the samples that judge are right, as a head says that was trained without them.
#[test]
fn every_class_is_judged() {
    let model = Model::parse(&MODEL).unwrap();
    with_client(&model, &mut flash(), Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        // Two red ones of the 16 are held out, and show green; of the few blue ones none is.
        for (class, count) in [("red", 16u64), ("green", 40), ("blue", 3)] {
            let i = CLASSES.iter().position(|c| *c == class).unwrap();
            for k in 1..=count {
                let shown = if class == "red" && k % 8 == 0 { 1 } else { i };
                client.send_input(&input(&model, shown, 50 + k)).unwrap();
                client.add_sample(class, None).unwrap();
            }
        }
        let training = client
            .train(RetrainOptions::default(), &mut |_| ())
            .unwrap();
        let new = &training.retrained;
        assert_eq!((new.samples, new.held_out), (52, 7));
        let counts: Vec<_> = training
            .classes
            .iter()
            .map(|c| (c.class.as_str(), c.samples, c.held_out, c.right))
            .collect();
        let green = training.classes[1].right.unwrap();
        assert!(green >= 4, "{counts:?}");
        assert_eq!(
            counts,
            [
                ("blue", 3, 0, None),
                ("green", 40, 5, Some(green)),
                ("red", 16, 2, Some(0))
            ]
        );
        // The one figure for all of them hides what the mean of the classes shows.
        assert_eq!(new.held_out_top1, Some(green as f32 / 7.0));
        let balanced = judged::balanced(&training.classes);
        assert_eq!(balanced, Some(green as f32 / 10.0));
        let warnings = judged::warnings(&training.classes);
        for (warning, name) in warnings
            .iter()
            .zip(["'blue' (3)", "'blue' (3)", "'red' (0 of 2)"])
        {
            assert!(warning.contains(name), "{warning}");
        }
        assert_eq!(warnings.len(), 3);
        // So does the log.
        let (events, _) = client.log().unwrap();
        let trained = EventKind::Trained {
            samples: 59,
            unjudged: 1,
        };
        assert!(events.iter().any(|e| e.kind == trained), "{events:?}");
    });
}

/// A head whose classes have long names that begin alike, one of them with a character on the 32nd byte.
#[test]
fn long_names_arrive_whole() {
    let model = Model::parse(&MODEL).unwrap();
    let long = "a class folder with a long name";
    assert_eq!(long.len(), 31);
    let names = [
        format!("{long}ä and no end"),
        format!("{long}ö and no end"),
        "x".repeat(300),
        "short".into(),
    ];
    let factory = model.head().unwrap();
    let mut bytes = vec![0; 4096];
    let rows = vec![0; 4 * factory.features()];
    let new = NewHead {
        trunk_sha256: *model.trunk_sha256(),
        record: HeadRecord {
            labels: &names.join("\n"),
            ..*factory.record()
        },
        data: NewData::I8(Int8Layers {
            hidden: None,
            weights: &rows,
            bias: &[4, 3, 2, 1],
            scale: &[1.0; 4],
        }),
    };
    let len = encode(&new, &mut bytes).unwrap();
    for (faults, number) in [(Faults::NONE, 1), (NOISE, 2)] {
        with_client(&model, &mut flash(), faults, number, |client| {
            client.connect(None).unwrap();
            client.import_head(&bytes[..len], None).unwrap();
            client.commit().unwrap();
            client.send_input(&input(&model, 0, 1)).unwrap();
            let (_, top) = client.infer(4).unwrap();
            let shown: Vec<_> = top.iter().map(|t| t.label.as_str()).collect();
            assert_eq!(shown, names);
            assert_eq!(client.labels(4).unwrap(), names);
            assert_eq!(client.labels(5).unwrap()[4], "", "there is no fifth class");
            // What samples cannot be called is known before one is sent, or deleted.
            let wrong = [
                &names[2..3],
                &["a\tb".to_string()],
                &["a", "a"].map(String::from),
            ];
            for names in wrong {
                let refused = client.check_training(names, true, &RetrainOptions::default());
                assert!(matches!(refused, Err(ClientError::Name(_))), "{refused:?}");
            }
        });
    }
}

#[test]
fn a_worse_head_is_not_committed() {
    let model = Model::parse(&MODEL).unwrap();
    with_client(&model, &mut flash(), Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        let options = RetrainOptions::default();
        // At first everything is right. Then only the held-out samples are: every eighth of a class.
        for right in [true, false] {
            client.clear_samples(None).unwrap();
            for i in 0..48 {
                let (class, ordinal) = (i % CLASSES.len(), i / CLASSES.len() + 1);
                let wrong = !right && ordinal % 8 != 0;
                let shown = if wrong {
                    (class + 1) % CLASSES.len()
                } else {
                    class
                };
                client.send_input(&input(&model, shown, i as u64)).unwrap();
                client.add_sample(CLASSES[class], None).unwrap();
            }
            let retrained = client.retrain(options, &mut |_| ()).unwrap();
            assert_eq!(retrained.held_out, 6);
            if right {
                assert_eq!(retrained.committed, Some(1));
                assert!(retrained.held_out_top1 > Some(0.8));
            } else {
                assert!(retrained.held_out_top1 < retrained.present_top1);
                assert_eq!(retrained.committed, None);
            }
        }
        let state = client.state().unwrap();
        assert!(state.candidate && state.active.sequence() == 1);
        // Who wants it all the same, says so: by force, or by a commit.
        let force = RetrainOptions {
            force: true,
            ..options
        };
        let forced = client.retrain(force, &mut |_| ()).unwrap();
        assert_eq!(forced.committed, Some(2));
        client.rollback().unwrap();
        assert_eq!(
            client.retrain(options, &mut |_| ()).unwrap().committed,
            None
        );
        assert_eq!(client.commit().unwrap(), 3);
    });
}

#[test]
fn rollback_export_import_and_the_rest() {
    let model = Model::parse(&MODEL).unwrap();
    let mut flash = flash();
    let head = with_client(&model, &mut flash, Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        let factory = client.export_head().unwrap();
        assert!(factory == model.head().unwrap().bytes());
        add_samples(client, &model, 24);
        client
            .retrain(RetrainOptions::default(), &mut |_| ())
            .unwrap();
        let trained = client.export_head().unwrap();
        assert_eq!(client.rollback().unwrap(), Active::Factory);
        assert!(client.export_head().unwrap() == factory);
        assert_refused(client.rollback(), DeviceError::NothingToRollBack);
        assert_refused(client.commit(), DeviceError::NothingToCommit);
        client.import_head(&trained, None).unwrap();
        assert_eq!(client.commit().unwrap(), 2);
        let bench = client.bench(5, &mut |_| ()).unwrap();
        assert!(bench.runs == 5 && bench.min <= bench.median && bench.median <= bench.max);
        assert_eq!(bench.microwatts, None);
        assert!(matches!(
            client.power(),
            Err(ClientError::Device(DeviceError::Power(_)))
        ));
        let (events, lost) = client.log().unwrap();
        assert!(events.len() >= 5 && lost == 0, "{events:?}");
        client.reset().unwrap();
        assert!(client.pipe().server().app().reset_requested());
        trained
    });
    // After the restart the session is gone, samples and head are there.
    with_client(&model, &mut flash, Faults::NONE, 2, |client| {
        assert_refused(client.state(), DeviceError::NoSession);
        client.connect(None).unwrap();
        let state = client.state().unwrap();
        assert_eq!((state.samples, state.active.sequence()), (24, 2));
        assert!(client.export_head().unwrap() == head);
        assert_eq!(client.clear_samples(None).unwrap(), 24);
        // Another pooling, once the store is empty.
        client.send_input(&input(&model, 0, 1)).unwrap();
        client.add_sample("x", Some(PoolKind::Max)).unwrap();
    });
}

#[test]
fn memory_is_known_beforehand_and_enforced() {
    let model = Model::parse(&MODEL).unwrap();
    let plan = |areas, classes| MemoryPlan::new(&model, &GEOMETRY, &areas, classes);
    assert_eq!(plan(AREAS, 1), Err(PlanError::Classes));
    let overlapping = Areas {
        samples: AREAS.heads,
        ..AREAS
    };
    assert_eq!(plan(overlapping, 6), Err(PlanError::Areas));
    assert!(matches!(plan(AREAS, 100), Err(PlanError::Slot { .. })));
    let need = plan(AREAS, CONFIG.classes).unwrap().total();
    let mut short = vec![0; need - 16];
    let mut flash = flash();
    let clock = SimClock::new(1);
    let started = App::new(&model, &mut flash, clock, NoMeter, &mut short, &CONFIG).err();
    assert!(matches!(started, Some(AppError::Memory { need: n, .. }) if n == need));
    with_client(&model, &mut flash, Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        assert_eq!(client.state().unwrap().ram as usize, need);
        for i in 0..14u64 {
            client
                .send_input(&input(&model, i as usize % 4, i))
                .unwrap();
            client
                .add_sample(&format!("class {}", i % 7), None)
                .unwrap();
        }
        let refused = client.retrain(RetrainOptions::default(), &mut |_| ());
        assert!(matches!(
            refused,
            Err(ClientError::Device(DeviceError::Ram { .. }))
        ));
        client.clear_samples(Some("class 6")).unwrap();
        let six = client
            .retrain(RetrainOptions::default(), &mut |_| ())
            .unwrap();
        assert_eq!((six.classes, six.held_out_top1), (6, None));
        assert!(six.committed.is_some());
    });
}

#[test]
fn a_head_on_another_pooling() {
    let model = Model::parse(&MODEL).unwrap();
    with_client(&model, &mut flash(), Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        for i in 0..48 {
            let class = i % CLASSES.len();
            client.send_input(&input(&model, class, i as u64)).unwrap();
            let added = client.add_sample(CLASSES[class], Some(PoolKind::Max));
            assert!(added.is_ok());
        }
        let options = RetrainOptions {
            pool: Some(PoolKind::Max),
            ..RetrainOptions::default()
        };
        let retrained = client.retrain(options, &mut |_| ()).unwrap();
        assert_eq!(retrained.present_top1, None);
        let right = (0..24).filter(|i| {
            let class = i % CLASSES.len();
            client
                .send_input(&input(&model, class, 500 + *i as u64))
                .unwrap();
            client.infer(1).unwrap().1[0].label == CLASSES[class]
        });
        assert!(right.count() >= 20);
        let exported = AlignedBytes::copy_of(&client.export_head().unwrap());
        let head = Head::parse(&exported, &model).unwrap();
        assert_eq!(head.record().pool, Pool::Max);
    });
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, ClientError>, expected: DeviceError) {
    match result {
        Err(ClientError::Device(error)) => assert_eq!(error, expected),
        other => panic!("expected {expected:?}, got {other:?}"),
    }
}

/// Sends one payload and returns the replies.
fn send(app: &mut TestApp<'_>, payload: &[u8]) -> Vec<Vec<u8>> {
    let mut replies = vec![];
    app.handle(payload, &mut |reply| replies.push(reply.to_vec()));
    replies
}

/// Sends a request and returns the error of its reply, or `None` if it succeeded.
fn ask(app: &mut TestApp<'_>, id: u32, request: &Request<'_>) -> Option<DeviceError> {
    let mut payload = [0; p::MAX_PAYLOAD];
    let len = p::encode(Header::new(9, id), request, &mut payload).unwrap();
    let replies = send(app, &payload[..len]);
    let (header, body) = Header::decode(replies.last().expect("a reply")).unwrap();
    assert_eq!(header, Header::new(9, id));
    match p::decode(body).expect("a message") {
        Message::Reply(Ok(_)) => None,
        Message::Reply(Err(error)) => Some(error),
        Message::Progress(_) => panic!("the reply comes last"),
    }
}

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
        crc: edge_runtime::device::crc32(&[head]),
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
                let crc = edge_runtime::device::crc32(&[data, data, data]);
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
