//! Power fails at every single write and erase of commit, rollback and import: after the restart the device
//! has the old head or the new one, whole. (Samples: `edge-runtime/src/device/samples/tests.rs`.)

use edge_runtime::device::protocol::RetrainOptions;
use edge_runtime::flash::Flash;
use edge_runtime::head::Int8Layers;
use edge_runtime::head::file::{HeadData, HeadOrigin, HeadRecord, NewData, NewHead};
use edge_runtime::head::store::{HeadStore, StoreError};
use edge_runtime::model::write::encode_head;
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::signature::Trust;
use edge_runtime::sim::{Faults, PowerCut, SimFlash, Torn};
use graft_tests::device::{AREAS, flash, input, int8_model, with_client};

#[derive(Clone, Copy, Debug)]
enum Step {
    Commit(u64),
    Import(u64),
    Rollback,
}

/// Old and new by turns, back to the factory head, and on.
const STEPS: [Step; 12] = [
    Step::Commit(1),
    Step::Commit(2),
    Step::Import(3),
    Step::Rollback,
    Step::Commit(4),
    Step::Rollback,
    Step::Rollback,
    Step::Import(5),
    Step::Rollback,
    Step::Commit(6),
    Step::Commit(7),
    Step::Import(8),
];

/// A head like the factory's but for its seed and one weight.
fn head(model: &Model<'_>, seed: u64) -> AlignedBytes {
    let factory = *model.head().unwrap().record();
    let HeadData::I8 { .. } = factory.data else {
        panic!("an int8 model");
    };
    let weights: Vec<i8> = (0..factory.features * factory.classes)
        .map(|i| (i as u64 * seed) as i8)
        .collect();
    let origin = HeadOrigin::Retrained {
        images: 1,
        held_out: 0,
        held_out_top1: None,
        seed,
    };
    let new = NewHead {
        trunk_sha256: *model.trunk_sha256(),
        record: HeadRecord { origin, ..factory },
        data: NewData::I8(Int8Layers {
            hidden: None,
            weights: &weights,
            bias: &vec![0; factory.classes as usize],
            scale: &vec![1.0; factory.classes as usize],
        }),
    };
    AlignedBytes::copy_of(&encode_head(&new).unwrap())
}

fn open(flash: &SimFlash, model: &Model<'_>) -> HeadStore {
    HeadStore::open(flash, AREAS.heads, model, Trust::Anyone).unwrap()
}

fn apply(
    store: &mut HeadStore,
    flash: &mut SimFlash,
    model: &Model<'_>,
    step: Step,
) -> Result<(), StoreError> {
    match step {
        Step::Commit(seed) => store
            .commit(flash, &head(model, seed), None, model)
            .map(|_| ()),
        Step::Import(seed) => {
            let signature = Some([seed as u8; 64]);
            store
                .commit(flash, &head(model, seed), Some(signature), model)
                .map(|_| ())
        }
        Step::Rollback => store.rollback(flash).map(|_| ()),
    }
}

/// The seed of the active head; 0 for the factory's. Reading it checks it.
fn active(store: &HeadStore, flash: &SimFlash, model: &Model<'_>) -> u64 {
    let head = store.head(flash, model).unwrap().unwrap();
    match head.record().origin {
        HeadOrigin::Factory => 0,
        HeadOrigin::Retrained { seed, .. } => seed,
    }
}

