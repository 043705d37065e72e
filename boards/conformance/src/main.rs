//! Runs the networks of the conformance suite on an emulated Cortex-M: the engine with this processor's kernels,
//! every layer's output sent to the host, which compares it with the reference (`tests/conformance_qemu.rs`).
//!
//! Before each inference the arena and what lies around it are filled with a pattern. What the plan gives to nobody
//! must hold it afterwards, up to the byte behind every output: a kernel that writes too far is noticed.
#![no_std]
#![no_main]

mod host;

use conformance_message::{command, kind};
use core::fmt::Write;
use core::panic::PanicInfo;
use cortex_m_rt::entry;
use edge_runtime::engine::Engine;
use edge_runtime::model::{ALIGNMENT, Model, Operand, Scratch, align};
use host::Host;

/// Largest model and arena.
const ROOM: usize = 1 << 19;

/// Bytes around the arena that nobody may write to.
const GUARD: usize = 64;

/// What is in memory that nobody has written.
const PATTERN: i8 = 0x55;

#[repr(C, align(16))]
struct Memory {
    model: [u8; ROOM],
    arena: [i8; ROOM + 2 * GUARD],
}

#[entry]
fn main() -> ! {
    let mut host = Host::open();
    let memory = cortex_m::singleton!(: Memory = Memory {
        model: [0; ROOM],
        arena: [0; ROOM + 2 * GUARD],
    });
    let Some(memory) = memory else {
        host.fail(b"its memory is taken");
    };
    let mut next = host.command();
    loop {
        let [command::LOAD, len] = next else {
            host.fail(b"a model has to come first");
        };
        let Some(bytes) = memory.model.get_mut(..len as usize) else {
            host.fail(b"the model is too large");
        };
        host.read(bytes);
        next = match Model::parse(bytes) {
            Ok(model) => serve(&model, &mut memory.arena, &mut host),
            Err(error) => {
                refuse(&mut host, &error);
                host.command()
            }
        };
    }
}

/// Runs a model as often as the host wants; its next other command.
fn serve(model: &Model<'_>, arena: &mut [i8], host: &mut Host) -> [u32; 2] {
    let end = GUARD + model.arena_bytes();
    if let Err(error) = Engine::check_layouts(model) {
        refuse(host, &error);
        return host.command();
    }
    if end + GUARD > arena.len() {
        refuse(host, &"its arena is too large");
        return host.command();
    }
    host.send(kind::READY, 0, &[]);
    let arena = &mut arena[..end + GUARD];
    loop {
        let next = host.command();
        let [command::RUN, _] = next else {
            return next;
        };
        arena.fill(PATTERN);
        let Ok(mut engine) = Engine::new(model, &mut arena[GUARD..end]) else {
            Host::open().fail(b"the engine refuses what it has accepted");
        };
        host.read(bytemuck::cast_slice_mut(engine.input_mut()));
        engine.run_observed(|layer, values| {
            host.send(kind::LAYER, layer, bytemuck::cast_slice(values));
        });
        if let Some(layer) = outside(model, arena) {
            host.send(kind::OUTSIDE, layer, &[]);
        }
        let output = model.output();
        let last = &arena[GUARD + output.offset as usize..][..output.shape.len()];
        host.send(kind::DONE, 0, bytemuck::cast_slice(last));
    }
}

/// The layer that wrote where nothing is, if there is one.
fn outside(model: &Model<'_>, arena: &[i8]) -> Option<usize> {
    let untouched = |bytes: &[i8]| bytes.iter().all(|q| *q == PATTERN);
    let (before, rest) = arena.split_at(GUARD);
    let (inside, behind) = rest.split_at(model.arena_bytes());
    if !untouched(before) || !untouched(behind) {
        return Some(0);
    }
    let gap = |o: &Operand| {
        let end = o.offset as usize + o.shape.len();
        end..align(end)
    };
    model.layers().position(|layer| {
        let gap = gap(&layer.output);
        let taken = |other: edge_runtime::model::Layer<'_>| {
            let scratch = other.scratch().is_some_and(|s: Scratch| {
                let start = s.offset as usize;
                start < gap.end && gap.start < start + s.len as usize
            });
            let o = other.output;
            let start = o.offset as usize;
            scratch || start < gap.end && gap.start < start + o.shape.len()
        };
        let mut others = model.layers();
        !others.any(taken) && !untouched(&inside[gap])
    })
}

fn refuse(host: &mut Host, why: &dyn core::fmt::Display) {
    let mut text = Text::default();
    let _ = write!(text, "{why}");
    host.send(kind::REFUSED, 0, text.bytes());
}

/// A message in the making; what does not fit is left out.
struct Text {
    bytes: [u8; 256],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            bytes: [0; 256],
            len: 0,
        }
    }
}

impl Text {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        for byte in s.bytes() {
            if let Some(to) = self.bytes.get_mut(self.len) {
                *to = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut text = Text::default();
    let _ = write!(text, "{info}");
    Host::open().fail(text.bytes())
}

const _: () = assert!(GUARD.is_multiple_of(ALIGNMENT));
