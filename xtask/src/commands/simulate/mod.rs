//! `simulate`: a device in this process, with a board's flash and RAM.
//!
//! The process is the device: to end it is to pull the plug. Only the folder of `--state` survives that.

mod board;
mod clock;
mod line;
mod report;

use super::{parse, read};
use crate::{cli::device::Simulate, output};
use anyhow::{Context, Result, bail};
use board::SimulatedBoard;
use clock::WallClock;
use edge_runtime::backend::BackendKind;
use edge_runtime::client::report::Listening;
use edge_runtime::device::NotReady;
use edge_runtime::device::app::{App, Config};
use edge_runtime::device::load::{Loader, ModelRegion, ModelStore};
use edge_runtime::device::memory::MemoryPlan;
use edge_runtime::device::server::{LoadServer, RX_LEN, Server, TX_LEN};
use edge_runtime::flash::Geometry;
use edge_runtime::model::header::Header;
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::power::ina219::Ina219;
use edge_runtime::signature::{
    PublicKey, SIGNATURE_LEN, Trust, beside, find_signature, signature_in,
};
use edge_runtime::sim::{Faults, FlashImage, SensorBus};
use line::TcpLine;
use report::SimulateReport;
use std::path::Path;

/// What the simulated sensor measures: 25 mV over the shunt, 5 V at the load.
const LOAD: (i32, u16) = (25_000, 5_000);

pub fn run(args: &Simulate, json: bool) -> Result<()> {
    let given = args.model.as_deref();
    let given = given.map(|path| Ok::<_, anyhow::Error>((path, read(path)?)));
    let given = given.transpose()?;
    let len = given.as_ref().map_or(0, |(_, bytes)| bytes.len());
    let device = SimulatedBoard::new(&args.board, args.classes, len)?;
    let trust = match &args.trust {
        Some(key) => Trust::Signed(PublicKey::read(key)?),
        None => Trust::Anyone,
    };
    let given = given.map(|(path, bytes)| FirstModel::new(path, bytes, args, &device, &trust));
    let given = given.transpose()?;
    let mut flash = image(args, &device, "flash", device.geometry)?;
    let mut region = ModelRegion::new(image(args, &device, "model", device.model)?);
    if let Some(given) = &given {
        given.flash(&mut region)?;
    }
    if !args.listen.ip().is_loopback() {
        bail!(
            "{}: the simulation has no key and listens on loopback addresses only, e.g. 127.0.0.1:4700",
            args.listen
        );
    }
    let ppm = |p: f64| (p * 1e6) as u32;
    let faults = Faults {
        dropped: ppm(args.drop),
        damaged: ppm(args.damage),
        doubled: 0,
    };
    let mut line = TcpLine::listen(args.listen, faults, args.seed)?;
    let bus = SensorBus::new(device.sensor.0.as_byte());
    bus.set(LOAD.0, LOAD.1);
    let mut meter = Ina219::new(bus, device.sensor.0, device.sensor.1)?;
    let clock = WallClock::new();
    let limits = device.limits(region.capacity(), trust);
    let mut announced = false;
    loop {
        // Each turn is a start of the device: RAM is empty, and flash keeps its content.
        let started = started(&device, region.bytes(), &trust);
        if !announced {
            announced = true;
            announce(&device, &started, &line, trust.is_required(), json);
        }
        let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
        let (reason, load) = match started {
            Err(reason) => (reason, None),
            Ok((model, plan)) => {
                let config = Config {
                    areas: device.areas,
                    classes: plan.classes,
                    trust,
                    stack: None,
                    load: Some(limits),
                };
                let backend = args.backend.unwrap_or(BackendKind::fastest_for(&model));
                let mut session = backend.session(&model)?;
                let mut memory = vec![0; plan.total()];
                let mut app =
                    App::new(&model, &mut flash, &clock, &mut meter, &mut memory, &config)?;
                app.run_on(session.as_mut());
                line.serve(&mut Server::new(&mut app, &mut rx, &mut tx))?;
                let Some(load) = app.take_load() else {
                    continue;
                };
                let (have, need) = (0, load.file.len);
                (NotReady::Loading { have, need }, Some(load))
            }
        };
        let loader = Loader::new(&mut region, limits, reason);
        let mut vacant = LoadServer::new(loader, &mut rx, &mut tx);
        if let Some(load) = load {
            vacant.begin(&load, &mut |frame| line.send(frame));
        }
        line.serve(&mut vacant)?;
    }
}

