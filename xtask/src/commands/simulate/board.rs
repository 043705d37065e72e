//! The hardware of the simulated device, as a board describes it: flash for both stores, flash for the model, RAM and a
//! power sensor.

use crate::commands::fit;
use anyhow::{Context, Result, bail};
use converter::board::fit::{CLASSES, judge};
use converter::board::schema::{Power, Store, Use};
use converter::board::{self, Board, Needs, Request};
use edge_runtime::device::NotReady;
use edge_runtime::device::load::Limits;
use edge_runtime::device::memory::{Areas, MemoryPlan, PlanError};
use edge_runtime::flash::{Area, Geometry};
use edge_runtime::model::{DType, Model};
use edge_runtime::power::ina219::Address;
use edge_runtime::signature::Trust;

/// Address and shunt in microohms of most INA219 breakouts, for boards that name no such sensor.
const SENSOR: (u8, u32) = (0x40, 100_000);

/// The hardware of a board, whatever model runs on it.
pub struct SimulatedBoard {
    /// The board's name.
    pub name: String,
    /// Flash for heads and samples, one after the other.
    pub geometry: Geometry,
    /// Where they are in it.
    pub areas: Areas,
    /// Flash for the model.
    pub model: Geometry,
    /// Address of the INA219 and its shunt in microohms.
    pub sensor: (Address, u32),
    /// Classes that it can train, if not as many as fit.
    classes: Option<usize>,
    board: Board,
}

impl SimulatedBoard {
    /// `classes`: how many it can train, if not as many as fit; `len`: bytes of the first model.
    pub fn new(board: &str, classes: Option<u32>, len: usize) -> Result<Self> {
        let board = board::find(board)?;
        let (geometry, areas) = flash(&board)?;
        Ok(Self {
            geometry,
            areas,
            model: model_flash(&board, len)?,
            sensor: sensor(&board)?,
            classes: classes.map(|n| n as usize),
            name: board.name.clone(),
            board,
        })
    }

    /// An error with numbers if a model does not fit the board, as `fit` judges.
    pub fn require(&self, model: &Model<'_>) -> Result<()> {
        if model.dtype() != DType::I8 {
            bail!("a device runs int8 models, and this one is float; convert it with --int8");
        }
        let request = Request {
            classes: self.classes.unwrap_or(CLASSES),
            ..Request::default()
        };
        let bytes = board::pack_for(model, &self.board)?;
        let needs = Needs::of(&Model::parse(&bytes)?, bytes.len());
        fit::require(&judge(&needs, &self.board, &request))
    }

    /// The memory that the application needs with a model, or why it does not run. The board runs the model packed for
    /// its kernels, which takes scratch memory; the simulation runs it as it is, in the memory that the board would need.
    pub fn plan(&self, model: &Model<'_>, file_len: usize) -> Result<MemoryPlan, NotReady> {
        if model.dtype() != DType::I8 {
            return Err(NotReady::FloatModel);
        }
        let damaged = |_| NotReady::DamagedModel;
        let bytes = board::pack_for(model, &self.board).map_err(damaged)?;
        let packed = Model::parse(&bytes).map_err(|e| NotReady::from(&e))?;
        let ram = self.ram(file_len);
        let plan = match self.classes {
            None => MemoryPlan::largest(&packed, &self.geometry, &self.areas, ram),
            Some(n) => match MemoryPlan::new(&packed, &self.geometry, &self.areas, n) {
                Ok(plan) if plan.total() > ram => Err(PlanError::Ram {
                    have: ram,
                    need: plan.total(),
                }),
                plan => plan,
            },
        };
        plan.map_err(|e| NotReady::from(&e))
    }

    /// Which models can be loaded over the line into a flash of so many bytes.
    pub fn limits(&self, capacity: u32, trust: Trust) -> Limits {
        Limits {
            capacity,
            keeps_old: false,
            geometry: self.geometry,
            areas: self.areas,
            ram: self.ram(capacity as usize),
            classes: self.classes.unwrap_or(2),
            trust,
        }
    }

    /// Bytes of RAM for the application beside a model file of so many bytes; no limit if the board does not say.
    pub fn ram(&self, file_len: usize) -> usize {
        let ram = self.ram_limit(file_len);
        ram.map_or(usize::MAX, |ram| usize::try_from(ram).unwrap_or(usize::MAX))
    }

    /// The same; `None` if the board does not say.
    pub fn ram_limit(&self, file_len: usize) -> Option<u64> {
        ram(&self.board, file_len as u64)
    }
}

/// Bytes for the model where a board has files and no region for it, unless the first model is longer.
const MODEL_FILES: usize = 32 << 20;

/// The model's region; `len`: bytes of the first model.
fn model_flash(board: &Board, len: usize) -> Result<Geometry> {
    let units = board.store(Use::Model).or_else(|| board.store(Use::Heads));
    let units = units.with_context(|| format!("{} has no flash for a model", board.name))?;
    let len = match board.region(Use::Model) {
        Some(region) => u32::try_from(region.size)?,
        None => u32::try_from(MODEL_FILES.max(2 * len).next_power_of_two())?,
    };
    let geometry = Geometry {
        len,
        write_size: u32::try_from(units.write)?,
        erase_size: u32::try_from(units.erase)?,
    };
    if !geometry.is_usable() {
        bail!("a model cannot be stored in the flash of {}", board.name);
    }
    Ok(geometry)
}

/// Head slots and sample store in one flash.
fn flash(board: &Board) -> Result<(Geometry, Areas)> {
    let store = |purpose| board.store(purpose);
    let (Some(heads), Some(samples)) = (store(Use::Heads), store(Use::Samples)) else {
        bail!("{} has no flash for heads and samples", board.name);
    };
    let len = |s: &Store| u32::try_from(s.len).ok();
    let parts = len(&heads).zip(len(&samples));
    let sizes = parts.and_then(|(h, s)| Some((h, s, h.checked_add(s)?)));
    let (heads_len, samples_len, all) =
        sizes.with_context(|| format!("the flash of {} is too large to simulate", board.name))?;
    let geometry = Geometry {
        len: all,
        write_size: u32::try_from(heads.write)?,
        erase_size: u32::try_from(heads.erase)?,
    };
    if !geometry.is_usable() {
        bail!("the stores cannot work with the flash of {}", board.name);
    }
    let area = |start, len| Area { start, len };
    let areas = Areas {
        heads: area(0, heads_len),
        samples: area(heads_len, samples_len),
    };
    Ok((geometry, areas))
}

/// Bytes of RAM for the application's block, as `fit` counts them.
fn ram(board: &Board, model_bytes: u64) -> Option<u64> {
    match &board.linux {
        Some(linux) => linux.ram.map(|ram| {
            ram.saturating_sub(linux.reserved)
                .saturating_sub(model_bytes.saturating_mul(2))
        }),
        None => board.region(Use::Arena).map(|r| r.size),
    }
}

fn sensor(board: &Board) -> Result<(Address, u32)> {
    let (address, shunt) = match board.power {
        Power::Ina219 {
            address,
            shunt_microohm,
            ..
        } => (u8::try_from(address)?, shunt_microohm),
        _ => SENSOR,
    };
    let found = Address::from_byte(address);
    let address = found
        .ok()
        .with_context(|| format!("an INA219 cannot have the address {address:#x}"))?;
    Ok((address, shunt))
}
