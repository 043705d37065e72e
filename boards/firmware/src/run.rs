//! The main loop: opens the model in its region, starts the application on the board's parts, serves the
//! host; where that cannot be, or a host brings another model, a loader takes over, and then the device restarts.

use crate::board::Board;
use crate::{fault, stack_use, trust};
use cortex_m::peripheral::SCB;
use edge_runtime::device::app::{App, Config};
use edge_runtime::device::load::{Limits, Load, Loader, ModelRegion, ModelStore};
use edge_runtime::device::memory::{Areas, MemoryPlan};
use edge_runtime::device::protocol::StackUse;
use edge_runtime::device::server::{LoadServer, RX_LEN, Server, TX_LEN};
use edge_runtime::device::{Clock, EventKind, Fault, FaultKind, NotReady};
use edge_runtime::flash::Flash;
use edge_runtime::model::Model;
use edge_runtime::power::PowerMeter;
use edge_runtime::signature::Trust;
use embedded_io::{Read, Write};

/// Bytes that are taken from the line at a time.
const PIECE: usize = 64;

/// Runs the device for ever. Call it once, with interrupts enabled.
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
    let trust = trust::whom();
    let limits = parts.limits(trust);
    let (reason, load) = match serve(&mut parts, trust, limits, &mut wire, &mut rx, &mut tx) {
        Ok(load) => (loading(&load), Some(load)),
        Err(reason) => (reason, None),
    };
    log_reason(&reason);
    // The application is gone, and with it whatever read the model.
    let loader = Loader::new(&mut parts.model, limits, reason);
    wait(loader, load, &mut wire, &mut rx, &mut tx)
}

/// Serves a host that brings a model, until the device restarts.
#[inline(never)]
fn wait<L: Read + Write, S: ModelStore>(
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
        let mut piece = [0; PIECE];
        vacant.receive(wire.receive(&mut piece), &mut |frame| wire.send(frame));
        if vacant.reset_requested() {
            restart();
        }
    }
}

/// Runs the application until a host brings a model, or says why it cannot run. What it needs of the stack is
/// free again for the loader.
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
        log_fault(last);
    }
    let faults = fault::in_a_row();
    if faults >= fault::MOST_IN_A_ROW {
        return Err(NotReady::Faults { faults });
    }
    let trust = trust::judge(trust, parts.model.bytes())?;
    // Model and application are used where they were made: a move would be a copy on the stack.
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
        let mut piece = [0; PIECE];
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

/// What a device answers while a model comes.
fn loading(load: &Load) -> NotReady {
    NotReady::Loading {
        have: 0,
        need: load.file.len,
    }
}

/// A board without its line.
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
    /// Which models this board takes: none, if nobody's signature can be checked.
    fn limits(&self, trust: Option<Trust>) -> Limits {
        Limits {
            capacity: trust.map_or(0, |_| self.model.capacity()),
            keeps_old: self.model.keeps_old(),
            geometry: self.flash.geometry(),
            areas: self.areas,
            ram: self.memory.len(),
            // The fewest that can be trained: as many as fit will be.
            classes: 2,
            trust: trust.unwrap_or_default(),
        }
    }
}

/// The line, whose errors only lose bytes: the protocol asks again.
struct Wire<L>(L);

impl<L: Read + Write> Wire<L> {
    /// Waits for bytes; none after an error.
    fn receive<'p>(&mut self, piece: &'p mut [u8; PIECE]) -> &'p [u8] {
        let count = self.0.read(piece).unwrap_or(0);
        piece.get(..count).unwrap_or_default()
    }

    fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).and_then(|()| self.0.flush());
    }
}

/// The stack, for the host that asks and for the log.
fn measure_stack() -> StackUse {
    let stack = stack_use();
    defmt::info!(
        "stack: {=u32} bytes of {=u32} used at most",
        stack.used,
        stack.size
    );
    stack
}

/// Restarts because a host asked for it.
fn restart() -> ! {
    fault::forget();
    defmt::info!("restarts, as the host asked");
    defmt::flush();
    SCB::sys_reset()
}

fn log_fault(fault: &Fault) {
    let (at, row) = (fault.at, fault.in_a_row);
    match fault.kind {
        FaultKind::Panic => {
            let file = fault.file.as_str();
            defmt::error!(
                "restarted after a panic at {=str}:{=u32}, {=u32} in a row",
                file,
                at,
                row
            );
        }
        FaultKind::HardFault => {
            defmt::error!(
                "restarted after a hard fault at {=u32:#010x}, {=u32} in a row",
                at,
                row
            );
        }
        FaultKind::Exception => {
            defmt::error!("restarted after exception {=u32}, {=u32} in a row", at, row);
        }
    }
}

fn log_reason(reason: &NotReady) {
    match *reason {
        NotReady::NoModel => defmt::warn!("no model; load or flash one"),
        NotReady::Loading { need, .. } => {
            defmt::info!(
                "the application ends: a host brings a model of {=u32} bytes",
                need
            );
        }
        NotReady::ModelVersion { found } => {
            defmt::warn!(
                "the model has format version {=u16}; convert it again",
                found
            );
        }
        NotReady::DamagedModel => defmt::error!("the model is damaged; flash it again"),
        NotReady::FloatModel => defmt::error!("the model is float; convert it with --int8"),
        NotReady::Ram { have, need } => {
            defmt::error!("the model needs {=u32} bytes of RAM of {=u32}", need, have);
        }
        NotReady::Areas => defmt::error!("heads or samples of this model do not fit their regions"),
        NotReady::Flash { at } => defmt::error!("the flash failed at offset {=u32}", at),
        NotReady::Untrusted => defmt::error!("the model has no signature of the key; sign it"),
        NotReady::Faults { faults } => {
            defmt::error!(
                "{=u32} faults in a row: waits for a reset by the host",
                faults
            );
        }
    }
}
