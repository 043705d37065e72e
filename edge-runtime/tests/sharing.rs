//! Threads share what a backend has prepared: a session allocates activations and no weights.

use edge_runtime::backend::{BackendKind, Values};
use edge_runtime::model::Model;
use edge_runtime::random::Random;
use graft_tests::dense_model;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counting the bytes in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let before = IN_USE.fetch_add(layout.size(), Relaxed);
        PEAK.fetch_max(before + layout.size(), Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn sessions_of_many_threads_share_the_weights() {
    let bytes = dense_model();
    let model = Model::parse(&bytes).unwrap();
    let weights = bytes.len();
    assert!(weights > 1 << 20 && model.arena_bytes() < weights / 20);
    let mut random = Random::new(1);
    let inputs: Vec<Vec<i8>> = (0..8)
        .map(|_| {
            (0..model.input().shape.len())
                .map(|_| random.bits() as i8)
                .collect()
        })
        .collect();
    let mut by_backend = vec![];
    for kind in BackendKind::ALL {
        let prepared = kind.runtime().prepare(&model).unwrap();
        // The first session may finish the preparation.
        let mut session = prepared.clone().session().unwrap();
        let expected: Vec<Vec<i8>> = inputs
            .iter()
            .map(|input| match session.run(Values::I8(input)).unwrap() {
                Values::I8(map) => map.to_vec(),
                Values::F32(_) => panic!("an int8 model gives codes"),
            })
            .collect();
        let before = IN_USE.load(Relaxed);
        PEAK.store(before, Relaxed);
        std::thread::scope(|scope| {
            for (input, expected) in inputs.iter().zip(&expected) {
                let prepared = prepared.clone();
                scope.spawn(move || {
                    let mut session = prepared.session().unwrap();
                    let map = session.run(Values::I8(input)).unwrap();
                    assert_eq!(map, Values::I8(expected));
                });
            }
        });
        let taken = PEAK.load(Relaxed) - before;
        assert!(
            taken < weights,
            "{}: eight sessions took {taken} bytes, and the weights have {weights}",
            kind.name()
        );
        by_backend.push(expected);
    }
    assert!(by_backend.windows(2).all(|pair| pair[0] == pair[1]));
}
