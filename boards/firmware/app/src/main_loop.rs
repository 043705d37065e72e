//! The main loop: opens the model in its region, starts the application on the board's parts, and serves the host. If
//! there is no usable model, or a host sends another one, a loader takes over, and then the device restarts.

use crate::board::Board;
use crate::{fault, log, stack_use, trusted_key};
use cortex_m::peripheral::SCB;
use edge_runtime::device::app::{App, Config};
use edge_runtime::device::load::{Limits, Load, Loader, ModelRegion, ModelStore};
use edge_runtime::device::memory::{Areas, MemoryPlan};
use edge_runtime::device::protocol::StackUse;
use edge_runtime::device::server::{LoadServer, RX_LEN, Server, TX_LEN};
use edge_runtime::device::{Clock, EventKind, NotReady};
use edge_runtime::flash::Flash;
use edge_runtime::model::Model;
use edge_runtime::power::PowerMeter;
use edge_runtime::signature::Trust;
use embedded_io::{Read, Write};

/// Most bytes that are read from the serial line at once.
const MAX_READ: usize = 64;

/// Runs the device; never returns. Call it once, with interrupts enabled.
pub fn run<L, F, M, C, P>(board: Board<L, F, M, C, P>) -> !
where
    L: Read + Write,
    F: Flash,
    M: Flash,
    C: Clock,
    P: PowerMeter,
{
    let mut wire = Wire(board.line);
    let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
    let mut parts = Parts {
        name: board.name,
        flash: board.flash,
        areas: board.areas,
        clock: board.clock,
        power: board.power,
        model: ModelRegion::new(board.model),
        memory: board.memory,
    };
    let trust = trusted_key::built_in();
    let limits = parts.limits(trust);
    let (reason, load) = match serve(&mut parts, trust, limits, &mut wire, &mut rx, &mut tx) {
        Ok(load) => (loading(&load), Some(load)),
        Err(reason) => (reason, None),
    };
    log::not_ready(&reason);
    // The application has ended, so nothing reads the model any more.
    let loader = Loader::new(&mut parts.model, limits, reason);
    wait_for_model(loader, load, &mut wire, &mut rx, &mut tx)
}

/// Without an application: serves a host that sends a model, until the device restarts.
#[inline(never)]
fn wait_for_model<L: Read + Write, S: ModelStore>(
    loader: Loader<S>,
    load: Option<Load>,
    wire: &mut Wire<L>,
    rx: &mut [u8; RX_LEN],
    tx: &mut [u8; TX_LEN],
) -> ! {
    let mut vacant = LoadServer::new(loader, rx, tx);
    if let Some(load) = load {
        vacant.begin(&load, &mut |frame| wire.send(frame));
    }
    loop {
        let mut piece = [0; MAX_READ];
        vacant.receive(wire.receive(&mut piece), &mut |frame| wire.send(frame));
        if vacant.reset_requested() {
            restart();
        }
    }
}

/// Runs the application until a host sends a model. A function of its own, so that its stack is free for the loader.
///
/// # Errors
/// Why the application cannot run.
#[inline(never)]
fn serve<L, F, M, C, P>(
    parts: &mut Parts<F, M, C, P>,
    trust: Option<Trust>,
    limits: Limits,
    wire: &mut Wire<L>,
    rx: &mut [u8; RX_LEN],
    tx: &mut [u8; TX_LEN],
) -> Result<Load, NotReady>
where
    L: Read + Write,
    F: Flash,
    M: Flash,
    C: Clock,
    P: PowerMeter,
{
    let last = fault::take();
    if let Some(last) = &last {
        log::fault(last);
    }
    let faults = fault::in_a_row();
    if faults >= fault::MOST_IN_A_ROW {
        return Err(NotReady::Faults { faults });
    }
    let trust = trusted_key::require(trust, parts.model.bytes())?;
    // Model and application are used where they are created: moving them would copy them on the stack.
    let opened = Model::parse_region(parts.model.bytes());
    let model = opened.as_ref().map_err(NotReady::from)?;
    let (geometry, ram) = (parts.flash.geometry(), parts.memory.len());
    let plan = MemoryPlan::largest(model, &geometry, &parts.areas, ram);
    let plan = plan.map_err(|e| NotReady::from(&e))?;
    let config = Config {
        areas: parts.areas,
        classes: plan.classes,
        trust,
        stack: Some(measure_stack),
        load: Some(limits),
    };
    let mut started = App::new(
        model,
        &mut parts.flash,
        &parts.clock,
        &mut parts.power,
        &mut *parts.memory,
        &config,
    );
    let app = started.as_mut().map_err(|e| NotReady::from(&*e))?;
    if let Some(last) = last {
        app.note(EventKind::Fault(last));
    }
    defmt::info!(
        "{=str} runs {=str}: {=usize} bytes of RAM, up to {=usize} classes",
        parts.name,
        model.manifest().name,
        plan.total(),
        plan.classes,
    );
    let mut server = Server::new(app, rx, tx);
    loop {
        let mut piece = [0; MAX_READ];
        let mut answered = false;
        server.receive(wire.receive(&mut piece), &mut |frame| {
            answered = true;
            wire.send(frame);
        });
        if server.app().reset_requested() {
            restart();
        }
        if server.app().load_requested() {
            break;
        }
        if answered {
            fault::forget();
        }
    }
    app.take_load().ok_or(NotReady::NoModel)
}

/// What the device answers while it receives a model.
fn loading(load: &Load) -> NotReady {
    NotReady::Loading {
        have: 0,
        need: load.file.len,
    }
}

/// The parts of a board without the serial line.
struct Parts<F, M, C, P> {
    name: &'static str,
    flash: F,
    areas: Areas,
    clock: C,
    power: P,
    model: ModelRegion<M>,
    memory: &'static mut [u8],
}

impl<F: Flash, M: Flash, C, P> Parts<F, M, C, P> {
    /// Which models fit this board. None, if the trusted key is not valid.
    fn limits(&self, trust: Option<Trust>) -> Limits {
        Limits {
            capacity: trust.map_or(0, |_| self.model.capacity()),
            keeps_old: self.model.keeps_old(),
            geometry: self.flash.geometry(),
            areas: self.areas,
            ram: self.memory.len(),
            // The fewest that can be trained. With the model loaded, as many are planned for as there is room for.
            classes: 2,
            trust: trust.unwrap_or_default(),
        }
    }
}

/// The serial line. Its errors are ignored: they only lose bytes, and the protocol repeats what is lost.
struct Wire<L>(L);

impl<L: Read + Write> Wire<L> {
    /// Waits for bytes; returns none after an error.
    fn receive<'p>(&mut self, piece: &'p mut [u8; MAX_READ]) -> &'p [u8] {
        let count = self.0.read(piece).unwrap_or(0);
        piece.get(..count).unwrap_or_default()
    }

    fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).and_then(|()| self.0.flush());
    }
}

/// Use of the stack, for a host that asks; also logs it.
fn measure_stack() -> StackUse {
    let stack = stack_use();
    defmt::info!(
        "stack: {=u32} bytes of {=u32} used at most",
        stack.used,
        stack.size
    );
    stack
}

/// Restarts the device, as a host asked.
fn restart() -> ! {
    fault::forget();
    defmt::info!("restarts, as the host asked");
    defmt::flush();
    SCB::sys_reset()
}
