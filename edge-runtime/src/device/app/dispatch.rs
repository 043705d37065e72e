//! What the application works with, and which function answers which request.

use super::heads::Candidate;
use super::transfer::Transfer;
use super::trunk::Trunk;
use crate::device::Clock;
use crate::device::error::{DeviceError, LoadError};
use crate::device::events::{EventKind, Events};
use crate::device::load::Limits;
use crate::device::memory::MemoryPlan;
use crate::device::protocol::{EVENTS_IN_REPLY, Header, LoadFile, Reply, Request, StackUse};
use crate::device::samples::SampleStore;
use crate::flash::Flash;
use crate::head::store::HeadStore;
use crate::model::Model;
use crate::power::PowerMeter;
use crate::signature::Trust;

/// The application without session and last reply.
pub(super) struct Core<'a, F, C, P> {
    pub model: &'a Model<'a>,
    pub trunk: Trunk<'a>,
    pub flash: F,
    pub clock: C,
    pub power: P,
    pub plan: MemoryPlan,
    pub heads: HeadStore,
    pub samples: SampleStore<'a>,
    pub events: Events,
    /// The arena while the engine runs, the workspace during training.
    pub work: &'a mut [u8],
    /// Where a head is written before it is committed.
    pub candidate_area: &'a mut [u8],
    pub candidate: Candidate,
    /// One int8 feature vector.
    pub feature: &'a mut [u8],
    /// The f32 logits of the last inference.
    pub logits: &'a mut [u8],
    /// What has arrived of the next input.
    pub input: Transfer,
    /// Classes of the last inference; 0 if its logits are gone.
    pub inferred: usize,
    pub trust: Trust,
    pub stack: Option<fn() -> StackUse>,
    pub load: Option<Limits>,
}

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    /// Keeps an event for the log.
    pub fn log(&mut self, kind: EventKind) {
        self.events.push(self.clock.micros(), kind);
    }

    /// Takes the oldest events out of the log.
    fn take_events(&mut self) -> Reply<'static> {
        let lost = self.events.take_lost();
        let oldest = core::iter::from_fn(|| self.events.pop());
        let events = oldest.take(EVENTS_IN_REPLY).collect();
        Reply::Log { lost, events }
    }

    /// Does what a request asks for. `send` gets messages of progress.
    pub fn execute(
        &mut self,
        request: &Request<'_>,
        header: Header,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<Reply<'_>, DeviceError> {
        match *request {
            Request::Hello { expect } => self.hello(expect),
            Request::Model => Ok(Reply::Model(self.model_info())),
            Request::State => Ok(Reply::State(self.state()?)),
            Request::BeginInput { len, crc } => self.begin_input(len, crc),
            Request::InputChunk { offset, data } => self.input_chunk(offset, data),
            Request::Infer { top } => self.infer(top as usize),
            Request::Logits { first } => self.logits(first as usize),
            Request::AddSample { class, pool, token } => self.add_sample(class, pool, token),
            Request::Samples { first } => Ok(self.list_samples(first as usize)),
            Request::ClearSamples { class } => self.clear_samples(class),
            Request::RetrainHead(options) => {
                let (retrained, right) = self.retrain(&options, header, send)?;
                Ok(Reply::Retrained(retrained, right))
            }
            Request::Commit => {
                let sequence = self.commit()?;
                Ok(Reply::Committed { sequence })
            }
            Request::Rollback => self.rollback(),
            Request::ExportHead { offset, max } => self.export(offset as usize, max as usize),
            Request::BeginImport {
                len,
                crc,
                signature,
            } => self.begin_import(len, crc, signature),
            Request::ImportChunk { offset, data } => self.import_chunk(offset, data),
            Request::Bench { runs } => self.bench(runs, header, send),
            Request::Power => self
                .power
                .read()
                .map(Reply::Power)
                .map_err(DeviceError::Power),
            Request::Log => Ok(self.take_events()),
            Request::Reset => Ok(Reply::Resetting),
            Request::LoadInfo => {
                let limits = self.load.ok_or(LoadError::NoStore)?;
                Ok(Reply::LoadInfo(limits.info(Some(self.model))))
            }
            // One that is not refused goes to a loader, see `App::handle`.
            Request::BeginLoad(ref file) => {
                self.check_load(file)?;
                Ok(Reply::Received { next: 0 })
            }
            Request::LoadChunk { .. } | Request::FinishLoad => {
                Err(DeviceError::Incomplete { have: 0, need: 0 })
            }
            Request::Label { class, offset } => self.label(class as usize, offset as usize),
        }
    }

    /// Whether this model file may be loaded.
    pub fn check_load(&self, file: &LoadFile) -> Result<(), LoadError> {
        self.load.as_ref().ok_or(LoadError::NoStore)?.check(file)
    }
}