/// A flash of the device, in a file if `--state` names a folder.
fn image(
    args: &Simulate,
    device: &SimulatedBoard,
    what: &str,
    geometry: Geometry,
) -> Result<FlashImage> {
    let Some(dir) = &args.state else {
        return Ok(FlashImage::volatile(geometry, true));
    };
    std::fs::create_dir_all(dir)
        .with_context(|| format!("{}: cannot create the folder", dir.display()))?;
    let path = dir.join(format!("{}.{what}", device.name));
    FlashImage::open(&path, geometry, true).with_context(|| path.display().to_string())
}

/// The model in flash and the memory that it needs, or why none runs.
fn started<'r>(
    device: &SimulatedBoard,
    region: &'r [u8],
    trust: &Trust,
) -> Result<(Model<'r>, MemoryPlan), NotReady> {
    // Before the signature is checked, only the lengths in the header are used.
    Header::read(region).map_err(|e| NotReady::from(&e))?;
    let trusted = trust.check_region(region);
    trusted.map_err(|_| NotReady::Untrusted)?;
    let model = Model::parse_region(region).map_err(|e| NotReady::from(&e))?;
    let len = model.header().file_len() as usize;
    let plan = device.plan(&model, len)?;
    Ok((model, plan))
}

/// A model that is put on the device before its first start.
struct FirstModel {
    bytes: AlignedBytes,
    signature: Option<[u8; SIGNATURE_LEN]>,
}

impl FirstModel {
    /// The file; an error if the device would refuse it.
    fn new(
        path: &Path,
        bytes: AlignedBytes,
        args: &Simulate,
        device: &SimulatedBoard,
        trust: &Trust,
    ) -> Result<Self> {
        let signature = match trust.is_required() {
            true => find_signature(path, args.signature.as_deref())?,
            false => None,
        };
        let name = path.display();
        if trust.is_required() && signature.is_none() {
            bail!(
                "{name}: the model has no signature, and --trust wants one; `cargo xtask sign {name} --key PRIVATE_KEY` writes {}",
                beside(path).display()
            );
        }
        trust
            .check_model(&bytes, signature.as_ref())
            .with_context(|| name.to_string())?;
        device.require(&parse(path, &bytes)?)?;
        Ok(Self { bytes, signature })
    }

    fn flash(&self, region: &mut ModelRegion<FlashImage>) -> Result<()> {
        let there = region.bytes().starts_with(&self.bytes);
        if there && signature_in(region.bytes()) == self.signature {
            return Ok(());
        }
        let len = u32::try_from(self.bytes.len()).context("the model is too long")?;
        region.begin(len)?;
        region.append(&self.bytes)?;
        region.finish(self.signature.as_ref())?;
        Ok(())
    }
}

/// Says that the device listens, and what runs.
fn announce(
    device: &SimulatedBoard,
    started: &Result<(Model<'_>, MemoryPlan), NotReady>,
    line: &TcpLine,
    signature_needed: bool,
    json: bool,
) {
    let runs = started.as_ref().ok();
    let (ram_bytes, most_classes) = runs.map_or((0, 0), |(_, plan)| (plan.total(), plan.classes));
    let len = runs.map_or(0, |(model, _)| model.header().file_len() as usize);
    let report = SimulateReport {
        listening: Listening {
            listening: line.address().to_string(),
            model: runs.map(|(model, _)| model.manifest().name.into()),
            ram_bytes,
            flash_bytes: device.geometry.len,
            most_classes,
            encrypted: false,
            signature_needed,
        },
        board: &device.name,
        ram_limit_bytes: device.ram_limit(len),
        not_ready: started.as_ref().err().map(ToString::to_string),
    };
    output::print(json, &report);
}
