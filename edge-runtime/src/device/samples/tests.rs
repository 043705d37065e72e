//! The store on a simulated flash, with power cuts at every operation.

use super::*;
use crate::flash::Geometry;
use crate::sim::{PowerCut, SimFlash, Torn};

const TRUNK: [u8; 32] = [5; 32];
const FEATURES: usize = 40;

fn flash(write_size: u32, blocks: u32) -> (SimFlash, Area) {
    let geometry = Geometry {
        len: 1024 * (blocks + 1),
        write_size,
        erase_size: 1024,
    };
    let area = Area {
        start: 1024,
        len: 1024 * blocks,
    };
    (SimFlash::new(geometry, true), area)
}

fn feature(token: u64) -> Vec<i8> {
    (0..FEATURES as u64)
        .map(|i| (token * 37 + i * i) as i8)
        .collect()
}

/// One call to the store.
#[derive(Clone, Copy, Debug)]
enum Step {
    Add(&'static str, u64),
    ClearClass(&'static str),
}

/// What is in the store, without numbers that may differ after a restart.
type Content = Vec<(String, bool, Vec<i8>)>;

fn content(flash: &SimFlash, store: &SampleStore<'_>) -> Content {
    let view = store.view(flash);
    let sample = |i| {
        let class = store.classes()[view.label(i)].name().to_string();
        (class, view.held_out(i), view.feature(i).to_vec())
    };
    (0..view.len()).map(sample).collect()
}

fn apply(flash: &mut SimFlash, store: &mut SampleStore<'_>, step: Step) -> Result<(), SampleError> {
    match step {
        Step::Add(class, token) => store
            .add(flash, class, PoolKind::Avg, token, &feature(token))
            .map(|_| ()),
        Step::ClearClass(class) => store.clear_class(flash, class).map(|_| ()),
    }
}

fn scenario(adds: u64) -> Vec<Step> {
    let class = |i: u64| ["rose", "daisy", "rose", "tulip", "rose"][(i * i % 5) as usize];
    (1..=adds).map(|i| Step::Add(class(i), i)).collect()
}

/// The memory of a store.
struct Ram {
    index: Vec<Entry>,
    table: Box<ClassTable>,
}

impl Ram {
    /// With something in it.
    fn new() -> Self {
        Self {
            index: vec![
                Entry {
                    id: 7,
                    ..Entry::default()
                };
                1000
            ],
            table: Box::new([Class::new("old"); MAX_CLASSES]),
        }
    }
}

fn open<'a>(flash: &mut SimFlash, area: Area, ram: &'a mut Ram) -> SampleStore<'a> {
    let Ram { index, table } = ram;
    SampleStore::open(flash, area, TRUNK, FEATURES, index, table).expect("opens")
}

/// Contents after every step of an undisturbed run, and the number of flash operations.
fn clean(write_size: u32, blocks: u32, steps: &[Step]) -> (Vec<Content>, u64) {
    let (mut flash, area) = flash(write_size, blocks);
    let mut ram = Ram::new();
    let mut store = open(&mut flash, area, &mut ram);
    let mut states = vec![content(&flash, &store)];
    for step in steps {
        apply(&mut flash, &mut store, *step).unwrap();
        states.push(content(&flash, &store));
    }
    (states, flash.operations())
}

#[test]
fn samples_are_there_after_a_restart() {
    let (mut flash, area) = flash(4, 8);
    let mut ram = Ram::new();
    let mut store = open(&mut flash, area, &mut ram);
    for i in 1..=20 {
        let class = if i % 4 == 0 { "b" } else { "a" };
        let added = store
            .add(&mut flash, class, PoolKind::Max, i, &feature(i))
            .unwrap();
        assert_eq!(
            (added.id, added.evicted, added.repeated),
            (i as u32, None, false)
        );
        // Every eighth of its class.
        assert_eq!(added.held_out, class == "a" && [10, 21].contains(&i));
        let again = store
            .add(&mut flash, class, PoolKind::Max, i, &feature(i))
            .unwrap();
        assert!(again.repeated && again.id == added.id && again.held_out == added.held_out);
    }
    let before = content(&flash, &store);
    let counts = |s: &SampleStore<'_>| -> Vec<_> {
        s.classes()
            .iter()
            .map(|c| (c.name().to_string(), c.samples, c.held_out))
            .collect()
    };
    assert_eq!(counts(&store), [("a".into(), 15, 1), ("b".into(), 5, 0)]);
    assert_eq!(store.pool(), Some(PoolKind::Max));
    let mut ram = Ram::new();
    let mut store = open(&mut flash, area, &mut ram);
    assert_eq!(content(&flash, &store), before);
    // Another trunk's samples are none of ours; and back.
    let Ram { index, table } = &mut Ram::new();
    let foreign = SampleStore::open(&mut flash, area, [6; 32], FEATURES, index, table).unwrap();
    assert!(foreign.is_empty());
    let pool = store.add(&mut flash, "a", PoolKind::Avg, 99, &feature(99));
    assert_eq!(
        pool,
        Err(SampleError::Pool {
            stored: PoolKind::Max
        })
    );
    assert_eq!(
        store.clear_class(&mut flash, "c"),
        Err(SampleError::NoSuchClass)
    );
    assert_eq!(store.clear_class(&mut flash, "a"), Ok(15));
    assert_eq!(store.len(), 5);
    assert_eq!(store.clear_all(&mut flash), Ok(5));
    store
        .add(&mut flash, "a", PoolKind::Avg, 99, &feature(99))
        .unwrap();
    let mut ram = Ram::new();
    let store = open(&mut flash, area, &mut ram);
    assert_eq!((store.len(), store.pool()), (1, Some(PoolKind::Avg)));
}

