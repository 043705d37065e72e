//! Loading a model that a host sends: what is checked, where the file goes, and what answers meanwhile.
//!
//! - [`ModelStore`]: a place for a model; [`ModelRegion`] is one in flash, on Linux it is a file;
//! - [`Limits`]: which models a device takes, checked before anything is erased;
//! - [`Loader`]: answers while no application runs, and takes the file.
//!
//! An application uses the model where it lies, so it cannot replace it. It checks the file that a host
//! announces, and asks to be ended. The program drops it and hands the request ([`Load`]) to a loader. Knows
//! no board and no files.

mod loader;
mod model_region;
mod store;

pub use loader::Loader;
pub use model_region::ModelRegion;
pub use store::{Arrived, ModelStore};

use super::error::LoadError;
use super::memory::{Areas, MemoryPlan, PlanError, Sizes};
use super::protocol::{Demand, Header, LoadFile, LoadInfo, ModelId, join_signature};
use crate::engine::Engine;
use crate::flash::Geometry;
use crate::kernels;
use crate::model::{DType, Family, Layout, Model, header};
use crate::signature::Trust;

/// The processors for whose packed models this program has kernels; `None` if for none.
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
    /// Where in that flash they are.
    pub areas: Areas,
    /// Bytes of RAM for the application.
    pub ram: usize,
    /// Classes that the application must be able to train.
    pub classes: usize,
    /// Which models are accepted.
    pub trust: Trust,
}

impl Limits {
    /// Checks what a host states of a file, its signature included.
    ///
    /// # Errors
    /// The first reason to refuse it.
    pub fn check(&self, file: &LoadFile) -> Result<(), LoadError> {
        if (file.len as usize) < header::LEN {
            return Err(LoadError::NotAModel);
        }
        self.check_demand(&file.demand)?;
        let (have, need) = (self.capacity, file.len);
        if need > have {
            return Err(LoadError::TooLong { have, need });
        }
        let signature = file.signature.map(join_signature);
        self.trust
            .check_model_sha256(&file.sha256, signature.as_ref())?;
        Ok(())
    }

    fn check_demand(&self, demand: &Demand) -> Result<(), LoadError> {
        if demand.dtype != DType::I8 {
            return Err(LoadError::Float);
        }
        let (have, need) = (demand.family, family());
        // A program with kernels for packed layers also runs models that are not packed.
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

    /// Checks a file that has arrived; `stated` is what the host said of it.
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

    /// What the device tells a host; `model` is the model that runs.
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

/// A request to load a model. An application has checked it; a loader must answer it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Session and number of the request.
    pub header: Header,
    /// The file.
    pub file: LoadFile,
}