#[test]
fn old_or_new_at_every_cut() {
    let bytes = int8_model(3);
    let model = Model::parse(&bytes).unwrap();
    let mut clean = flash();
    let mut store = open(&clean, &model);
    let mut states = vec![active(&store, &clean, &model)];
    for step in STEPS {
        apply(&mut store, &mut clean, &model, step).unwrap();
        states.push(active(&store, &clean, &model));
        assert_eq!(
            active(&open(&clean, &model), &clean, &model),
            states[states.len() - 1]
        );
    }
    assert_eq!(states, [0, 1, 2, 3, 2, 4, 2, 0, 5, 0, 6, 7, 8]);

    let mut torn = vec![Torn::Nothing, Torn::All];
    torn.extend((0..1000).step_by(50).map(Torn::Front));
    torn.extend((0..1000).step_by(50).map(Torn::Back));
    let mut cuts = 0;
    for operation in 0..clean.operations() {
        for torn in torn.iter().copied() {
            let at = format!("operation {operation}, {torn:?}");
            let mut flash = flash();
            flash.cut_power(PowerCut {
                operation,
                torn,
                seed: operation * 31,
            });
            let mut store = open(&flash, &model);
            let apply_all = |store: &mut HeadStore, flash: &mut SimFlash, from: usize| {
                let mut steps = STEPS.into_iter().enumerate().skip(from);
                steps
                    .find(|(_, step)| apply(store, flash, &model, *step).is_err())
                    .map(|(i, _)| i)
            };
            let done = apply_all(&mut store, &mut flash, 0).expect("power fails");
            cuts += 1;
            flash.restore_power();
            let mut store = open(&flash, &model);
            let found = active(&store, &flash, &model);
            assert!(
                [states[done], states[done + 1]].contains(&found),
                "{at}: {found}"
            );
            // The host asks again if the old one is active, and goes on.
            let from = if found == states[done + 1] {
                done + 1
            } else {
                done
            };
            let step = STEPS[done];
            let failed = apply_all(&mut store, &mut flash, from);
            assert_eq!(failed, None, "{at}, {step:?}");
            assert_eq!(
                active(&open(&flash, &model), &flash, &model),
                8,
                "{at}, {step:?}"
            );
        }
    }
    assert!(cuts > 2000, "{cuts}");
}

/// The same through the application, from the host's requests.
#[test]
fn old_or_new_through_the_application() {
    let bytes = int8_model(3);
    let model = Model::parse(&bytes).unwrap();
    let mut before = flash();
    let first = with_client(&model, &mut before, Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        for i in 0..24 {
            client.send_input(&input(&model, i % 2, i as u64)).unwrap();
            client.add_sample(["a", "b"][i % 2], None).unwrap();
        }
        client
            .retrain(RetrainOptions::default(), &mut |_| ())
            .unwrap()
            .sha256
    });
    let options = RetrainOptions {
        seed: 1,
        force: true,
        epochs: 3,
        ..RetrainOptions::default()
    };
    let mut after = before.clone();
    let operations = after.operations();
    let second = with_client(&model, &mut after, Faults::NONE, 2, |client| {
        client.connect(None).unwrap();
        client.send_input(&input(&model, 0, 100)).unwrap();
        client.add_sample("a", None).unwrap();
        client.retrain(options, &mut |_| ()).unwrap().sha256
    });
    assert_ne!(first, second);
    for operation in 0..after.operations() - operations {
        for torn in [Torn::Nothing, Torn::Front(300), Torn::Back(700), Torn::All] {
            let mut flash = before.clone();
            flash.cut_power(PowerCut {
                operation,
                torn,
                seed: operation,
            });
            with_client(&model, &mut flash, Faults::NONE, 3, |client| {
                client.connect(None).unwrap();
                client.send_input(&input(&model, 0, 100)).unwrap();
                let failed = client.add_sample("a", None).is_err()
                    || client.retrain(options, &mut |_| ()).is_err();
                assert!(failed, "power fails");
            });
            flash.restore_power();
            with_client(&model, &mut flash, Faults::NONE, 4, |client| {
                client.connect(None).unwrap();
                let head = client.export_head().unwrap();
                assert!(
                    [first, second]
                        .map(|s| s.to_vec())
                        .contains(&head[64..96].to_vec())
                );
                let samples = client.state().unwrap().samples;
                assert!((24..=25).contains(&samples), "{samples}");
            });
        }
    }
    assert!(after.erases().iter().sum::<u32>() > 0 && after.geometry().len > 0);
}
