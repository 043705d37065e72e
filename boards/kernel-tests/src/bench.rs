//! Runs a model and counts: instructions per layer, arena, static variables, stack.

use crate::{random::Random, stack, systick::Counter};
use cortex_m_semihosting::hprintln;
use edge_runtime::engine::Engine;
use edge_runtime::model::header::Header;
use edge_runtime::model::Model;

/// Room for any arena of these boards.
const ARENA: usize = 2 << 20;

#[repr(C, align(16))]
struct Arena([i8; ARENA]);

/// True if the model ran.
pub fn run(memory: &'static [u8]) -> bool {
    let file = Header::read(memory).ok().map(|h| h.file_len() as usize);
    let Some(bytes) = file.and_then(|len| memory.get(..len)) else {
        hprintln!("the model is cut off");
        return false;
    };
    let model = match Model::parse(bytes) {
        Ok(model) => model,
        Err(e) => {
            hprintln!("{}", e);
            return false;
        }
    };
    let Some(arena) = cortex_m::singleton!(: Arena = Arena([0; ARENA])) else {
        return false;
    };
    let Some(core) = cortex_m::Peripherals::take() else {
        return false;
    };
    let Some(arena) = arena.0.get_mut(..model.arena_bytes()) else {
        hprintln!("the arena needs {} bytes", model.arena_bytes());
        return false;
    };
    let mut counter = Counter::new(core.SYST);
    let mut engine = match Engine::new(&model, arena) {
        Ok(engine) => engine,
        Err(e) => {
            hprintln!("{}", e);
            return false;
        }
    };
    let mut counts = [0u64; 256];
    let mut hashes = [0u32; 256];

    // Once for the stack, undisturbed by printing and hashing.
    Random(1).fill(engine.input_mut(), false, i8::MIN);
    stack::paint();
    engine.run();
    let stack = stack::high_water();

    // Once for the instructions; the time for hashing is not counted.
    Random(1).fill(engine.input_mut(), false, i8::MIN);
    counter.lap();
    let map = engine.run_observed(|layer, values| {
        if let (Some(count), Some(hash)) = (counts.get_mut(layer), hashes.get_mut(layer)) {
            *count = counter.lap();
            *hash = fnv(values);
            counter.lap();
        }
    });
    counter.lap();
    let mut head_count = 0;
    if let Some(head) = model.head() {
        let (mut feature, mut logits) = ([0; 2048], [0.0; 1024]);
        let sizes = (head.features(), head.classes());
        if let (Some(feature), Some(logits)) =
            (feature.get_mut(..sizes.0), logits.get_mut(..sizes.1))
        {
            counter.lap();
            head.feature(map, feature);
            head.logits(feature, logits);
            head_count = counter.lap();
        }
    }
    let (mut total, mut macs) = (head_count, 0);
    for (i, layer) in model.layers().enumerate() {
        let (Some(count), Some(hash)) = (counts.get(i), hashes.get(i)) else {
            break;
        };
        total += count;
        macs += layer.macs();
        let outputs = layer.output.shape.len() as u64;
        hprintln!(
            "layer {} {} {} out {} macs {} insns {} per-100-macs {} per-10-outputs {} hash {:08x}",
            i,
            layer.name,
            layer.op.name(),
            layer.output.shape,
            layer.macs(),
            count,
            100 * count / layer.macs().max(1),
            10 * count / outputs,
            hash
        );
    }
    hprintln!("head insns {}", head_count);
    hprintln!("total insns {} macs {} per-1000-macs {}", total, macs, 1000 * total / macs.max(1));
    hprintln!(
        "ram arena {} stack {} statics {} total {}",
        model.arena_bytes(),
        stack,
        stack::statics() - ARENA,
        model.arena_bytes() + stack + stack::statics() - ARENA
    );
    hprintln!("model bytes {}", bytes.len());
    true
}

/// FNV-1a.
fn fnv(values: &[i8]) -> u32 {
    let step = |hash: u32, v: &i8| (hash ^ *v as u8 as u32).wrapping_mul(0x0100_0193);
    values.iter().fold(0x811c_9dc5, step)
}
