//! The application: serves requests on a model, one block of memory, and the flash.
//!
//! [`App::handle`] takes a payload and hands out payloads: messages of progress and one reply. A request that
//! comes again, because its reply was lost, is answered from memory and not executed again; one that comes
//! late is ignored. Knows no frames and no transport; flash, clock and power meter are plugged in.

use super::Clock;
use super::error::{DeviceError, Feature};
use super::events::{EventKind, Events};
use super::load::{Limits, Load, LoadError};
use super::memory::{self, Areas, MemoryPlan, PlanError};
use super::protocol::{
    self as p, Bench, CLASSES_IN_REPLY, ClassCount, EVENTS_IN_REPLY, Header, LABEL_IN_REPLY,
    LOGITS_IN_REPLY, LoadFile, MAX_BENCH, MAX_CHUNK, MAX_PAYLOAD, MAX_TOP, Message, ModelInfo,
    Progress, Reply, Request, StackUse, StateInfo, Top,
};
use super::samples::{Class, Entry, MAX_CLASS_NAME, SampleError, SampleStore};
use crate::crc32;
use crate::engine::{Engine, EngineError};
use crate::flash::Flash;
use crate::head::store::{HeadStore, StoreError};
use crate::head::{FeatureRule, Head, HeadSize, PoolKind, math};
use crate::model::{Model, OutputFunction, WeightsOrigin};
use crate::power::{PowerError, PowerMeter};
use crate::signature::{SIGNATURE_LEN, Trust};

/// What the application is configured with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Where the stores are.
    pub areas: Areas,
    /// Most classes that can be trained; decides how much memory is needed.
    pub classes: usize,
    /// Whose heads are taken. Whose model this is was decided before: [`Trust::check_model`].
    pub trust: Trust,
    /// Measures the program's stack, where that can be done.
    pub stack: Option<fn() -> StackUse>,
    /// Which models may be loaded, where whoever runs the application gives way to a
    /// [`Loader`](super::load::Loader).
    pub load: Option<Limits>,
}

/// Why the application does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Not enough memory.
    #[error("this model with so many classes needs {need} bytes of RAM, and there are {have}")]
    Memory {
        /// Its length.
        have: usize,
        /// [`MemoryPlan::total`].
        need: usize,
    },
    /// The model does not run here.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The head store does not open.
    #[error(transparent)]
    Heads(#[from] StoreError),
    /// The sample store does not open.
    #[error(transparent)]
    Samples(#[from] SampleError),
}

/// What has arrived of the next input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transfer {
    received: u32,
    /// Announced length; 0: nothing was announced.
    len: u32,
    crc: u32,
}

impl Transfer {
    fn begin(len: u32, crc: u32) -> Self {
        Self {
            received: 0,
            len,
            crc,
        }
    }

    /// Puts a chunk where it belongs.
    fn chunk(&mut self, to: &mut [u8], offset: u32, data: &[u8]) -> Result<u32, DeviceError> {
        if self.len == 0 {
            return Err(DeviceError::Incomplete { have: 0, need: 0 });
        }
        if offset != self.received {
            return Err(DeviceError::ChunkOffset {
                expected: self.received,
            });
        }
        let limit = self.len;
        let place = to
            .get_mut(..limit as usize)
            .and_then(|to| to.get_mut(offset as usize..))
            .and_then(|to| to.get_mut(..data.len()))
            .ok_or(DeviceError::TooLong { limit })?;
        place.copy_from_slice(data);
        self.received += data.len() as u32;
        Ok(self.received)
    }

    /// The whole of it, checked.
    fn finish<'t>(&self, from: &'t [u8]) -> Result<&'t [u8], DeviceError> {
        let (have, need) = (self.received, self.len);
        if need == 0 || have < need {
            return Err(DeviceError::Incomplete { have, need });
        }
        let bytes = from.get(..need as usize).unwrap_or_default();
        if crc32(&[bytes]) != self.crc {
            return Err(DeviceError::Checksum);
        }
        Ok(bytes)
    }
}

/// What is in the candidate area.
#[derive(Clone, Copy, Debug)]
pub(super) enum Candidate {
    None,
    /// A head that was trained here, of so many bytes.
    Trained(usize),
    /// A head that is being imported.
    Import(Transfer, Option<[u8; SIGNATURE_LEN]>),
}

