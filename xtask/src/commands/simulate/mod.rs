//! `simulate`: a device in this process, with a board's flash and RAM.
//!
//! The process is the device: ending it is pulling the plug, and what `--state` keeps survives that.

mod board;
mod clock;
mod line;

use super::{parse, read};
use crate::{cli::device::Simulate, output, units};
use anyhow::{Context, Result, bail};
use board::Device;
use clock::WallClock;
use edge_runtime::device::app::{App, Config};
use edge_runtime::device::report::Listening;
use edge_runtime::device::server::{RX_LEN, Server, TX_LEN};
use edge_runtime::power::ina219::Ina219;
use edge_runtime::signature::{PublicKey, Trust, beside, find_signature};
use edge_runtime::sim::{Faults, FlashImage, SensorBus};
use line::Line;
use serde_json::json;

/// What the simulated sensor measures: 25 mV over the shunt, 5 V at the load.
const LOAD: (i32, u16) = (25_000, 5_000);

pub fn run(args: &Simulate, json: bool) -> Result<()> {
    let bytes = read(&args.model)?;
    let trust = trust(args, &bytes)?;
    let model = parse(&args.model, &bytes)?;
    let device = Device::new(&args.board, &model, bytes.len(), args.classes)?;
    let mut flash = match &args.state {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("{}: cannot create the folder", dir.display()))?;
            let path = dir.join(format!("{}.flash", device.board));
            FlashImage::open(&path, device.geometry, true)
                .with_context(|| path.display().to_string())?
        }
        None => FlashImage::volatile(device.geometry, true),
    };
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
    let mut line = Line::listen(args.listen, faults, args.seed)?;
    let bus = SensorBus::new(device.sensor.0.as_byte());
    bus.set(LOAD.0, LOAD.1);
    let mut meter = Ina219::new(bus, device.sensor.0, device.sensor.1)?;
    let clock = WallClock::new();
    let config = Config {
        areas: device.areas,
        classes: device.plan.classes,
        trust,
        stack: None,
    };
    let mut memory = vec![0; device.plan.total()];
    let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);

    let mut announced = false;
    loop {
        // Every turn is a start of the device: RAM keeps garbage, flash its content.
        let mut app = App::new(&model, &mut flash, &clock, &mut meter, &mut memory, &config)?;
        let mut server = Server::new(&mut app, &mut rx, &mut tx);
        if !announced {
            announced = true;
            let mut value = json!(Listening {
                listening: line.address().to_string(),
                model: model.manifest().name.into(),
                ram_bytes: device.plan.total(),
                flash_bytes: device.geometry.len,
                most_classes: device.plan.classes,
                encrypted: false,
                signature_needed: trust.is_required(),
            });
            value["board"] = json!(device.board);
            value["ram_limit_bytes"] = json!(device.ram);
            output::print(json, value, || {
                format!(
                    "{} on a simulated {}: {} of RAM, {} of flash for heads and samples, up to {} classes\nlistening on {}",
                    model.manifest().name,
                    device.board,
                    units::bytes(device.plan.total() as u64),
                    units::bytes(device.geometry.len.into()),
                    device.plan.classes,
                    line.address(),
                )
            });
        }
        line.serve(&mut server)?;
    }
}

/// Whom the device trusts, after its model was judged by that.
fn trust(args: &Simulate, model: &[u8]) -> Result<Trust> {
    let Some(key) = &args.trust else {
        return Ok(Trust::Anyone);
    };
    let trust = Trust::Signed(PublicKey::read(key)?);
    let signature = find_signature(&args.model, args.signature.as_deref())?;
    let name = args.model.display();
    if signature.is_none() {
        bail!(
            "{name}: the model has no signature, and --trust wants one; `cargo xtask sign {name} --key PRIVATE_KEY` writes {}",
            beside(&args.model).display()
        );
    }
    trust
        .check_model(model, signature.as_ref())
        .with_context(|| name.to_string())?;
    Ok(trust)
}
