//! Loading a model over the line: what is checked, where the file goes, and who answers meanwhile.
//!
//! - [`ModelStore`]: a place for a model; [`Region`] is one in flash, Linux has one beside a file;
//! - [`Limits`]: which models a device takes, judged before anything is erased;
//! - [`Loader`]: answers while no application runs, and takes the file.
//!
//! An application computes with the model where it lies, so it cannot take another one: it checks what a host
//! announces, and ends. Whoever ran it drops it and hands the request ([`Load`]) to a loader. Knows no board and no
//! files.

mod error;
mod loader;
mod region;
mod store;

pub use error::LoadError;
pub use loader::Loader;
pub use region::Region;
pub use store::{Arrived, ModelStore};

use super::memory::{Areas, MemoryPlan, PlanError, Sizes, features};
use super::protocol::{Header, LoadFile, LoadInfo, ModelId};
use crate::engine::Engine;
use crate::flash::Geometry;
use crate::kernels;
use crate::model::{DType, Family, Layout, Model, header};
use crate::signature::{SIGNATURE_LEN, Trust};
use serde::{Deserialize, Serialize};

/// What a model takes of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Element type.
    pub dtype: DType,
    /// For whom it is packed.
    pub family: Option<Family>,
    /// Bytes of its arena.
    pub arena: u32,
    /// Length of its features.
    pub features: u32,
    /// Classes of its own head; 0 if it has none.
    pub classes: u32,
}

impl Demand {
    /// Of a checked model.
    pub fn of(model: &Model<'_>) -> Self {
        Self {
            dtype: model.dtype(),
            family: model.packing().map(|packing| packing.family),
            arena: model.arena_bytes() as u32,
            features: features(model) as u32,
            classes: model.head().map_or(0, |head| head.classes() as u32),
        }
    }
}

/// For which processors this program's kernels run packed models.
pub const fn family() -> Option<Family> {
    if kernels::runs(Layout::MveConv) {
        Some(Family::Mve)
    } else if kernels::runs(Layout::DspConv) {
        Some(Family::Dsp)
    } else {
        None
    }
}

/// Which models a device takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest file: [`ModelStore::capacity`].
    pub capacity: u32,
    /// True if the old model stays until the new one is whole: [`ModelStore::keeps_old`].
    pub keeps_old: bool,
    /// The flash of heads and samples.
    pub geometry: Geometry,
    /// Where they are in it.
    pub areas: Areas,
    /// Bytes of RAM for the application.
    pub ram: usize,
    /// Classes that it must be able to train.
    pub classes: usize,
    /// Whose models are taken.
    pub trust: Trust,
}

impl Limits {
    /// Judges what a host states of a file, its signature included.
    ///
    /// # Errors
    /// The first thing that stands against it.
    pub fn check(&self, file: &LoadFile) -> Result<(), LoadError> {
        if (file.len as usize) < header::LEN {
            return Err(LoadError::NotAModel);
        }
        self.check_demand(&file.demand)?;
        let (have, need) = (self.capacity, file.len);
        if need > have {
            return Err(LoadError::TooLong { have, need });
        }
        let signature = signature(file);
        self.trust
            .check_model_sha256(&file.sha256, signature.as_ref())?;
        Ok(())
    }

    fn check_demand(&self, demand: &Demand) -> Result<(), LoadError> {
        if demand.dtype != DType::I8 {
            return Err(LoadError::Float);
        }
        let (have, need) = (demand.family, family());
        // Kernels for packed layers run portable ones, too.
        if have.is_some() && have != need {
            return Err(LoadError::Packing { have, need });
        }
        let sizes = Sizes {
            features: demand.features as usize,
            classes: self.classes,
            factory: demand.classes as usize,
            arena: demand.arena as usize,
            cells: 0,
        };
        if !sizes.are_sane() {
            return Err(LoadError::Areas);
        }
        let plan = MemoryPlan::in_flash(&sizes, &self.geometry, &self.areas)?;
        let (have, need) = (self.ram, plan.total());
        if need > have {
            return Err(PlanError::Ram { have, need }.into());
        }
        Ok(())
    }

    /// Judges a file that has arrived; `stated` is what the host said of it.
    fn check_arrived<'m>(
        &self,
        file: Arrived<'m>,
        stated: &Demand,
    ) -> Result<Model<'m>, LoadError> {
        let model = Model::parse_apart(file.header, file.bytes).map_err(|e| LoadError::from(&e))?;
        let demand = Demand::of(&model);
        self.check_demand(&demand)?;
        if demand != *stated {
            return Err(LoadError::Misstated);
        }
        Engine::check_layouts(&model)?;
        Ok(model)
    }

    /// What a host is told.
    pub fn info(&self, model: Option<&Model<'_>>) -> LoadInfo {
        LoadInfo {
            capacity: self.capacity,
            family: family(),
            signed: self.trust.is_required(),
            keeps_old: self.keeps_old,
            model: model.map(ModelId::of),
        }
    }
}

/// The signature of an announced file, in one piece.
pub(crate) fn signature(file: &LoadFile) -> Option<[u8; SIGNATURE_LEN]> {
    file.signature.map(super::whole)
}

/// A request to load a model that an application has checked and not answered: a loader does.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Session and number of the request.
    pub header: Header,
    /// The file.
    pub file: LoadFile,
}
