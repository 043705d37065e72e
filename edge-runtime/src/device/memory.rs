//! How much RAM the application needs: a pure function of model, flash areas and number of classes.
//!
//! One block of memory holds, in this order: the work area, the candidate (a trained or imported head that
//! waits for `Commit`), one feature, logits, the index and the class table of the sample store, and the last
//! reply. The work area is the arena during inference and the training's workspace during training, never
//! both: it is as long as the longer of the two.

use super::error::{LoadError, NotReady};
use super::protocol::{MAX_PAYLOAD, StateInfo};
use super::samples::{ClassTable, Entry, MAX_CLASS_NAME, MAX_CLASSES, SampleLayout};
use crate::flash::{Area, Geometry};
use crate::head::store::HeadStore;
use crate::head::{FeatureRule, HeadSize, MAX_HIDDEN};
use crate::model::{ALIGNMENT, Model, align};

/// Where in the flash the stores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// Two head slots: an even number of erase blocks.
    pub heads: Area,
    /// The sample store.
    pub samples: Area,
}

/// Why the memory cannot be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The areas cannot be used.
    #[error(
        "the flash areas are not made of erase blocks, overlap, or do not hold two segments of samples"
    )]
    Areas,
    /// The number of classes is out of range.
    #[error("a device is planned for 2 to {MAX_CLASSES} classes")]
    Classes,
    /// A head of so many classes does not fit a slot.
    #[error("a head of so many classes has {need} bytes and a slot takes {have}; use larger slots")]
    Slot {
        /// What a slot takes.
        have: usize,
        /// What the head takes at most.
        need: usize,
    },
    /// Not even two classes fit the RAM.
    #[error("this model with two classes needs {need} bytes of RAM, and there are {have}")]
    Ram {
        /// What there is.
        have: usize,
        /// What it takes.
        need: usize,
    },
}

/// How the RAM of the application is divided; all lengths in bytes unless stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Most classes that can be trained.
    pub classes: usize,
    /// Length of a feature.
    pub features: usize,
    /// Activations of one inference.
    pub arena: usize,
    /// Training of [`Self::classes`] classes, without the samples.
    pub training: usize,
    /// A head that waits for its commit.
    pub candidate: usize,
    /// One feature.
    pub feature: usize,
    /// Logits of the largest head.
    pub logits: usize,
    /// Index of the sample store.
    pub index: usize,
    /// Table of classes of the sample store: for all classes that a store takes, however many can be trained.
    pub class_table: usize,
}

/// The sizes from which a plan follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Length of a feature.
    pub features: usize,
    /// Most classes that can be trained.
    pub classes: usize,
    /// Classes of the model's own head; 0 if it has none.
    pub factory: usize,
    /// Bytes of the model's arena.
    pub arena: usize,
    /// Cells of the sample store, spare ones included: its index has one entry for each.
    pub cells: usize,
}

/// Upper bound of lengths that a host may state. Sums of a few such lengths fit 32 bits.
const MOST: usize = 1 << 28;

impl Sizes {
    /// False if the sizes are so large that a plan cannot be computed.
    pub const fn are_sane(&self) -> bool {
        self.features > 0
            && self.features <= MOST / MAX_CLASSES / 16
            && self.factory <= MOST / 16
            && self.arena <= MOST
    }
}

impl MemoryPlan {
    /// The plan for these sizes, without a check of the flash.
    pub const fn of(sizes: &Sizes) -> Self {
        let Sizes {
            features, classes, ..
        } = *sizes;
        let logits = if sizes.factory > classes {
            sizes.factory
        } else {
            classes
        };
        Self {
            classes,
            features,
            arena: align(sizes.arena),
            training: training_bytes(&HeadSize::linear(features, classes)),
            candidate: align(head_len(&HeadSize::linear(features, classes))),
            feature: align(features),
            logits: align(4 * logits),
            index: align(sizes.cells * size_of::<Entry>()),
            class_table: align(size_of::<ClassTable>()),
        }
    }

    /// The plan of a device that runs `model` and trains heads of up to `classes` classes.
    ///
    /// # Errors
    /// [`PlanError`], if the areas do not fit the flash, or a head does not fit its slot.
    pub fn new(
        model: &Model<'_>,
        geometry: &Geometry,
        areas: &Areas,
        classes: usize,
    ) -> Result<Self, PlanError> {
        let sizes = Sizes {
            features: FeatureRule::default_len(model),
            classes,
            factory: model.head().map_or(0, |head| head.classes()),
            arena: model.arena_bytes(),
            cells: 0,
        };
        Self::in_flash(&sizes, geometry, areas)
    }

