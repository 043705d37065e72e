//! Training on the device: from the stored samples to a head that is not worse than the present one.

use super::dispatch::Core;
use super::heads::Candidate;
use super::infer::logits_of;
use super::transfer::Transfer;
use crate::device::Clock;
use crate::device::error::{DeviceError, Feature};
use crate::device::events::EventKind;
use crate::device::memory;
use crate::device::protocol::{ClassMode, Counts, Header, Progress, RetrainOptions, Retrained};
use crate::device::samples::{Class, MAX_CLASSES, View};
use crate::device::send::send_progress;
use crate::flash::Flash;
use crate::head::file::{HeadOrigin, NewData, NewHead, encode};
use crate::head::train::{self, Layers, Trained, TrainingSet};
use crate::head::{FeatureRule, Head, HeadSize, MAX_HIDDEN};
use crate::power::PowerMeter;

/// Where a head file keeps its SHA-256.
const SHA_AT: usize = 64;

/// A new head, whose file is in the candidate area.
struct NewFile {
    /// Length of the file in bytes.
    len: usize,
    /// Samples that were trained on and are not held out.
    samples: usize,
    /// Samples held out.
    held_out: usize,
    /// What the training says.
    trained: Trained,
}

impl NewFile {
    /// Fraction of the judging samples that the new head gets right.
    fn top1(&self) -> f32 {
        self.trained.right as f32 / self.trained.judges as f32
    }

    /// The same, if held-out samples judged.
    fn held_out_top1(&self) -> Option<f32> {
        (self.held_out > 0).then_some(self.top1())
    }
}

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    /// Trains on the stored samples. The new head is committed, or waits as candidate. Also returns how many
    /// held-out samples of each class the new head gets right.
    ///
    /// The host's `retrain` on the same features gives the same file, bit for bit.
    pub fn retrain(
        &mut self,
        options: &RetrainOptions,
        header: Header,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<(Retrained, Counts<'_>), DeviceError> {
        // Training overwrites the arena and the logits.
        (self.input, self.inferred) = (Transfer::default(), 0);
        let (size, rule) = self.new_head(options)?;
        let present = self.heads.head(&self.flash, self.model)?;
        let classes = self.samples.classes();
        check_kept(options.classes, present.as_ref(), classes)?;
        let present_top1 = match &present {
            Some(head) => {
                let view = self.samples.view(&self.flash);
                judge(head, &rule, &view, classes, self.logits)?
            }
            None => None,
        };
        let new = self.train(&size, &rule, options, header, send)?;
        let not_worse = present_top1.is_none_or(|present| new.top1() >= present);
        let mut committed = None;
        if options.commit && (not_worse || options.force) {
            committed = Some(self.commit_trained(new.len)?);
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&self.candidate_area[SHA_AT..SHA_AT + 32]);
        let retrained = Retrained {
            classes: size.classes as u32,
            samples: new.samples as u32,
            held_out: new.held_out as u32,
            held_out_top1: new.held_out_top1(),
            present_top1,
            epoch: new.trained.best.number,
            committed,
            sha256,
            training_bytes: memory::training_bytes(&size) as u32,
        };
        let right = self.logits.get_mut(..4 * size.classes).unwrap_or_default();
        Ok((retrained, Counts::pack(right)))
    }

    /// Size and feature rule of the head that is asked for; refused if it cannot be trained from these
    /// samples, or does not fit the memory.
    fn new_head(&self, options: &RetrainOptions) -> Result<(HeadSize, FeatureRule), DeviceError> {
        let classes = self.samples.classes().len();
        let stored = self.samples.pool().filter(|_| classes >= 2);
        let have = classes as u32;
        let stored = stored.ok_or(DeviceError::TooFewClasses { have })?;
        if options.pool.is_some_and(|pool| pool != stored) {
            return Err(DeviceError::Pool { stored });
        }
        let size = HeadSize {
            features: self.plan.features,
            hidden: options.hidden.into(),
            classes,
        };
        self.check_ram(&size)?;
        let rule = FeatureRule::new(self.model, stored);
        Ok((
            size,
            rule.ok_or(DeviceError::Unsupported(Feature::Pooling))?,
        ))
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

    /// Trains, and writes the head file into the candidate area. Leaves in the place of the logits how many
    /// held-out samples of each class are right, as u32.
    fn train(
        &mut self,
        size: &HeadSize,
        rule: &FeatureRule,
        options: &RetrainOptions,
        header: Header,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<NewFile, DeviceError> {
        let classes = self.samples.classes();
        let mut work = &mut *self.work;
        let mut take = |len| memory::take(&mut work, len).ok_or(DeviceError::Area);
        let workspace_len = size.workspace_len();
        let workspace = &mut bytemuck::cast_slice_mut(take(4 * workspace_len)?)[..workspace_len];
        let layers = Layers::new(size, take(size.layers_len())?);
        let mut layers = layers.ok_or(DeviceError::Area)?;
        let labels = write_labels(classes, take(memory::labels_len(size.classes))?);

        let view = self.samples.view(&self.flash);
        let right: &mut [u32] = bytemuck::cast_slice_mut(self.logits);
        let right = right.get_mut(..size.classes).ok_or(DeviceError::Area)?;
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
                send_progress(header, progress, send);
            },
            &mut |class| right[class] += 1,
        )?;
        let held_out = count_held_out(&view);
        let mut new = NewFile {
            len: 0,
            samples: view.len() - held_out,
            held_out,
            trained,
        };
        let origin = HeadOrigin::Retrained {
            images: new.samples as u32,
            held_out: held_out as u32,
            held_out_top1: new.held_out_top1(),
            seed: options.seed,
        };
        let head = NewHead {
            trunk_sha256: *self.model.trunk_sha256(),
            record: rule.record(size.classes, labels, origin),
            data: NewData::I8(layers.as_int8()),
        };
        new.len = encode(&head, self.candidate_area).ok_or(DeviceError::Area)?;
        let samples = view.len() as u32;
        let unjudged = classes.iter().filter(|c| c.held_out == 0).count() as u32;
        self.candidate = Candidate::Trained(new.len);
        self.log(EventKind::Trained { samples, unjudged });
        Ok(new)
    }

    /// Makes the head that was just trained the active one; `len` is the length of its file.
    fn commit_trained(&mut self, len: usize) -> Result<u32, DeviceError> {
        let head = &self.candidate_area[..len];
        let sequence = self.heads.commit(&mut self.flash, head, None, self.model)?;
        self.candidate = Candidate::None;
        self.log(EventKind::Committed { sequence });
        Ok(sequence)
    }
}

