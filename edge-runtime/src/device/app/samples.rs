//! Samples: added from inputs, counted, deleted.

use super::dispatch::Core;
use crate::device::Clock;
use crate::device::error::{DeviceError, Feature};
use crate::device::protocol::{CLASSES_IN_REPLY, ClassCount, Reply};
use crate::device::samples::Class;
use crate::flash::Flash;
use crate::head::{FeatureRule, PoolKind};
use crate::power::PowerMeter;

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    /// Runs the trunk on the input and keeps the feature as a sample of `class`.
    pub fn add_sample(
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
        let feature = self.feature.get(..rule.features).unwrap_or_default();
        let feature = bytemuck::cast_slice(feature);
        let added = self
            .samples
            .add(&mut self.flash, class, kind, token, feature)?;
        Ok(Reply::Added(added))
    }

    /// The classes of the store, from the class `first` on.
    pub fn list_samples<'s>(&'s self, first: usize) -> Reply<'s> {
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

    /// Deletes the samples of a class, or all.
    pub fn clear_samples(&mut self, class: Option<&str>) -> Result<Reply<'_>, DeviceError> {
        let samples = match class {
            Some(class) => self.samples.clear_class(&mut self.flash, class)?,
            None => self.samples.clear_all(&mut self.flash)?,
        };
        Ok(Reply::Cleared { samples })
    }
}