/// Everything but session and reply.
pub(super) struct Core<'a, F, C, P> {
    pub model: &'a Model<'a>,
    pub flash: F,
    pub clock: C,
    power: P,
    pub plan: MemoryPlan,
    pub heads: HeadStore,
    pub samples: SampleStore<'a>,
    pub events: Events,
    pub work: &'a mut [u8],
    pub candidate_area: &'a mut [u8],
    pub candidate: Candidate,
    feature: &'a mut [u8],
    pub logits: &'a mut [u8],
    input: Transfer,
    /// Classes of the last inference.
    inferred: usize,
    trust: Trust,
    stack: Option<fn() -> StackUse>,
    load: Option<Limits>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    number: u32,
    last: u32,
}

/// The application on a device.
pub struct App<'a, F, C, P> {
    core: Core<'a, F, C, P>,
    session: Option<Session>,
    reply: &'a mut [u8],
    reply_len: usize,
    reset: bool,
    load: Option<Load>,
}

impl<'a, F: Flash, C: Clock, P: PowerMeter> App<'a, F, C, P> {
    /// Opens the stores, finishing what a power cut interrupted. `memory` has at least
    /// [`MemoryPlan::total`] bytes.
    // Not inlined: what it makes on the way would stay on the caller's stack.
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

    /// Serves one payload: `send` gets messages of progress and the reply, or nothing if the payload is none
    /// of this protocol or comes late.
    pub fn handle(&mut self, payload: &[u8], send: &mut dyn FnMut(&[u8])) {
        let Some((header, body)) = Header::decode(payload) else {
            return;
        };
        if self.load.is_some() {
            return;
        }
        if header.version != p::VERSION {
            let device = p::VERSION;
            return refuse(header, DeviceError::Version { device }, send);
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
            (None, _) => return refuse(header, DeviceError::NoSession, send),
        }
        if let Some(Request::BeginLoad(file)) = request
            && self.core.takes(&file).is_ok()
        {
            self.load = Some(Load { header, file });
            return;
        }
        let result = match &request {
            Some(request) => self.core.execute(request, header, send),
            None => Err(DeviceError::BadRequest),
        };
        if let (Some(Request::Hello { .. }), Err(error)) = (&request, &result) {
            return refuse(header, *error, send);
        }
        self.reset |= matches!(result, Ok(Reply::Resetting));
        let flash_failed = match result {
            Err(DeviceError::Flash { at }) => Some(at),
            _ => None,
        };
        // The answer is kept until the next request.
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

    /// Keeps an event for `log`.
    pub fn note(&mut self, kind: EventKind) {
        self.core.log(kind);
    }

    /// True once a host has asked for a restart, and the reply is sent.
    pub fn reset_requested(&self) -> bool {
        self.reset
    }

    /// A model that a host wants to load, once: the application is to end, or at least to leave the session of this
    /// request to a [`Loader`](super::load::Loader), which answers it. Until it was taken, nothing is answered.
    pub fn take_load(&mut self) -> Option<Load> {
        self.load.take()
    }

    /// True if there is something to take.
    pub fn load_requested(&self) -> bool {
        self.load.is_some()
    }

    /// The model.
    pub fn model(&self) -> &'a Model<'a> {
        self.core.model
    }

    /// How the memory is used.
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

/// Answers without a session.
pub(super) fn refuse(header: Header, error: DeviceError, send: &mut dyn FnMut(&[u8])) {
    let mut out = [0; 64];
    let message: Message<'_> = Message::Reply(Err(error));
    let header = Header::new(header.session, header.id);
    if let Some(len) = p::encode(header, &message, &mut out) {
        send(&out[..len]);
    }
}

/// Sends a message of progress.
pub(super) fn tell(header: Header, progress: Progress, send: &mut dyn FnMut(&[u8])) {
    let mut out = [0; 64];
    let message: Message<'_> = Message::Progress(progress);
    if let Some(len) = p::encode(header, &message, &mut out) {
        send(&out[..len]);
    }
}

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    pub fn log(&mut self, kind: EventKind) {
        self.events.push(self.clock.micros(), kind);
    }

    fn execute(
        &mut self,
        request: &Request<'_>,
        header: Header,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<Reply<'_>, DeviceError> {
        match *request {
            Request::Hello { expect } => {
                let trunk = *self.model.trunk_sha256();
                if expect.is_some_and(|expect| expect != trunk) {
                    return Err(DeviceError::WrongModel);
                }
                Ok(Reply::Hello {
                    trunk,
                    max_payload: MAX_PAYLOAD as u16,
                    max_chunk: MAX_CHUNK as u16,
                })
            }
            Request::Model => Ok(Reply::Model(self.model_info())),
            Request::State => Ok(Reply::State(self.state()?)),
            Request::BeginInput { len, crc } => {
                let need = self.model.input().shape.len() as u32;
                if len != need {
                    return Err(DeviceError::InputLength { need });
                }
                self.input = Transfer::begin(len, crc);
                Ok(Reply::Received { next: 0 })
            }
            Request::InputChunk { offset, data } => {
                let mut engine = engine(self.model, self.work)?;
                let to = bytemuck::cast_slice_mut(engine.input_mut());
                let next = self.input.chunk(to, offset, data)?;
                Ok(Reply::Received { next })
            }
            Request::Infer { top } => self.infer(top as usize),
            Request::Logits { first } => self.logits(first as usize),
            Request::AddSample { class, pool, token } => self.add_sample(class, pool, token),
            Request::Samples { first } => Ok(self.list(first as usize)),
            Request::ClearSamples { class } => {
                let samples = match class {
                    Some(class) => self.samples.clear_class(&mut self.flash, class)?,
                    None => self.samples.clear_all(&mut self.flash)?,
                };
                Ok(Reply::Cleared { samples })
            }
            Request::RetrainHead(options) => {
                self.input = Transfer::default();
                self.inferred = 0;
                let (retrained, right) = self.retrain(&options, header, send)?;
                Ok(Reply::Retrained(retrained, right))
            }
            Request::Commit => {
                let sequence = self.commit()?;
                Ok(Reply::Committed { sequence })
            }
            Request::Rollback => {
                let result = self.heads.rollback(&mut self.flash);
                let sequence = self.heads.active().sequence();
                if result.is_ok() {
                    self.log(EventKind::RolledBack { sequence });
                }
                Ok(Reply::RolledBack(result?))
            }
            Request::ExportHead { offset, max } => self.export(offset as usize, max as usize),
            Request::BeginImport {
                len,
                crc,
                signature,
            } => {
                let limit = self.max_head();
                if len == 0 || len as usize > limit {
                    let limit = limit as u32;
                    return Err(DeviceError::TooLong { limit });
                }
                let signature = signature.map(super::whole);
                self.candidate = Candidate::Import(Transfer::begin(len, crc), signature);
                Ok(Reply::Received { next: 0 })
            }
            Request::ImportChunk { offset, data } => {
                let Candidate::Import(transfer, _) = &mut self.candidate else {
                    return Err(DeviceError::Incomplete { have: 0, need: 0 });
                };
                let next = transfer.chunk(self.candidate_area, offset, data)?;
                Ok(Reply::Received { next })
            }
            Request::Bench { runs } => self.bench(runs, header, send),
            Request::Power => self
                .power
                .read()
                .map(Reply::Power)
                .map_err(DeviceError::Power),
            Request::Log => {
                let lost = self.events.take_lost();
                let oldest = core::iter::from_fn(|| self.events.pop());
                let events = oldest.take(EVENTS_IN_REPLY).collect();
                Ok(Reply::Log { lost, events })
            }
            Request::Reset => Ok(Reply::Resetting),
            Request::LoadInfo => {
                let limits = self.load.ok_or(LoadError::NoStore)?;
                Ok(Reply::LoadInfo(limits.info(Some(self.model))))
            }
            // Only what is refused gets here.
            Request::BeginLoad(ref file) => {
                self.takes(file)?;
                Ok(Reply::Received { next: 0 })
            }
            Request::LoadChunk { .. } | Request::FinishLoad => {
                Err(DeviceError::Incomplete { have: 0, need: 0 })
            }
            Request::Label { class, offset } => self.label(class as usize, offset as usize),
        }
    }

    /// Whether a model may be loaded.
    fn takes(&self, file: &LoadFile) -> Result<(), LoadError> {
        self.load.as_ref().ok_or(LoadError::NoStore)?.check(file)
    }

    fn model_info(&self) -> ModelInfo<'_> {
        let (manifest, input) = (self.model.manifest(), self.model.input());
        ModelInfo {
            name: cut(manifest.name, MAX_NAME),
            dtype: self.model.dtype(),
            input: input.shape,
            quant: input.quant,
            spec: manifest.input,
            features: self.plan.features as u32,
            pool: FeatureRule::default_kind(self.model),
            random_weights: matches!(manifest.weights, WeightsOrigin::Random { .. }),
        }
    }