/// Whatever the length of its features: as long as there is room for both, another trunk takes nothing away.
#[test]
fn another_trunk_takes_what_is_empty_first() {
    for features in [FEATURES, 300, 1000] {
        let (mut flash, area) = flash(4, 24);
        let mut ram = Ram::new();
        let mut store = open(&mut flash, area, &mut ram);
        for step in scenario(20) {
            apply(&mut flash, &mut store, step).unwrap();
        }
        let before = content(&flash, &store);
        let Ram { index, table } = &mut Ram::new();
        let other = SampleStore::open(&mut flash, area, [6; 32], features, index, table);
        let mut other = other.unwrap();
        let feature = vec![1; features];
        for token in 1..=4 {
            let added = other.add(&mut flash, "a", PoolKind::Avg, token, &feature);
            assert_eq!(added.unwrap().evicted, None);
        }
        let mut ram = Ram::new();
        let mut store = open(&mut flash, area, &mut ram);
        assert_eq!(content(&flash, &store), before, "{features}");
        // And back, with more of its own: now the other one loses.
        for step in scenario(200) {
            apply(&mut flash, &mut store, step).unwrap();
        }
        assert_eq!(store.len(), store.layout().capacity(), "{features}");
    }
}

#[test]
fn a_full_store_stays_balanced_and_wears_evenly() {
    let (mut flash, area) = flash(16, 8);
    let mut ram = Ram::new();
    let mut store = open(&mut flash, area, &mut ram);
    let capacity = store.layout().capacity();
    let (mut token, mut next) = (0, 0);
    let mut add = |store: &mut SampleStore<'_>, flash: &mut SimFlash, class: &str| {
        token += 1;
        store
            .add(flash, class, PoolKind::Avg, token, &feature(token))
            .unwrap()
    };
    for _ in 0..capacity {
        assert_eq!(add(&mut store, &mut flash, "many").evicted, None);
    }
    for i in 0..400 {
        let evicted = add(&mut store, &mut flash, ["few", "many", "rare"][i % 3]).evicted;
        assert!(evicted.is_some());
        next += 1;
    }
    assert_eq!((store.len(), next), (capacity, 400));
    let (min, max) = {
        let counts = store.classes().iter().map(|c| c.samples);
        (counts.clone().min().unwrap(), counts.max().unwrap())
    };
    assert!(max - min <= 1, "{:?}", store.classes());
    let wear = &flash.erases()[1..];
    let (least, most) = (wear.iter().min().unwrap(), wear.iter().max().unwrap());
    assert!(*most > 5 && *most < 2 * *least, "{wear:?}");
    assert_eq!(flash.erases()[0], 0, "outside the area");
}

#[test]
fn as_many_classes_as_the_table_takes() {
    let (mut flash, area) = flash(4, 60);
    let mut ram = Ram::new();
    let mut store = open(&mut flash, area, &mut ram);
    let mut add = |store: &mut SampleStore<'_>, name: &str, token: usize| {
        let feature = feature(token as u64);
        store.add(&mut flash, name, PoolKind::Avg, token as u64, &feature)
    };
    // The longest names there are, each new one before, between or behind the others.
    let names: Vec<String> = (0..MAX_CLASSES)
        .map(|i| format!("{:032}", i * 37 % MAX_CLASSES))
        .collect();
    for (i, name) in names.iter().enumerate() {
        add(&mut store, name, i + 1).unwrap();
    }
    assert_eq!(add(&mut store, "one more", 200), Err(SampleError::Classes));
    add(&mut store, &names[50], 201).unwrap();
    assert_eq!(store.clear_class(&mut flash, &names[3]), Ok(1));
    let mut left = [&names[..3], &names[4..]].concat();
    left.sort();
    let found = |store: &SampleStore<'_>| -> Vec<_> {
        store
            .classes()
            .iter()
            .map(|c| c.name().to_string())
            .collect()
    };
    assert_eq!(found(&store), left);
    let samples = store.classes().iter().map(|c| c.samples);
    assert_eq!(samples.sum::<u32>(), 100);
    let labels: Vec<_> = content(&flash, &store).into_iter().map(|c| c.0).collect();
    let in_order = [&names[..3], &names[4..], &[names[50].clone()]].concat();
    assert_eq!(labels, in_order);
    let mut ram = Ram::new();
    assert_eq!(found(&open(&mut flash, area, &mut ram)), left);
}

