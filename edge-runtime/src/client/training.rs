//! Training on the device, and what is checked before samples are sent.

use super::judged::Judged;
use super::names;
use super::{Client, ClientError, Counted, Pipe};
use crate::device::DeviceError;
use crate::device::memory::Room;
use crate::device::protocol::{
    ClassMode, Progress, Reply, Request, RetrainOptions, Retrained, StateInfo,
};
use crate::head::HeadSize;

/// Result of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// What the device says of the new head.
    pub retrained: Retrained,
    /// How well the new head knows each of its classes.
    pub classes: Vec<Judged>,
}

impl<P: Pipe> Client<P> {
    /// Checks, before samples are sent, that the device can train a head from the stored samples and new ones
    /// of the classes `new`; with `clear`, from the new ones alone. Returns the classes that the present head
    /// knows and the new one will not, if the present head was trained.
    ///
    /// # Errors
    /// [`ClientError::Train`], [`ClientError::Name`], [`ClientError::Lost`], [`ClientError::Fewer`],
    /// [`ClientError::Unnamed`], [`ClientError::Classes`], [`ClientError::Hidden`], or
    /// [`ClientError::Device`] with what the device would answer.
    pub fn check_training(
        &mut self,
        new: &[String],
        clear: bool,
        options: &RetrainOptions,
    ) -> Result<Vec<String>, ClientError> {
        options.train_options().check()?;
        new.iter().try_for_each(|name| names::check(name))?;
        names::check_distinct(new)?;
        let features = self.model(|m| m.features)? as usize;
        let stored = if clear { vec![] } else { self.samples()? };
        let old = stored.iter().filter(|s| !new.contains(&s.name)).count();
        let size = HeadSize {
            features,
            hidden: options.hidden.into(),
            classes: old + new.len(),
        };
        let have = size.classes as u32;
        if have < 2 {
            return Err(DeviceError::TooFewClasses { have }.into());
        }
        let state = self.state()?;
        let known = |name: &String| new.contains(name) || stored.iter().any(|s| s.name == *name);
        let lost = self.lost(&state, options.classes, have, &known)?;
        let room = Room::from(&state);
        if size.classes > room.classes {
            return Err(ClientError::Classes {
                classes: size.classes,
                most: room.classes,
            });
        }
        room.check(&size).map_err(|short| ClientError::Hidden {
            units: size.hidden,
            need: short.need,
            have: short.have,
            most: room.most_hidden(features, size.classes),
        })?;
        Ok(lost)
    }

    /// The classes of the present head that the new one will not know; refused if they must be kept. The new
    /// head will have `have` classes, and `known` tells whether a name is one of them.
    fn lost(
        &mut self,
        state: &StateInfo,
        mode: ClassMode,
        have: u32,
        known: &dyn Fn(&String) -> bool,
    ) -> Result<Vec<String>, ClientError> {
        let classes = state.head_classes;
        let keep = mode == ClassMode::Add || mode == ClassMode::Keep && state.head_trained;
        if !keep && !state.head_trained {
            return Ok(vec![]);
        }
        // The names of a thousand classes would take long to fetch, and nobody would read them.
        if !state.head_trained && classes > have {
            return Err(ClientError::Fewer { have, classes });
        }
        let names = self.labels(classes)?;
        let unnamed = names.iter().all(String::is_empty);
        let missing: Vec<String> = names.into_iter().filter(|n| !known(n)).collect();
        match (keep, missing.is_empty(), unnamed) {
            (true, _, true) => Err(ClientError::Unnamed { classes }),
            (true, false, false) => Err(ClientError::Lost { missing, classes }),
            (false, _, true) => Ok(vec![]),
            _ => Ok(missing),
        }
    }

    /// Trains a head on the stored samples; `progress` is called after every epoch.
    pub fn retrain(
        &mut self,
        options: RetrainOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Retrained, ClientError> {
        Ok(self.retrain_counted(options, progress)?.0)
    }

    /// As [`Self::retrain`], and also tells how well the new head knows each class.
    pub fn train(
        &mut self,
        options: RetrainOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Training, ClientError> {
        let samples = self.samples()?;
        let (retrained, right) = self.retrain_counted(options, progress)?;
        if right.len() != samples.len() {
            return Err(ClientError::Unexpected);
        }
        let judged =
            |(s, right): (&Counted, u32)| Judged::new(&s.name, s.samples, s.held_out, right);
        Ok(Training {
            retrained,
            classes: samples.iter().zip(right).map(judged).collect(),
        })
    }

    /// Trains; also returns how many held-out samples of each class are right.
    fn retrain_counted(
        &mut self,
        options: RetrainOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Retrained, Vec<u32>), ClientError> {
        let request = Request::RetrainHead(options);
        self.exchange(&request, progress, |reply| match reply {
            Reply::Retrained(retrained, right) => Some((retrained, right.iter().collect())),
            _ => None,
        })
    }
}