    fn state(&self) -> Result<StateInfo, DeviceError> {
        let head = self.heads.head(&self.flash, self.model)?;
        let classes = self.samples.classes().len();
        let size = HeadSize::linear(self.plan.features, classes.max(2));
        Ok(StateInfo {
            flash: self.flash.geometry(),
            active: self.heads.active(),
            previous: self.heads.previous(),
            head_classes: head.map_or(0, |h| h.classes() as u32),
            head_trained: head.is_some_and(|h| h.is_trained()),
            candidate: !matches!(self.candidate, Candidate::None),
            signed: self.trust.is_required(),
            max_head: self.max_head() as u32,
            samples: self.samples.len() as u32,
            max_samples: self.samples.layout().capacity() as u32,
            classes: classes as u32,
            max_classes: self.plan.classes as u32,
            ram: self.plan.total() as u32,
            arena: self.plan.arena as u32,
            training: memory::training_bytes(&size) as u32,
            max_training: self.work.len() as u32,
            stack: self.stack.map(|measure| measure()),
        })
    }

    /// Longest head file that can be imported.
    fn max_head(&self) -> usize {
        self.candidate_area.len().min(self.heads.capacity())
    }

    /// Runs the trunk on the input, which must be whole, and pools its map into the feature.
    fn run_trunk(&mut self, rule: &FeatureRule) -> Result<(), DeviceError> {
        let mut engine = engine(self.model, self.work)?;
        self.input
            .finish(bytemuck::cast_slice(engine.input_mut()))?;
        self.input = Transfer::default();
        let feature = self.feature.get_mut(..rule.features);
        let feature = feature.ok_or(DeviceError::Area)?;
        rule.apply(engine.run(), bytemuck::cast_slice_mut(feature));
        Ok(())
    }