    /// The same for a model of which only the sizes are known. The number of cells follows from the flash.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn in_flash(sizes: &Sizes, geometry: &Geometry, areas: &Areas) -> Result<Self, PlanError> {
        let (features, classes) = (sizes.features, sizes.classes);
        if !(2..=MAX_CLASSES).contains(&classes) {
            return Err(PlanError::Classes);
        }
        let [a, b] = [areas.heads, areas.samples];
        let apart = a.end() <= b.start as u64 || b.end() <= a.start as u64;
        let layout =
            SampleLayout::new(geometry, areas.samples, features).ok_or(PlanError::Areas)?;
        if !apart || !a.fits(geometry) {
            return Err(PlanError::Areas);
        }
        let cells = layout.all_cells();
        let plan = Self::of(&Sizes { cells, ..*sizes });
        let (have, need) = (HeadStore::slot_capacity(a.len as usize), plan.candidate);
        if have < need {
            return Err(PlanError::Slot { have, need });
        }
        Ok(plan)
    }

    /// The plan for as many classes as fit `ram` bytes and the head slots.
    ///
    /// # Errors
    /// [`PlanError`], if not even two classes fit.
    pub fn largest(
        model: &Model<'_>,
        geometry: &Geometry,
        areas: &Areas,
        ram: usize,
    ) -> Result<Self, PlanError> {
        let least = Self::new(model, geometry, areas, 2)?;
        if least.total() > ram {
            let (have, need) = (ram, least.total());
            return Err(PlanError::Ram { have, need });
        }
        let all = (3..=MAX_CLASSES).rev();
        let mut plans = all.filter_map(|n| Self::new(model, geometry, areas, n).ok());
        Ok(plans.find(|p| p.total() <= ram).unwrap_or(least))
    }

    /// Bytes of the work area, which inference and training share.
    pub const fn work(&self) -> usize {
        if self.arena > self.training {
            self.arena
        } else {
            self.training
        }
    }

    /// Bytes of everything but the work area: candidate, feature, logits, index, class table, the last reply,
    /// and what the alignment of the memory may cost.
    pub const fn buffers(&self) -> usize {
        let parts = self.candidate + self.feature + self.logits + self.index + self.class_table;
        parts + align(MAX_PAYLOAD) + ALIGNMENT - 1
    }

    /// The room that there is for training.
    pub const fn room(&self) -> Room {
        Room {
            work: self.work(),
            candidate: self.candidate,
            classes: self.classes,
        }
    }

    /// Bytes of the whole memory.
    pub const fn total(&self) -> usize {
        self.work() + self.buffers()
    }
}

/// Most bytes of the labels of so many classes.
pub const fn labels_len(classes: usize) -> usize {
    classes * (MAX_CLASS_NAME + 1)
}

/// Upper bound of the length of a head file that a device writes.
pub const fn head_len(size: &HeadSize) -> usize {
    size.encoded_len_bound(labels_len(size.classes))
}

/// Bytes of RAM that training takes on a device: workspace, the new layers, and their labels.
pub const fn training_bytes(size: &HeadSize) -> usize {
    align(4 * size.workspace_len()) + size.layers_len() + align(labels_len(size.classes))
}

/// An area of memory is too small for a training; both in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What there is.
    pub have: usize,
    /// What it takes.
    pub need: usize,
}

/// The room that a device has for training heads.
///
/// It is planned for heads without a hidden layer. With one, only heads of fewer classes may fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the work area.
    pub work: usize,
    /// Bytes of the candidate area.
    pub candidate: usize,
    /// Most classes.
    pub classes: usize,
}

impl Room {
    /// Checks that a head of this size can be trained.
    ///
    /// # Errors
    /// The first area that is too small; for too many classes that is the area of the logits.
    pub const fn check(&self, size: &HeadSize) -> Result<(), Shortage> {
        let areas = [
            (4 * self.classes, 4 * size.classes),
            (self.work, training_bytes(size)),
            (self.candidate, align(head_len(size))),
        ];
        let mut i = 0;
        while i < areas.len() {
            let (have, need) = areas[i];
            if need > have {
                return Err(Shortage { have, need });
            }
            i += 1;
        }
        Ok(())
    }

    /// Units of the widest hidden layer of a head that can be trained; 0 if there is no room for one.
    pub fn most_hidden(&self, features: usize, classes: usize) -> usize {
        let size = |hidden| HeadSize {
            features,
            hidden,
            classes,
        };
        let mut units = (1..=MAX_HIDDEN).rev();
        units.find(|n| self.check(&size(*n)).is_ok()).unwrap_or(0)
    }
}

impl From<&StateInfo> for Room {
    fn from(state: &StateInfo) -> Self {
        Self {
            work: state.max_training as usize,
            candidate: state.max_head as usize,
            classes: state.max_classes as usize,
        }
    }
}

/// Takes `len` bytes, rounded up to the alignment, from the front of `memory`.
pub(super) fn take<'a>(memory: &mut &'a mut [u8], len: usize) -> Option<&'a mut [u8]> {
    let (part, rest) = core::mem::take(memory).split_at_mut_checked(align(len))?;
    *memory = rest;
    Some(part)
}

/// The part of `memory` that starts on the alignment.
pub(super) fn aligned(memory: &mut [u8]) -> &mut [u8] {
    let skip = memory.as_ptr().align_offset(ALIGNMENT).min(memory.len());
    &mut memory[skip..]
}

impl From<&PlanError> for NotReady {
    fn from(e: &PlanError) -> Self {
        match e {
            PlanError::Ram { have, need } => Self::Ram {
                have: u32::try_from(*have).unwrap_or(u32::MAX),
                need: u32::try_from(*need).unwrap_or(u32::MAX),
            },
            PlanError::Areas | PlanError::Classes | PlanError::Slot { .. } => Self::Areas,
        }
    }
}

impl From<PlanError> for LoadError {
    fn from(e: PlanError) -> Self {
        match e {
            PlanError::Ram { have, need } => Self::Ram {
                have: u32::try_from(have).unwrap_or(u32::MAX),
                need: u32::try_from(need).unwrap_or(u32::MAX),
            },
            PlanError::Areas | PlanError::Classes | PlanError::Slot { .. } => Self::Areas,
        }
    }
}
