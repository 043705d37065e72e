//! `retrain-head` on the device: from the sample store to a head that is not worse than the present one.

use super::Clock;
use super::app::{Candidate, Core, logits_of, tell};
use super::error::{DeviceError, Feature};
use super::events::EventKind;
use super::memory;
use super::protocol::{ClassMode, Counts, Header, Progress, RetrainOptions, Retrained};
use super::samples::{Class, MAX_CLASSES};
use crate::flash::Flash;
use crate::head::file::{HeadOrigin, HeadRecord, NewData, NewHead, encode};
use crate::head::train::{self, Layers, Samples};
use crate::head::{FeatureRule, Head, HeadData, HeadSize, MAX_HIDDEN};
use crate::model::Blob;
use crate::power::PowerMeter;

/// Where a head keeps its SHA-256.
const SHA_AT: usize = 64;

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    /// Trains on the stored samples. The new head is committed, or waits as candidate. Besides what came of it, how
    /// many held-out samples of each class are right.
    ///
    /// The host's `retrain` on the same features gives the same file, bit for bit.
    pub fn retrain(
        &mut self,
        options: &RetrainOptions,
        header: Header,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<(Retrained, Counts<'_>), DeviceError> {
        let classes = self.samples.classes();
        let count = classes.len();
        let stored = self.samples.pool().filter(|_| count >= 2);
        let stored = stored.ok_or(DeviceError::TooFewClasses { have: count as u32 })?;
        if options.pool.is_some_and(|pool| pool != stored) {
            return Err(DeviceError::Pool { stored });
        }
        let size = HeadSize {
            features: self.plan.features,
            hidden: options.hidden.into(),
            classes: count,
        };
        self.check_ram(&size)?;
        let rule = FeatureRule::new(self.model, stored);
        let rule = rule.ok_or(DeviceError::Unsupported(Feature::Pooling))?;
        let present = self.heads.head(&self.flash, self.model)?;
        let keep = match options.classes {
            ClassMode::Replace => false,
            ClassMode::Add => true,
            ClassMode::Keep => present.is_some_and(|head| head.is_trained()),
        };
        if keep {
            keeps_all(present.as_ref(), classes)?;
        }

        let mut work = &mut *self.work;
        let mut take = |len| memory::take(&mut work, len).ok_or(DeviceError::Area);
        let workspace_len = size.workspace_len();
        let workspace = &mut bytemuck::cast_slice_mut(take(4 * workspace_len)?)[..workspace_len];
        let layers = Layers::new(&size, take(size.layers_len())?);
        let mut layers = layers.ok_or(DeviceError::Area)?;
        let labels = write_labels(classes, take(memory::labels_len(count))?);

        let view = self.samples.view(&self.flash);
        let held_out = (0..view.len()).filter(|&i| view.held_out(i)).count();
        let samples = view.len() - held_out;
        let unjudged = classes.iter().filter(|c| c.held_out == 0).count() as u32;
        // Without held-out samples all of them judge, as in training.
        let judges = (0..view.len()).filter(|&i| held_out == 0 || view.held_out(i));
        let mut present_top1 = None;
        if let Some(head) = &present
            && FeatureRule::of(head) == rule
            && let Some(places) = places(head, classes)
        {
            let logits = logits_of(self.logits, head.classes())?;
            let (mut right, mut count) = (0u32, 0u32);
            for i in judges {
                head.logits(view.feature(i), logits);
                right += u32::from(restricted_argmax(logits, &places) == view.label(i));
                count += 1;
            }
            present_top1 = Some(stated_if_lower(head, right as f32 / count as f32));
        }

        // The logits' place is free until the next inference.
        let right: &mut [u32] = bytemuck::cast_slice_mut(self.logits);
        let right = right.get_mut(..count).ok_or(DeviceError::Area)?;
        right.fill(0);
        let trained = train::train(
            &view,
            rule.quant,
            &options.train_options(),
            &mut layers,
            workspace,
            &mut |epoch| {
                let progress = Progress::Epoch {
                    number: epoch.number,
                    of: options.epochs,
                    loss: epoch.loss,
                    top1: epoch.top1,
                };
                tell(header, progress, send);
            },
            &mut |class| right[class] += 1,
        )?;
        let top1 = trained.right as f32 / trained.judges as f32;

        let held_out_top1 = (held_out > 0).then_some(top1);
        let none = Blob { offset: 0, len: 0 };
        let record = HeadRecord {
            map: rule.map,
            map_quant: rule.map_quant,
            pool: rule.pool,
            feature_quant: rule.quant,
            features: size.features as u32,
            classes: count as u32,
            // `encode` fills these in.
            hidden: None,
            data: HeadData::F32 {
                weights: none,
                bias: none,
            },
            labels,
            origin: HeadOrigin::Retrained {
                images: samples as u32,
                held_out: held_out as u32,
                held_out_top1,
                seed: options.seed,
            },
        };
        let head = NewHead {
            trunk_sha256: *self.model.trunk_sha256(),
            record,
            data: NewData::I8(layers.as_int8()),
        };
        let len = encode(&head, self.candidate_area).ok_or(DeviceError::Area)?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&self.candidate_area[SHA_AT..SHA_AT + 32]);
        self.candidate = Candidate::Trained(len);
        let total = (samples + held_out) as u32;
        self.log(EventKind::Trained {
            samples: total,
            unjudged,
        });

        let not_worse = present_top1.is_none_or(|present| top1 >= present);
        let mut committed = None;
        if options.commit && (not_worse || options.force) {
            let head = &self.candidate_area[..len];
            let sequence = self.heads.commit(&mut self.flash, head, None, self.model)?;
            self.candidate = Candidate::None;
            self.log(EventKind::Committed { sequence });
            committed = Some(sequence);
        }
        let retrained = Retrained {
            classes: count as u32,
            samples: samples as u32,
            held_out: held_out as u32,
            held_out_top1,
            present_top1,
            epoch: trained.best.number,
            committed,
            sha256,
            training_bytes: memory::training_bytes(&size) as u32,
        };
        let right = self.logits.get_mut(..4 * count).unwrap_or_default();
        Ok((retrained, Counts::pack(right)))
    }

    /// Refuses before anything is written what would not fit the work or candidate area.
    fn check_ram(&self, size: &HeadSize) -> Result<(), DeviceError> {
        if size.hidden > MAX_HIDDEN {
            return Err(DeviceError::HiddenUnits);
        }
        let checked = self.plan.room().check(size);
        checked.map_err(|memory::Shortage { have, need }| DeviceError::Ram {
            have: have as u32,
            need: need as u32,
        })
    }
}

