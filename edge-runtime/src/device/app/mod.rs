//! The application: serves requests on a model, one block of memory, and the flash.
//!
//! [`App::handle`] takes a payload and gives payloads: messages of progress, then one reply. If a reply gets
//! lost, the host repeats its request, which is answered from memory and not executed again. Late requests
//! are ignored. Knows no frames and no transport; flash, clock and power meter are plugged in.

mod bench;
mod describe;
mod dispatch;
mod heads;
mod infer;
mod retrain;
mod samples;
mod transfer;
mod trunk;

use super::Clock;
use super::error::{DeviceError, NotReady};
use super::events::{EventKind, Events};
use super::load::{Limits, Load};
use super::memory::{self, Areas, MemoryPlan, PlanError};
use super::protocol::{self as p, Header, MAX_PAYLOAD, Message, Reply, Request, StackUse};
use super::samples::{Class, Entry, SampleError, SampleStore};
use super::send::send_error;
use crate::engine::{Engine, EngineError};
use crate::flash::Flash;
use crate::head::store::{HeadStore, StoreError};
use crate::model::Model;
use crate::power::PowerMeter;
use crate::signature::Trust;
use dispatch::Core;
use heads::Candidate;
use transfer::Transfer;
use trunk::Trunk;

/// Configuration of the application.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Where in the flash the stores are.
    pub areas: Areas,
    /// Most classes that can be trained; decides how much memory is needed.
    pub classes: usize,
    /// Which imported heads are accepted. The model itself must be checked before: [`Trust::check_model`].
    pub trust: Trust,
    /// Measures the stack of the program, if it can be measured.
    pub stack: Option<fn() -> StackUse>,
    /// Which models may be loaded; `None` if the program has no [`Loader`](super::load::Loader).
    pub load: Option<Limits>,
}

