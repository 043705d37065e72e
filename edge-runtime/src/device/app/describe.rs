//! What the application says of its model and of itself.

use super::dispatch::Core;
use super::heads::Candidate;
use crate::device::Clock;
use crate::device::error::DeviceError;
use crate::device::memory;
use crate::device::protocol::{MAX_CHUNK, MAX_PAYLOAD, ModelInfo, Reply, StateInfo};
use crate::flash::Flash;
use crate::head::{FeatureRule, HeadSize};
use crate::model::WeightsOrigin;
use crate::power::PowerMeter;

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    /// Opens a session, if the host means this model or any.
    pub fn hello(&self, expect: Option<[u8; 32]>) -> Result<Reply<'_>, DeviceError> {
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

    /// The model.
    pub fn model_info(&self) -> ModelInfo<'_> {
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

    /// Stores, head and memory.
    pub fn state(&self) -> Result<StateInfo, DeviceError> {
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
}

/// Most bytes of a model name in a reply.
const MAX_NAME: usize = 64;

/// The longest start of `text` of at most `len` bytes.
pub(super) fn cut(text: &str, len: usize) -> &str {
    let end = (0..=len.min(text.len()))
        .rev()
        .find(|i| text.is_char_boundary(*i));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}