    fn infer(&mut self, top: usize) -> Result<Reply<'_>, DeviceError> {
        let head = self.heads.head(&self.flash, self.model)?;
        let rule = FeatureRule::of(&head.ok_or(DeviceError::NoHead)?);
        let start = self.clock.micros();
        self.run_trunk(&rule)?;
        let head = self.heads.head(&self.flash, self.model)?;
        let head = head.ok_or(DeviceError::NoHead)?;
        let logits = logits_of(self.logits, head.classes())?;
        head.logits(bytemuck::cast_slice(&self.feature[..rule.features]), logits);
        let micros = self.clock.micros() - start;
        self.inferred = head.classes();
        Ok(Reply::Inferred {
            micros,
            top: likeliest(&head, logits, top),
        })
    }

    fn logits(&mut self, first: usize) -> Result<Reply<'_>, DeviceError> {
        if self.inferred == 0 {
            return Err(DeviceError::Incomplete { have: 0, need: 0 });
        }
        let logits = logits_of(self.logits, self.inferred)?;
        let part = logits.iter().skip(first).take(LOGITS_IN_REPLY);
        Ok(Reply::Logits {
            classes: self.inferred as u32,
            values: part.copied().collect(),
        })
    }

    fn add_sample(
        &mut self,
        class: &str,
        pool: Option<PoolKind>,
        token: u64,
    ) -> Result<Reply<'_>, DeviceError> {
        let stored = self.samples.pool();
        let kind = pool.or(stored);
        let kind = kind.unwrap_or_else(|| FeatureRule::default_kind(self.model));
        if let Some(stored) = stored.filter(|s| *s != kind) {
            return Err(DeviceError::Pool { stored });
        }
        let rule = FeatureRule::new(self.model, kind);
        let rule = rule.ok_or(DeviceError::Unsupported(Feature::Pooling))?;
        if rule.features != self.plan.features {
            return Err(DeviceError::Unsupported(Feature::Pooling));
        }
        self.run_trunk(&rule)?;
        self.inferred = 0;
        let feature = bytemuck::cast_slice(&self.feature[..rule.features]);
        let added = self
            .samples
            .add(&mut self.flash, class, kind, token, feature)?;
        Ok(Reply::Added(added))
    }

    fn list<'s>(&'s self, first: usize) -> Reply<'s> {
        let classes = self.samples.classes();
        let part = classes.iter().skip(first).take(CLASSES_IN_REPLY);
        let count = |c: &'s Class| ClassCount {
            name: c.name(),
            samples: c.samples,
            held_out: c.held_out,
        };
        Reply::Samples {
            classes: classes.len() as u32,
            pool: self.samples.pool(),
            list: part.map(count).collect(),
        }
    }

    fn commit(&mut self) -> Result<u32, DeviceError> {
        let (head, import) = match self.candidate {
            Candidate::None => return Err(DeviceError::NothingToCommit),
            Candidate::Trained(len) => (self.candidate_area.get(..len), None),
            Candidate::Import(transfer, signature) => {
                let bytes = transfer.finish(self.candidate_area)?;
                (Some(bytes), Some(signature))
            }
        };
        let head = head.unwrap_or_default();
        let result = match import {
            Some(signature) => self
                .heads
                .check_import(head, signature.as_ref(), self.model)
                .map_err(DeviceError::from)
                .and_then(|()| self.check_size(head)),
            None => Ok(()),
        };
        // What is refused once is refused for ever; what the flash did not take may be tried again.
        if result.is_err() {
            self.candidate = Candidate::None;
        }
        result?;
        let sequence = self
            .heads
            .commit(&mut self.flash, head, import, self.model)?;
        self.candidate = Candidate::None;
        self.inferred = 0;
        self.log(EventKind::Committed { sequence });
        Ok(sequence)
    }

    /// True if an imported head can be run in the memory that there is.
    fn check_size(&self, head: &[u8]) -> Result<(), DeviceError> {
        let head = Head::parse(head, self.model)?;
        let (have, need) = (self.logits.len(), 4 * head.classes());
        if need > have || head.features() > self.feature.len() {
            let (have, need) = (have as u32, need as u32);
            return Err(DeviceError::Ram { have, need });
        }
        Ok(())
    }

    fn export(&self, offset: usize, max: usize) -> Result<Reply<'_>, DeviceError> {
        let head = self.heads.head(&self.flash, self.model)?;
        let bytes = head.ok_or(DeviceError::NoHead)?.bytes();
        let limit = bytes.len() as u32;
        let rest = bytes.get(offset..).ok_or(DeviceError::TooLong { limit })?;
        Ok(Reply::Head {
            sequence: self.heads.active().sequence(),
            len: limit,
            data: &rest[..rest.len().min(max).min(MAX_CHUNK)],
        })
    }

    /// A part of the name of a class.
    fn label(&self, class: usize, offset: usize) -> Result<Reply<'_>, DeviceError> {
        let head = self.heads.head(&self.flash, self.model)?;
        let label = head.ok_or(DeviceError::NoHead)?.label(class);
        let label = label.unwrap_or_default().as_bytes();
        let limit = label.len() as u32;
        let rest = label.get(offset..).ok_or(DeviceError::TooLong { limit })?;
        Ok(Reply::Label {
            len: limit,
            data: &rest[..rest.len().min(LABEL_IN_REPLY)],
        })
    }

    fn bench(
        &mut self,
        runs: u16,
        header: Header,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<Reply<'_>, DeviceError> {
        let runs = runs.clamp(1, MAX_BENCH as u16);
        let head = self.heads.head(&self.flash, self.model)?;
        let head = head.ok_or(DeviceError::NoHead)?;
        let rule = FeatureRule::of(&head);
        let logits = logits_of(self.logits, head.classes())?;
        (self.input, self.inferred) = (Transfer::default(), 0);
        let mut times = heapless::Vec::<u64, MAX_BENCH>::new();
        let mut cycles = None;
        let mut power = Ok(0i64);
        for number in 1..=runs {
            let (start, first) = (self.clock.micros(), self.clock.cycles());
            let mut engine = engine(self.model, self.work)?;
            let feature = self.feature.get_mut(..rule.features);
            let feature: &mut [i8] = bytemuck::cast_slice_mut(feature.ok_or(DeviceError::Area)?);
            rule.apply(engine.run(), feature);
            head.logits(feature, logits);
            let last = self.clock.cycles();
            let taken = first
                .zip(last)
                .map(|(first, last)| last.wrapping_sub(first));
            cycles = cycles.into_iter().chain(taken).min();
            // Sorted as they come: a sorting function takes more flash than all of this.
            let time = self.clock.micros() - start;
            let _ = times.insert(times.partition_point(|t| *t < time), time);
            power = match (power, self.power.read()) {
                (Ok(sum), Ok(reading)) => Ok(sum + reading.microwatts as i64),
                (_, Err(e)) | (Err(e), _) => Err(e),
            };
            tell(header, Progress::Run { number, of: runs }, send);
        }
        let at = |i: usize| times.get(i).copied().unwrap_or(0);
        let microwatts = match power {
            Ok(sum) => i32::try_from(sum / runs as i64).ok(),
            Err(PowerError::None) => None,
            Err(e) => return Err(DeviceError::Power(e)),
        };
        Ok(Reply::Bench(Bench {
            runs,
            min: at(0),
            median: at((runs as usize - 1) / 2),
            max: at(runs as usize - 1),
            cycles,
            microwatts,
        }))
    }
}

