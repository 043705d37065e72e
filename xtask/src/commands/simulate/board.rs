//! What of a board the simulated device has: one flash with both stores, so much RAM, a sensor.

use crate::commands::fit;
use anyhow::{Context, Result, bail};
use converter::board::fit::{CLASSES, judge};
use converter::board::schema::{Power, Store, Use};
use converter::board::{self, Board, Needs, Request};
use converter::pack;
use edge_runtime::device::memory::{Areas, MemoryPlan};
use edge_runtime::flash::{Area, Geometry};
use edge_runtime::model::{DType, Model};
use edge_runtime::power::ina219::Address;

/// Address and shunt in microohms of most INA219 breakouts, for boards that name no such sensor.
const SENSOR: (u8, u32) = (0x40, 100_000);

/// A device as a board makes it.
pub struct Device {
    /// The board's name.
    pub board: String,
    /// Flash for heads and samples, one after the other.
    pub geometry: Geometry,
    /// Where they are in it.
    pub areas: Areas,
    /// What the application takes.
    pub plan: MemoryPlan,
    /// Bytes of RAM for it, if the board says.
    pub ram: Option<u64>,
    /// Address of the INA219 and its shunt in microohms.
    pub sensor: (Address, u32),
}

impl Device {
    /// The device, if the model (its file has `file_len` bytes) fits the board as `fit` judges.
    pub fn new(
        board: &str,
        model: &Model<'_>,
        file_len: usize,
        classes: Option<u32>,
    ) -> Result<Self> {
        let board = board::find(board)?;
        if model.dtype() != DType::I8 {
            bail!("a device runs int8 models, and this one is float; convert it with --int8");
        }
        let request = Request {
            classes: classes.map_or(CLASSES, |n| n as usize),
            ..Request::default()
        };
        // The board runs it packed for its kernels, which takes scratch memory; the simulation runs it as it is,
        // in the memory that the board would need.
        let bytes = pack::for_board(model, &board)?;
        let packed = Model::parse(&bytes)?;
        let fit = judge(&Needs::of(&packed, bytes.len()), &board, &request);
        fit::require(&fit)?;
        let (geometry, areas) = flash(&board)?;
        let classes = classes.map_or(fit.most_classes, |n| n as usize);
        let plan = MemoryPlan::new(&packed, &geometry, &areas, classes)?;
        let ram = ram(&board, file_len as u64);
        if let Some(have) = ram.filter(|have| plan.total() as u64 > *have) {
            bail!(
                "{classes} classes need {} bytes of RAM and {} has {have}; ask for fewer with --classes",
                plan.total(),
                board.name
            );
        }
        Ok(Self {
            geometry,
            areas,
            plan,
            ram,
            sensor: sensor(&board)?,
            board: board.name,
        })
    }
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
