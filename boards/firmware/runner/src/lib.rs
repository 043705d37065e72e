//! The image that measures a model on a microcontroller: it runs the engine and the head, without the device
//! application, and reports time, stack and checksums of the results. It takes what an application that only classifies
//! would take.
//!
//! Model and inputs are in memory when it starts: the `.edge` file at the start of region `model`, the inputs after it
//! ([`runner_report::JOB_LEN`]). Reports go to the host by semihosting ([`runner_report`]). Nothing is stored, so the
//! image needs no memory besides that of inference. Knows no board: the crate of a board passes its regions with
//! [`machine!`].

#![no_std]
#![warn(missing_docs)]
#![forbid(clippy::undocumented_unsafe_blocks)]

mod clock;
mod host;
mod stack;

use clock::Clock;
use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, exception};
use edge_runtime::engine::Engine;
use edge_runtime::head::Head;
use edge_runtime::model::{ALIGNMENT, Model, align};
use host::Host;
use runner_report::{JOB_LEN, Report, failure, kind};
use sha2::{Digest, Sha256};

/// Two regions of a board, each with first address and length in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Regions {
    /// Model and inputs.
    pub model: (u32, u32),
    /// RAM for the arena and for the head's vectors.
    pub arena: (u32, u32),
}

/// Runs all inputs, reports, and ends the machine.
///
/// # Safety
/// Call this once and first. The regions must be memory of the machine that nothing else uses.
pub unsafe fn run(regions: &Regions) -> ! {
    let ((model, model_len), (arena, arena_len)) = (regions.model, regions.arena);
    // SAFETY: the caller promises it, and bytes may have any value.
    let (region, memory) = unsafe {
        let model = core::ptr::with_exposed_provenance(model as usize);
        let arena = core::ptr::with_exposed_provenance_mut(arena as usize);
        (
            core::slice::from_raw_parts(model, model_len as usize),
            core::slice::from_raw_parts_mut(arena, arena_len as usize),
        )
    };
    // SAFETY: called once and first, so nothing else has the peripherals.
    let core = unsafe { cortex_m::Peripherals::steal() };
    host::end(work(region, memory, &Clock::start(core.SYST)))
}

fn work(region: &[u8], memory: &mut [u8], clock: &Clock) -> Result<(), u32> {
    let mut host = Host::open();
    host.send(&Report {
        kind: kind::CLOCK,
        ticks: clock.calibrate(),
        ..Report::default()
    });
    // By reference: a copy would be 700 bytes of stack.
    let opened = Model::parse_region(region);
    let Ok(model) = &opened else {
        return Err(failure::MODEL);
    };
    let inputs = Inputs::after(model, region).ok_or(failure::INPUTS)?;
    let mut memory = Memory::new(model, memory)?;
    // First a whole inference without interruption, for its time and its stack.
    let ticks = infer(model, inputs.get(0)?, &mut memory, clock)?;
    host.send(&Report {
        kind: kind::INFERENCE,
        ticks,
        value: stack::high_water(),
        ..Report::default()
    });
    for input in 0..inputs.count {
        let values = inputs.get(input)?;
        observe(model, (input, values), &mut memory, clock, &mut host)?;
    }
    Ok(())
}

// These are not inlined, so that the stack of one is not in use while another runs.

/// Runs an inference and returns its ticks.
#[inline(never)]
fn infer(
    model: &Model<'_>,
    input: &[i8],
    memory: &mut Memory<'_>,
    clock: &Clock,
) -> Result<u64, u32> {
    let mut engine = Engine::new(model, memory.arena).map_err(|_| failure::ENGINE)?;
    engine.input_mut().copy_from_slice(input);
    let start = clock.ticks();
    let map = engine.run();
    if let Some(head) = model.head() {
        head.feature(map, memory.feature);
        head.logits(memory.feature, memory.logits);
    }
    Ok(clock.ticks() - start)
}

