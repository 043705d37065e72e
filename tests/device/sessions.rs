//! Whole sessions over good and bad lines, and restarts between them.

use super::{MODEL, NOISE, add_samples, assert_refused};
use edge_runtime::client::ClientError;
use edge_runtime::device::DeviceError;
use edge_runtime::device::protocol::{Progress, RetrainOptions};
use edge_runtime::head::file::{NewData, NewHead, encode};
use edge_runtime::head::store::Active;
use edge_runtime::head::{HeadRecord, Int8Layers, PoolKind};
use edge_runtime::model::Model;
use edge_runtime::sim::Faults;
use graft_tests::device::{flash, input, with_client};

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