/// Longest model name in a reply.
const MAX_NAME: usize = 64;

fn engine<'e>(model: &'e Model<'e>, work: &'e mut [u8]) -> Result<Engine<'e, 'e>, DeviceError> {
    Engine::new(model, bytemuck::cast_slice_mut(work)).map_err(|_| DeviceError::Area)
}

/// Room for a head's logits.
pub(super) fn logits_of(memory: &mut [u8], classes: usize) -> Result<&mut [f32], DeviceError> {
    let all: &mut [f32] = bytemuck::cast_slice_mut(memory);
    let have = 4 * all.len() as u32;
    let need = 4 * classes as u32;
    all.get_mut(..classes)
        .ok_or(DeviceError::Ram { have, need })
}

/// The longest start of `text` of at most `len` bytes.
fn cut(text: &str, len: usize) -> &str {
    let end = (0..=len.min(text.len()))
        .rev()
        .find(|i| text.is_char_boundary(*i));
    &text[..end.unwrap_or(0)]
}

/// The classes with the largest logits, with their probabilities.
fn likeliest<'h>(head: &Head<'h>, logits: &[f32], count: usize) -> heapless::Vec<Top<'h>, MAX_TOP> {
    let function = head.output().function;
    let max = logits.get(math::argmax(logits)).copied().unwrap_or(0.0);
    let sum = logits.iter().fold(0.0, |s, l| s + math::exp(l - max));
    let probability = |logit: f32| match function {
        OutputFunction::Softmax => math::exp(logit - max) / sum,
        OutputFunction::Sigmoid => math::sigmoid(logit),
        OutputFunction::None => f32::NAN,
    };
    let mut order = heapless::Vec::<usize, MAX_TOP>::new();
    for _ in 0..count.min(MAX_TOP) {
        let rest = (0..logits.len()).filter(|i| !order.contains(i));
        // The first of equal ones, as everywhere.
        let best = rest.reduce(|a, b| if logits[b] > logits[a] { b } else { a });
        let Some(best) = best else { break };
        let _ = order.push(best);
    }
    let top = |class: &usize| {
        let label = head.label(*class).unwrap_or_default();
        Top {
            class: *class as u32,
            logit: logits[*class],
            probability: probability(logits[*class]),
            label: cut(label, MAX_CLASS_NAME),
            label_len: label.len() as u32,
        }
    };
    order.iter().map(top).collect()
}