/// Refuses if a class of the present head has no samples.
///
/// Rows of the old head cannot simply be kept: without a single picture of the old classes nothing tells the
/// new rows when to stay silent, and the old classes would be forgotten unnoticed, since no held-out sample
/// could show it.
fn keeps_all(present: Option<&Head<'_>>, classes: &[Class]) -> Result<(), DeviceError> {
    let Some(head) = present else {
        return Ok(());
    };
    let names = head.record().labels.lines();
    let named = names.clone().count();
    let found = names
        .filter(|n| classes.iter().any(|c| c.name() == *n))
        .count();
    let all = head.classes();
    // A head without names cannot be matched.
    let missing = if named == 0 { all } else { named - found };
    if missing > 0 {
        return Err(DeviceError::MissingClasses {
            missing: missing as u32,
            classes: all as u32,
        });
    }
    Ok(())
}

/// Where a head has the classes, if it has all of them.
fn places(head: &Head<'_>, classes: &[Class]) -> Option<heapless::Vec<u32, MAX_CLASSES>> {
    let place = |c: &Class| {
        head.record()
            .labels
            .lines()
            .position(|name| c.name() == name)
    };
    let mut places = heapless::Vec::new();
    for class in classes {
        places.push(place(class)? as u32).ok()?;
    }
    Some(places)
}

/// The accuracy of a head that was measured, or the one that it states, if that is lower.
///
/// A head with few samples held out was trained on them at last ([`train::MIN_JUDGES`]). Where they are the
/// samples of this store, it would look better than every new head; what it states was measured before.
fn stated_if_lower(head: &Head<'_>, measured: f32) -> f32 {
    match head.record().origin {
        HeadOrigin::Retrained {
            held_out,
            held_out_top1: Some(stated),
            ..
        } if (held_out as usize) < train::MIN_JUDGES && stated < measured => stated,
        _ => measured,
    }
}

/// Index into `places` of the largest of those logits, the first of equal ones.
fn restricted_argmax(logits: &[f32], places: &[u32]) -> usize {
    let at = |i: usize| logits[places[i] as usize];
    (1..places.len()).fold(0, |best, i| if at(i) > at(best) { i } else { best })
}

/// The class names, one a line.
fn write_labels<'b>(classes: &[Class], out: &'b mut [u8]) -> &'b str {
    let mut len = 0;
    for (i, class) in classes.iter().enumerate() {
        let parts = [if i > 0 { "\n" } else { "" }, class.name()];
        for part in parts {
            out[len..len + part.len()].copy_from_slice(part.as_bytes());
            len += part.len();
        }
    }
    core::str::from_utf8(&out[..len]).unwrap_or_default()
}