/// How many samples are held out.
fn count_held_out(view: &View<'_>) -> usize {
    (0..view.len()).filter(|&i| view.held_out(i)).count()
}

/// Fraction of the judging samples that a head gets right among the classes of the store, so that a new head
/// can be compared with it; `None` if it pools otherwise or lacks a class. `memory` is room for its logits.
fn judge(
    head: &Head<'_>,
    rule: &FeatureRule,
    view: &View<'_>,
    classes: &[Class],
    memory: &mut [u8],
) -> Result<Option<f32>, DeviceError> {
    if FeatureRule::of(head) != *rule {
        return Ok(None);
    }
    let Some(places) = places(head, classes) else {
        return Ok(None);
    };
    let logits = logits_of(memory, head.classes())?;
    // Without held-out samples all of them judge, as in training.
    let all = count_held_out(view) == 0;
    let (mut right, mut count) = (0u32, 0u32);
    for i in (0..view.len()).filter(|&i| all || view.held_out(i)) {
        head.logits(view.feature(i), logits);
        right += u32::from(restricted_argmax(logits, &places) == view.label(i));
        count += 1;
    }
    Ok(Some(stated_if_lower(head, right as f32 / count as f32)))
}

/// Refuses if the new head must know all classes of the present one, and one of these has no samples.
fn check_kept(
    mode: ClassMode,
    present: Option<&Head<'_>>,
    classes: &[Class],
) -> Result<(), DeviceError> {
    let keep = match mode {
        ClassMode::Replace => false,
        ClassMode::Add => true,
        ClassMode::Keep => present.is_some_and(Head::is_trained),
    };
    match present {
        Some(head) if keep => keeps_all(head, classes),
        _ => Ok(()),
    }
}

/// Refuses if a class of the present head has no samples.
///
/// Copying the old head's rows is no way out: without samples of the old classes the new rows are not trained
/// against them. The new classes would win on pictures of old ones, and no held-out sample would show it.
fn keeps_all(head: &Head<'_>, classes: &[Class]) -> Result<(), DeviceError> {
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

/// The place of each class in a head; `None` if the head lacks one.
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
/// A head with few held-out samples was trained on them in the end ([`train::MIN_JUDGES`]). If they are in
/// this store, a measurement on them flatters it; the accuracy that it states was measured before that.
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

/// Writes the class names, one a line, to the start of `out`.
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