#[test]
fn what_is_refused() {
    let (mut flash, area) = flash(8, 4);
    let mut ram = Ram::new();
    let (short, table) = (&mut ram.index[..3], &mut ram.table);
    let opened = SampleStore::open(&mut flash, area, TRUNK, FEATURES, short, table);
    assert!(matches!(opened, Err(SampleError::Index { have: 3, .. })));
    let Ram { index, table } = &mut ram;
    let opened = SampleStore::open(&mut flash, area, TRUNK, 5000, index, table);
    assert!(matches!(opened, Err(SampleError::Area)));
    let mut store = open(&mut flash, area, &mut ram);
    for name in ["", "a\nb", "0123456789012345678901234567890123"] {
        let added = store.add(&mut flash, name, PoolKind::Avg, 0, &feature(1));
        assert_eq!(added, Err(SampleError::ClassName));
    }
    let short = store.add(&mut flash, "a", PoolKind::Avg, 0, &[1, 2]);
    assert_eq!(short, Err(SampleError::Feature { have: 2, need: 40 }));
    assert_eq!(flash.operations(), 0);
}

/// Cuts power at every operation of `steps`, repeats the interrupted step as a host would, and compares with
/// the undisturbed run. Returns the number of cuts.
fn cut_everywhere(write_size: u32, blocks: u32, steps: &[Step], again: bool) -> u64 {
    let (states, operations) = clean(write_size, blocks, steps);
    let torn = [
        Torn::Nothing,
        Torn::Front(0),
        Torn::Front(400),
        Torn::Front(999),
        Torn::Back(300),
        Torn::Back(800),
        Torn::All,
    ];
    let mut cuts = 0;
    for operation in 0..operations {
        for torn in torn {
            let at = format!("operation {operation}, {torn:?}, unit {write_size}");
            let (mut flash, area) = flash(write_size, blocks);
            flash.cut_power(PowerCut {
                operation,
                torn,
                seed: operation,
            });
            let mut ram = Ram::new();
            let mut store = open(&mut flash, area, &mut ram);
            let done = steps
                .iter()
                .position(|s| apply(&mut flash, &mut store, *s).is_err());
            let done = done.expect("power fails at some step");
            cuts += 1;
            flash.restore_power();
            if again {
                // Power fails during the recovery, too.
                flash.cut_power(PowerCut {
                    operation: 0,
                    torn: Torn::Front(500),
                    seed: operation,
                });
                let Ram { index, table } = &mut Ram::new();
                let _ = SampleStore::open(&mut flash, area, TRUNK, FEATURES, index, table);
                flash.restore_power();
            }
            let mut ram = Ram::new();
            let mut store = open(&mut flash, area, &mut ram);
            let found = content(&flash, &store);
            let one_of_two = [&states[done], &states[done + 1]].contains(&&found);
            assert!(
                one_of_two || matches!(steps[done], Step::ClearClass(_)),
                "{at}"
            );
            for (i, step) in steps.iter().enumerate().skip(done) {
                match apply(&mut flash, &mut store, *step) {
                    Ok(()) => (),
                    // All were deleted before power failed.
                    Err(SampleError::NoSuchClass) if i == done => (),
                    // A unit that was touched by the cut but looks erased.
                    Err(SampleError::Flash(FlashError::Verify { .. })) if i == done => {
                        apply(&mut flash, &mut store, *step).expect(&at)
                    }
                    Err(error) => panic!("{at}, step {i}: {error}"),
                }
                assert_eq!(content(&flash, &store), states[i + 1], "{at}, step {i}");
            }
        }
    }
    cuts
}

#[test]
fn power_may_fail_at_every_operation() {
    let steps = scenario(44);
    let mut cuts = cut_everywhere(8, 3, &steps, false);
    cuts += cut_everywhere(32, 3, &steps, true);
    cuts += cut_everywhere(1, 3, &steps[..36], true);
    assert!(cuts > 2000, "{cuts}");
}

#[test]
fn power_may_fail_while_a_class_is_cleared() {
    let mut steps = scenario(20);
    steps.push(Step::ClearClass("rose"));
    steps.extend((100..125).map(|i| Step::Add("rose", i)));
    cut_everywhere(4, 3, &steps, false);
}
