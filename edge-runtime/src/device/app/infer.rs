//! Inference: input, trunk, head, the likeliest classes.

use super::describe::cut;
use super::dispatch::Core;
use super::transfer::Transfer;
use crate::device::Clock;
use crate::device::error::DeviceError;
use crate::device::protocol::{LOGITS_IN_REPLY, MAX_TOP, Reply, Top};
use crate::device::samples::MAX_CLASS_NAME;
use crate::flash::Flash;
use crate::head::{FeatureRule, Head, math};
use crate::model::OutputFunction;
use crate::power::PowerMeter;

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    /// Announces an input.
    pub fn begin_input(&mut self, len: u32, crc: u32) -> Result<Reply<'_>, DeviceError> {
        let need = self.model.input().shape.len() as u32;
        if len != need {
            return Err(DeviceError::InputLength { need });
        }
        self.input = Transfer::begin(len, crc);
        Ok(Reply::Received { next: 0 })
    }

    /// Takes a part of the announced input.
    pub fn input_chunk(&mut self, offset: u32, data: &[u8]) -> Result<Reply<'_>, DeviceError> {
        let to = bytemuck::cast_slice_mut(self.trunk.input(self.model, self.work)?);
        let next = self.input.chunk(to, offset, data)?;
        Ok(Reply::Received { next })
    }

    /// Runs the trunk on the input, which must be whole, and pools its map into the feature.
    pub fn run_trunk(&mut self, rule: &FeatureRule) -> Result<(), DeviceError> {
        let input = self.trunk.input(self.model, self.work)?;
        self.input.finish(bytemuck::cast_slice(input))?;
        self.input = Transfer::default();
        let feature = self.feature.get_mut(..rule.features);
        let feature = feature.ok_or(DeviceError::Area)?;
        let map = self.trunk.run(self.model, self.work)?;
        rule.apply(map, bytemuck::cast_slice_mut(feature));
        Ok(())
    }

    /// Runs trunk and head on the input, and tells the `top` likeliest classes.
    pub fn infer(&mut self, top: usize) -> Result<Reply<'_>, DeviceError> {
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

    /// Logits of the last inference, from class `first` on.
    pub fn logits(&mut self, first: usize) -> Result<Reply<'_>, DeviceError> {
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
}

/// The logits of so many classes in `memory`.
pub(super) fn logits_of(memory: &mut [u8], classes: usize) -> Result<&mut [f32], DeviceError> {
    let all: &mut [f32] = bytemuck::cast_slice_mut(memory);
    let have = 4 * all.len() as u32;
    let need = 4 * classes as u32;
    all.get_mut(..classes)
        .ok_or(DeviceError::Ram { have, need })
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
