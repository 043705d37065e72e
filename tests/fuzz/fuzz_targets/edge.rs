//! The reader of `.edge` files gives a model or an error, and a model that it lets through runs.
#![no_main]

use edge_runtime::engine::Engine;
use edge_runtime::model::{AlignedBytes, DType, Model};

/// Enough for the seeds; larger arenas only cost time.
const ARENA: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut file = AlignedBytes::zeroed(bytes.len());
    file.copy_from_slice(bytes);
    // The checksum is right in every mutant, or none would get past it.
    graft_tests::reseal(&mut file);
    let Ok(model) = Model::parse(&file) else { return };
    if model.dtype() == DType::I8 && model.arena_bytes() <= ARENA {
        let mut arena = vec![0; model.arena_bytes()];
        Engine::new(&model, &mut arena).expect("the arena is as the model says").run();
    }
});
