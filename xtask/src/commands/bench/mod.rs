//! `bench`: measures models on this computer, or one on a microcontroller. In QEMU it counts instructions; on
//! hardware the device measures time with its own clock.
//!
//! - [`host`]: this computer;
//! - [`cycles`]: an estimate of a Cortex-M4's cycles from instructions;
//! - [`hardware`]: boards of hardware;
//! - [`report`]: what is printed of boards in QEMU;
//! - [`time`]: times of a model and its layers, for `convert`.

mod cycles;
mod hardware;
mod host;
mod report;
pub mod time;

use super::{parse, read};
use crate::runner::{Runner, head_bytes};
use crate::{cli::Bench, output, progress::Bars};
use anyhow::{Context, Result, bail};
use converter::board::schema::Deploy;
use converter::board::{self, Board};
use converter::dataset::{dead_leaves, preprocess};
use converter::jobs::report::layers;
use converter::util::progress::Progress;
use cycles::Kernel;
use edge_runtime::model::{DType, Model};
use report::{CountedHead, CountedLayer, QemuReport};

pub fn run(args: &Bench, json: bool) -> Result<()> {
    let Some(name) = &args.board else {
        return host::run(args, json);
    };
    let [path] = &args.models[..] else {
        bail!("a board runs one model; give one file")
    };
    let bytes = read(path)?;
    if board::find::file(name).is_some() {
        bail!(
            "{name}: bench runs on boards that come with Graft; give a name (`cargo xtask boards`)"
        );
    }
    let board = board::find(name)?;
    let model = parse(path, &bytes)?;
    if model.dtype() != DType::I8 {
        bail!("a microcontroller runs int8 models, and this one is float; convert it with --int8");
    }
    match &board.deploy {
        Deploy::Qemu { .. } if args.port.is_some() => {
            bail!("--port is for hardware; {} starts by itself", board.name)
        }
        Deploy::Qemu { .. } => in_qemu(&board, &model, json),
        Deploy::ProbeRs { .. } => hardware::run(&board, &model, path, args, json),
        other => bail!(
            "bench measures microcontrollers and the computer it runs on, and {} is none ({other}); run it there without --board",
            board.name
        ),
    }
}

fn in_qemu(board: &Board, model: &Model<'_>, json: bool) -> Result<()> {
    let runner = Runner::new(board, model)?;
    let packed = runner.model()?;
    let layers = layers(&packed);
    let bars = Bars::new();
    bars.stage(&board.name, layers.len());
    let run = runner.run(&[picture(model)?], &mut || bars.step())?;
    drop(bars);
    let counted = run.inputs.first().context("nothing was run")?;
    let core = &board.cpu.core;
    let counted_layers = layers.iter().zip(&counted.layers);
    let rows: Vec<CountedLayer<'_>> = counted_layers
        .map(|(layer, run)| CountedLayer::new(core, layer, run.instructions))
        .collect();
    let head = counted.head.map(|h| h.instructions);
    let head_cycles = head.and_then(|n| Kernel::Portable.cycles(core, n));
    // The whole inference takes as many cycles as its layers and its head.
    let layer_cycles: Option<u64> = rows.iter().map(|r| r.cycles_estimated).sum();
    let size = &runner.image.size;
    let (model_bytes, arena_bytes) = (runner.file.len() as u64, packed.arena_bytes() as u64);
    let head_bytes = head_bytes(&packed) as u64;
    let macs = packed.manifest().macs;
    let report = QemuReport {
        board: &board.name,
        core,
        model: packed.manifest().name,
        backend: match packed.packing() {
            Some(packing) => format!("engine, {} kernels", packing.family.name()),
            None => "engine".into(),
        },
        clock: "QEMU -icount shift=0, SysTick",
        clock_hz: board.cpu.clock_hz,
        instructions: run.instructions,
        macs,
        instructions_per_mac: run.instructions as f64 / macs.max(1) as f64,
        cycles_estimated: layer_cycles.map(|layers| layers + head_cycles.unwrap_or(0)),
        flash_bytes: size.flash + model_bytes,
        code_bytes: size.flash,
        model_bytes,
        ram_bytes: arena_bytes + head_bytes + run.stack_bytes + size.ram,
        arena_bytes,
        head_bytes,
        stack_bytes: run.stack_bytes,
        static_bytes: size.ram,
        layers: rows,
        head: head.map(|instructions| CountedHead { instructions }),
        board_title: &board.title,
    };
    output::print(json, &report);
    Ok(())
}

/// A generated picture as the model's input.
fn picture(model: &Model<'_>) -> Result<Vec<i8>> {
    let spec = model.manifest().input;
    let picture = dead_leaves::picture(spec.width, spec.height, 0);
    let crop = preprocess::crop(&picture, &spec)?;
    Ok(preprocess::to_i8(&crop, &spec, model.input().quant))
}