/// Runs an inference layer by layer and reports each. Hashing and reporting are not counted.
#[inline(never)]
fn observe(
    model: &Model<'_>,
    (input, values): (u32, &[i8]),
    memory: &mut Memory<'_>,
    clock: &Clock,
    host: &mut Host,
) -> Result<(), u32> {
    let mut engine = Engine::new(model, memory.arena).map_err(|_| failure::ENGINE)?;
    engine.input_mut().copy_from_slice(values);
    let mut start = clock.ticks();
    let map = engine.run_observed(|layer, output| {
        let ticks = clock.ticks() - start;
        host.send(&Report {
            kind: kind::LAYER,
            input,
            ticks,
            value: layer as u32,
            digests: [digest(bytemuck::cast_slice(output)), [0; 32]],
            ..Report::default()
        });
        start = clock.ticks();
    });
    if let Some(head) = model.head() {
        start = clock.ticks();
        head.feature(map, memory.feature);
        head.logits(memory.feature, memory.logits);
        let ticks = clock.ticks() - start;
        host.send(&Report {
            kind: kind::HEAD,
            input,
            ticks,
            digests: [
                digest(bytemuck::cast_slice(memory.feature)),
                digest(bytemuck::cast_slice(memory.logits)),
            ],
            ..Report::default()
        });
    }
    Ok(())
}

#[inline(never)]
fn digest(bytes: &[u8]) -> runner_report::Digest {
    Sha256::digest(bytes).into()
}

/// The inputs after the model.
struct Inputs<'a> {
    count: u32,
    len: usize,
    values: &'a [i8],
}

impl<'a> Inputs<'a> {
    fn after(model: &Model<'_>, region: &'a [u8]) -> Option<Self> {
        let start = align(usize::try_from(model.header().file_len()).ok()?);
        let (job, values) = region.get(start..)?.split_at_checked(JOB_LEN)?;
        Some(Self {
            count: u32::from_le_bytes(*job.first_chunk()?),
            len: model.input().shape.len(),
            values: bytemuck::cast_slice(values),
        })
    }

    fn get(&self, index: u32) -> Result<&'a [i8], u32> {
        let inside = (index < self.count).then_some(());
        let start = inside.and_then(|()| self.len.checked_mul(index as usize));
        let values = start.and_then(|start| self.values.get(start..)?.get(..self.len));
        values.ok_or(failure::INPUTS)
    }
}

/// The memory of an inference besides stack and static variables.
struct Memory<'r> {
    arena: &'r mut [i8],
    feature: &'r mut [i8],
    logits: &'r mut [f32],
}

impl<'r> Memory<'r> {
    fn new(model: &Model<'_>, memory: &'r mut [u8]) -> Result<Self, u32> {
        let (features, classes) = model.head().map_or((0, 0), sizes);
        let (arena, logits) = (model.arena_bytes(), size_of::<f32>() * classes);
        let need = align(arena) + align(logits) + features;
        let memory = memory.get_mut(..need).ok_or(failure::MEMORY)?;
        if !memory.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(failure::ENGINE);
        }
        let (arena, rest) = memory.split_at_mut(align(arena));
        let (scores, feature) = rest.split_at_mut(align(logits));
        let scores = scores.get_mut(..logits).unwrap_or_default();
        Ok(Self {
            arena: bytemuck::cast_slice_mut(arena),
            feature: bytemuck::cast_slice_mut(feature),
            logits: bytemuck::try_cast_slice_mut(scores).map_err(|_| failure::ENGINE)?,
        })
    }
}

/// Lengths of a head's feature vector and logits.
fn sizes(head: &Head<'_>) -> (usize, usize) {
    (head.features(), head.classes())
}

/// Does not read the panic's message and location, so that these are not linked.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    host::end(Err(failure::PANIC))
}

#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    host::end(Err(failure::FAULT))
}

/// The main program on a machine. Includes `runner.rs`, which the build script generates.
#[macro_export]
macro_rules! machine {
    () => {
        include!(concat!(env!("OUT_DIR"), "/runner.rs"));

        #[cortex_m_rt::entry]
        fn main() -> ! {
            // SAFETY: the entry runs once, and the regions are this machine's.
            unsafe { $crate::run(&REGIONS) }
        }
    };
}
