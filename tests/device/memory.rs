//! Memory: known beforehand, and enough for what the plan promises.

use super::MODEL;
use edge_runtime::client::ClientError;
use edge_runtime::device::DeviceError;
use edge_runtime::device::app::{App, AppError};
use edge_runtime::device::memory::{Areas, MemoryPlan, PlanError};
use edge_runtime::device::protocol::RetrainOptions;
use edge_runtime::model::Model;
use edge_runtime::power::NoMeter;
use edge_runtime::sim::{Faults, SimClock};
use graft_tests::device::{AREAS, CONFIG, GEOMETRY, flash, input, with_client};

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
