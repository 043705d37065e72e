//! Training on the device: the same head as on the host, what is refused, and what is told of it.

use super::{CLASSES, MODEL, add_samples, assert_refused};
use converter::dataset::Dataset;
use converter::jobs::retrain::retrain;
use converter::util::progress::Silent;
use edge_runtime::backend::BackendKind;
use edge_runtime::client::{Client, ClientError, judged};
use edge_runtime::device::protocol::{ClassMode, RetrainOptions};
use edge_runtime::device::{DeviceError, EventKind};
use edge_runtime::head::{Head, MAX_HIDDEN, Pool, PoolKind};
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::sim::Faults;
use graft_tests::class_folders;
use graft_tests::device::{CONFIG, flash, input, with_client};

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
        BackendKind::fastest_for(&model),
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