/// Why the application cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// The memory cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The memory is too short.
    #[error("this model with so many classes needs {need} bytes of RAM, and there are {have}")]
    Memory {
        /// Its length in bytes.
        have: usize,
        /// [`MemoryPlan::total`].
        need: usize,
    },
    /// The engine cannot run the model.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The head store cannot be opened.
    #[error(transparent)]
    Heads(#[from] StoreError),
    /// The sample store cannot be opened.
    #[error(transparent)]
    Samples(#[from] SampleError),
}

impl From<&AppError> for NotReady {
    fn from(e: &AppError) -> Self {
        match e {
            AppError::Plan(e) => e.into(),
            AppError::Memory { have, need } => (&PlanError::Ram {
                have: *have,
                need: *need,
            })
                .into(),
            AppError::Engine(EngineError::FloatModel) => Self::FloatModel,
            AppError::Engine(_) => Self::DamagedModel,
            AppError::Heads(StoreError::Flash(e)) | AppError::Samples(SampleError::Flash(e)) => {
                Self::Flash { at: e.at() }
            }
            AppError::Heads(_) | AppError::Samples(_) => Self::Areas,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Session {
    number: u32,
    last: u32,
}

/// The application on a device.
///
/// ```
/// use edge_runtime::device::app::{App, Config};
/// use edge_runtime::device::memory::MemoryPlan;
/// use edge_runtime::device::server::{RX_LEN, Server, TX_LEN};
/// use edge_runtime::flash::Flash;
/// use edge_runtime::power::NoMeter;
/// use edge_runtime::signature::Trust;
/// # use edge_runtime::{model::Model, sim::SimClock};
/// # let bytes = graft_tests::tiny::model();
/// # let model = Model::parse(&bytes)?;
/// # let (flash, clock) = (graft_tests::device::flash(), SimClock::new(1));
/// # let areas = graft_tests::device::AREAS;
///
/// let config = Config { areas, classes: 4, trust: Trust::Anyone, stack: None, load: None };
/// let plan = MemoryPlan::new(&model, &flash.geometry(), &config.areas, config.classes)?;
/// let mut memory = vec![0; plan.total()];
/// // Flash, clock and power meter are the device's.
/// let mut app = App::new(&model, flash, clock, NoMeter, &mut memory, &config)?;
/// let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
/// let mut server = Server::new(&mut app, &mut rx, &mut tx);
/// // In a loop: bytes from the line in, frames to the line out.
/// # let (bytes, mut line) = (vec![0u8; 3], vec![]);
/// server.receive(&bytes, &mut |frame| line.extend_from_slice(frame));
/// if server.app().reset_requested() {
///     // Restart the device.
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct App<'a, F, C, P> {
    core: Core<'a, F, C, P>,
    session: Option<Session>,
    reply: &'a mut [u8],
    reply_len: usize,
    reset: bool,
    load: Option<Load>,
}

impl<'a, F: Flash, C: Clock, P: PowerMeter> App<'a, F, C, P> {
    /// Opens the stores, and finishes what a power cut interrupted. `memory` has at least
    /// [`MemoryPlan::total`] bytes.
    ///
    /// # Errors
    /// [`AppError`], if the model does not run, the memory is too short, or a store cannot be opened.
    // Not inlined: its temporaries would stay on the caller's stack.
    #[inline(never)]
    pub fn new(
        model: &'a Model<'a>,
        mut flash: F,
        clock: C,
        power: P,
        memory: &'a mut [u8],
        config: &Config,
    ) -> Result<Self, AppError> {
        let plan = MemoryPlan::new(model, &flash.geometry(), &config.areas, config.classes)?;
        let too_small = AppError::Memory {
            have: memory.len(),
            need: plan.total(),
        };
        let mut rest = memory::aligned(memory);
        let mut take = |len| memory::take(&mut rest, len).ok_or(too_small.clone());
        let work = take(plan.work())?;
        let candidate_area = take(plan.candidate)?;
        let feature = take(plan.feature)?;
        let logits = take(plan.logits)?;
        let index: &mut [Entry] = bytemuck::cast_slice_mut(take(plan.index)?);
        let table: &mut [Class] = bytemuck::cast_slice_mut(take(plan.class_table)?);
        let table = table.first_chunk_mut().ok_or(too_small.clone())?;
        let reply = take(MAX_PAYLOAD)?;
        Engine::new(model, bytemuck::cast_slice_mut(work))?;
        let heads = HeadStore::open(&flash, config.areas.heads, model, config.trust)?;
        let trunk = *model.trunk_sha256();
        let samples = SampleStore::open(
            &mut flash,
            config.areas.samples,
            trunk,
            plan.features,
            index,
            table,
        )?;
        let mut events = Events::default();
        let started = EventKind::Started {
            samples: samples.len() as u32,
            sequence: heads.active().sequence(),
        };
        events.push(clock.micros(), started);
        let core = Core {
            model,
            trunk: Trunk::default(),
            flash,
            clock,
            power,
            plan,
            heads,
            samples,
            events,
            work,
            candidate_area,
            candidate: Candidate::None,
            feature,
            logits,
            input: Transfer::default(),
            inferred: 0,
            trust: config.trust,
            stack: config.stack,
            load: config.load,
        };
        Ok(Self {
            core,
            session: None,
            reply,
            reply_len: 0,
            reset: false,
            load: None,
        })
    }

    /// Runs the trunk on a backend's session of the same model from now on, and no longer on the engine.
    ///
    /// All backends give the same bits, so nothing else changes: features, heads and logits are those of the engine.
    #[cfg(feature = "std")]
    pub fn run_on(&mut self, session: &'a mut (dyn crate::backend::Session + 'a)) {
        self.core.trunk.session = Some(session);
    }

    /// Serves one payload: `send` gets messages of progress and the reply. Payloads that are late or of no
    /// known protocol get none.
    pub fn handle(&mut self, payload: &[u8], send: &mut dyn FnMut(&[u8])) {
        let Some((header, body)) = Header::decode(payload) else {
            return;
        };
        if self.load.is_some() {
            return;
        }
        if header.version != p::VERSION {
            let device = p::VERSION;
            return send_error(header, DeviceError::Version { device }, send);
        }
        let request = p::decode::<Request<'_>>(body);
        let known = self.session.filter(|s| s.number == header.session);
        match (known, &request) {
            (Some(session), _) => match header.id.wrapping_sub(session.last) as i32 {
                0 => return send(&self.reply[..self.reply_len]),
                late if late < 0 => return,
                _ => (),
            },
            (None, Some(Request::Hello { .. })) => (),
            (None, _) => return send_error(header, DeviceError::NoSession, send),
        }
        if let Some(Request::BeginLoad(file)) = request
            && self.core.check_load(&file).is_ok()
        {
            self.load = Some(Load { header, file });
            return;
        }
        let result = match &request {
            Some(request) => self.core.execute(request, header, send),
            None => Err(DeviceError::BadRequest),
        };
        if let (Some(Request::Hello { .. }), Err(error)) = (&request, &result) {
            return send_error(header, *error, send);
        }
        self.reset |= matches!(result, Ok(Reply::Resetting));
        let flash_failed = match result {
            Err(DeviceError::Flash { at }) => Some(at),
            _ => None,
        };
        // The reply is kept for a repetition of the request.
        let header = Header::new(header.session, header.id);
        let message = Message::Reply(result);
        let len = p::encode(header, &message, self.reply).or_else(|| {
            let error: Message<'_> = Message::Reply(Err(DeviceError::ReplyTooLong));
            p::encode(header, &error, self.reply)
        });
        drop(message);
        self.reply_len = len.unwrap_or(0);
        if known.is_none() {
            let number = header.session;
            self.core.log(EventKind::Session { number });
        }
        self.session = Some(Session {
            number: header.session,
            last: header.id,
        });
        if let Some(at) = flash_failed {
            self.core.log(EventKind::FlashFailed { at });
        }
        send(&self.reply[..self.reply_len]);
    }

    /// Adds an event to the log.
    pub fn note(&mut self, kind: EventKind) {
        self.core.log(kind);
    }

    /// True once a host has asked for a restart and has got its reply.
    pub fn reset_requested(&self) -> bool {
        self.reset
    }

    /// Takes the request of a host that wants to load a model. The program must end the application, or at
    /// least leave the session of this request to a [`Loader`](super::load::Loader), which answers it. Until
    /// the request is taken, the application answers nothing.
    pub fn take_load(&mut self) -> Option<Load> {
        self.load.take()
    }

    /// True if [`Self::take_load`] has a request.
    pub fn load_requested(&self) -> bool {
        self.load.is_some()
    }

    /// The model.
    pub fn model(&self) -> &'a Model<'a> {
        self.core.model
    }

    /// How the memory is divided.
    pub fn plan(&self) -> &MemoryPlan {
        &self.core.plan
    }

    /// The flash.
    pub fn flash(&self) -> &F {
        &self.core.flash
    }

    /// Gives flash, clock and power meter back.
    pub fn into_parts(self) -> (F, C, P) {
        (self.core.flash, self.core.clock, self.core.power)
    }
}
