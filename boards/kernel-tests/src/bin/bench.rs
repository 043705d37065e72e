//! Runs the model that lies in the board's PSRAM and counts: instructions per layer, arena, static
//! variables, stack. Prints a hash of every layer's output, to be compared with another build or packing.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use cortex_m::Peripherals;
use cortex_m_rt::entry;
use edge_runtime::engine::Engine;
use edge_runtime::model::Model;
use edge_runtime::model::header::Header;
use kernel_tests::{exit, print::Line, random::Random, stack, systick::Counter};

/// Where `./run` places the model.
const MODEL: usize = if cfg!(m33) {
    0x8000_0000
} else if cfg!(feature = "m55") {
    0x6000_0000
} else {
    0x2100_0000
};

/// Length of the PSRAM.
const ROOM: usize = 16 << 20;

/// Room for any arena of these boards.
const ARENA: usize = 2 << 20;

/// Layers that are told apart.
const LAYERS: usize = 256;

/// Static variables of the measurement.
const MINE: usize = ARENA + size_of::<Results>();

#[repr(C, align(16))]
struct Arena([i8; ARENA]);

/// What the measurement keeps: not on the stack, which it measures.
struct Results {
    instructions: [u64; LAYERS],
    hashes: [u32; LAYERS],
    feature: [i8; 2048],
    logits: [f32; 1024],
    /// Instructions of the head.
    head: u64,
}

#[entry]
fn main() -> ! {
    stack::paint();
    // SAFETY: the PSRAM is RAM that nothing else uses; QEMU fills it with zeros or the model.
    let memory = unsafe { core::slice::from_raw_parts(MODEL as *const u8, ROOM) };
    let result = match (ARENA_MEMORY.take(), RESULTS.take(), Peripherals::take()) {
        (Some(arena), Some(results), Some(core)) => {
            run(memory, arena, results, &mut Counter::new(core.SYST))
        }
        _ => Err("started twice"),
    };
    if let Err(problem) = result {
        complain(problem);
    }
    exit(result.is_ok())
}

#[inline(never)]
fn complain(problem: &str) {
    Line::new().text(problem).print();
}

/// A static variable that is handed out once. (`cortex_m::singleton!` builds its value on the stack.)
struct Once<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: only the first call of `take` gets at the value.
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    const fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    fn take(&'static self) -> Option<&'static mut T> {
        let first = !self.taken.swap(true, Ordering::Relaxed);
        // SAFETY: nobody had the value before, and nobody gets it again.
        first.then(|| unsafe { &mut *self.value.get() })
    }
}

static ARENA_MEMORY: Once<Arena> = Once::new(Arena([0; ARENA]));

static RESULTS: Once<Results> = Once::new(Results {
    instructions: [0; LAYERS],
    hashes: [0; LAYERS],
    feature: [0; 2048],
    logits: [0.0; 1024],
    head: 0,
});

fn run(
    memory: &'static [u8],
    arena: &'static mut Arena,
    results: &mut Results,
    counter: &mut Counter,
) -> Result<(), &'static str> {
    let file = Header::read(memory).map_err(|_| "there is no model in the PSRAM")?;
    let bytes = memory
        .get(..file.file_len() as usize)
        .ok_or("the model is cut off")?;
    let model = &Model::parse(bytes);
    let model = model
        .as_ref()
        .map_err(|_| "the model is refused: inspect it on the host")?;
    let reading = stack::high_water();
    let arena = arena
        .0
        .get_mut(..model.arena_bytes())
        .ok_or("the arena is too small")?;
    let mut engine = Engine::new(model, arena).map_err(|_| "there is no kernel for the model")?;

    // Once for the stack, undisturbed by counting and hashing.
    stack::paint();
    Random(1).fill(engine.input_mut(), false, i8::MIN);
    engine.run();
    let running = stack::high_water();
    count(model, &mut engine, results, counter);
    report(model, bytes.len(), results, [reading, running]);
    Ok(())
}

/// Once more for the instructions; hashing is not counted.
#[inline(never)]
fn count(
    model: &Model<'_>,
    engine: &mut Engine<'_, '_>,
    results: &mut Results,
    counter: &mut Counter,
) {
    Random(1).fill(engine.input_mut(), false, i8::MIN);
    counter.lap();
    let map = engine.run_observed(|layer, values| {
        let count = counter.lap();
        if layer < LAYERS {
            results.instructions[layer] = count;
            results.hashes[layer] = fnv(values);
        }
        counter.lap();
    });
    if let Some(head) = model.head() {
        let feature = results.feature.get_mut(..head.features());
        let logits = results.logits.get_mut(..head.classes());
        if let (Some(feature), Some(logits)) = (feature, logits) {
            counter.lap();
            head.feature(map, feature);
            head.logits(feature, logits);
            results.head = counter.lap();
        }
    }
}

#[inline(never)]
fn report(model: &Model<'_>, file: usize, results: &Results, [reading, running]: [usize; 2]) {
    let mut line = Line::new();
    let (mut total, mut macs) = (results.head, 0);
    for (i, layer) in model.layers().take(LAYERS).enumerate() {
        let instructions = results.instructions[i];
        total += instructions;
        macs += layer.macs();
        line.text("layer")
            .number(i as u64)
            .text(layer.name)
            .text(layer.op.name());
        line.text("out").number(layer.output.shape.len() as u64);
        line.text("macs")
            .number(layer.macs())
            .text("insns")
            .number(instructions);
        line.text("hash").hex(results.hashes[i]).print();
    }
    line.text("head insns").number(results.head).print();
    line.text("total macs")
        .number(macs)
        .text("insns")
        .number(total);
    line.text("insns per 1000 macs")
        .number(1000 * total / macs.max(1))
        .print();
    let (stack, statics) = (reading.max(running), stack::statics() - MINE);
    line.text("ram: arena").number(model.arena_bytes() as u64);
    line.text("statics")
        .number(statics as u64)
        .text("stack")
        .number(stack as u64);
    line.text("(reading")
        .number(reading as u64)
        .text("running")
        .number(running as u64)
        .text(")");
    line.text("total")
        .number((model.arena_bytes() + stack + statics) as u64)
        .print();
    let code = stack::code();
    line.text("flash: code")
        .number(code as u64)
        .text("model")
        .number(file as u64);
    line.text("total").number((code + file) as u64).print();
}

/// FNV-1a.
fn fnv(values: &[i8]) -> u32 {
    let step = |hash: u32, v: &i8| (hash ^ *v as u8 as u32).wrapping_mul(0x0100_0193);
    values.iter().fold(0x811c_9dc5, step)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |l| l.line());
    Line::new()
        .text("panic in line")
        .number(line as u64)
        .print();
    exit(false)
}
