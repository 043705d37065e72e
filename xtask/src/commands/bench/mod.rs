//! `bench`: what a model takes on a microcontroller. In QEMU instructions, counted; on hardware time, from the
//! device's own clock.
//!
//! - [`cycles`]: an estimate of a Cortex-M4's cycles from instructions.

mod cycles;
mod hardware;

use super::{parse, read};
use crate::runner::{Runner, head_bytes};
use crate::{cli::Bench, output, progress::Bars, units};
use anyhow::{Context, Result, bail};
use converter::board::schema::Deploy;
use converter::board::{self, Board};
use converter::dataset::{dead_leaves, preprocess};
use converter::jobs::report::{self, LayerReport};
use converter::util::progress::Progress;
use cycles::Kernel;
use edge_runtime::model::{DType, Model};
use serde_json::{Value, json};

pub fn run(args: &Bench, json: bool) -> Result<()> {
    if board::find::file(&args.board).is_some() {
        bail!(
            "{}: bench runs on boards that come with Graft; give a name (`cargo xtask boards`)",
            args.board
        );
    }
    let board = board::find(&args.board)?;
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    if model.dtype() != DType::I8 {
        bail!("a microcontroller runs int8 models, and this one is float; convert it with --int8");
    }
    match &board.deploy {
        Deploy::Qemu { .. } if args.port.is_some() => {
            bail!("--port is for hardware; {} starts by itself", board.name)
        }
        Deploy::Qemu { .. } => in_qemu(&board, &model, json),
        Deploy::ProbeRs { .. } => hardware::run(&board, &model, args, json),
        other => bail!(
            "bench measures microcontrollers, and {} is none ({other})",
            board.name
        ),
    }
}

fn in_qemu(board: &Board, model: &Model<'_>, json: bool) -> Result<()> {
    let runner = Runner::new(board, model)?;
    let packed = runner.model()?;
    let layers = report::layers(&packed);
    let bars = Bars::new();
    bars.stage(&board.name, layers.len());
    let run = runner.run(&[picture(model)?], &mut || bars.step())?;
    drop(bars);
    let counted = run.inputs.first().context("nothing was run")?;
    let rows: Vec<Row<'_>> = layers
        .iter()
        .zip(&counted.layers)
        .map(|(layer, run)| Row::new(board, layer, run.instructions))
        .collect();
    let head = counted.head.map(|h| h.instructions);
    let head_cycles = head.and_then(|n| Kernel::Portable.cycles(&board.cpu.core, n));
    // Of the whole inference; what its layers take decides how many cycles that is.
    let layer_cycles: Option<u64> = rows.iter().map(|r| r.cycles).sum();
    let cycles = layer_cycles.map(|layers| layers + head_cycles.unwrap_or(0));
    let measured = Measured {
        instructions: run.instructions,
        cycles,
        head,
        macs: packed.manifest().macs,
        code: runner.image.size.flash,
        model: runner.file.len() as u64,
        arena: packed.arena_bytes() as u64,
        head_vectors: head_bytes(&packed) as u64,
        stack: run.stack_bytes,
        statics: runner.image.size.ram,
    };
    let backend = match packed.packing() {
        Some(packing) => format!("engine, {} kernels", packing.family.name()),
        None => "engine".into(),
    };
    let value = measured.value(board, &packed, &backend, &rows);
    output::print(json, value, || {
        measured.text(board, &packed, &backend, &rows)
    });
    Ok(())
}

/// A generated picture as the model's input.
fn picture(model: &Model<'_>) -> Result<Vec<i8>> {
    let spec = model.manifest().input;
    let picture = dead_leaves::picture(spec.width, spec.height, 0);
    let crop = preprocess::crop(&picture, &spec)?;
    Ok(preprocess::to_i8(&crop, &spec, model.input().quant))
}

/// A layer that was counted.
struct Row<'l> {
    layer: &'l LayerReport,
    instructions: u64,
    cycles: Option<u64>,
}

impl<'l> Row<'l> {
    fn new(board: &Board, layer: &'l LayerReport, instructions: u64) -> Self {
        Self {
            layer,
            instructions,
            cycles: Kernel::of(layer.layout).cycles(&board.cpu.core, instructions),
        }
    }

    fn value(&self) -> Value {
        json!({
            "name": self.layer.name, "op": self.layer.op, "window": self.layer.window,
            "layout": self.layer.layout, "macs": self.layer.macs, "instructions": self.instructions,
            "cycles_estimated": self.cycles,
        })
    }

    fn cells(&self) -> Vec<String> {
        let l = self.layer;
        let per_mac = match l.macs {
            0 => String::new(),
            macs => format!("{:.3}", self.instructions as f64 / macs as f64),
        };
        let op = match l.window.is_empty() {
            true => l.op.into(),
            false => format!("{} {}", l.op, l.window),
        };
        vec![
            l.name.clone(),
            op,
            l.layout.into(),
            l.macs.to_string(),
            self.instructions.to_string(),
            per_mac,
        ]
    }
}

/// The whole of it. Bytes.
struct Measured {
    instructions: u64,
    cycles: Option<u64>,
    head: Option<u64>,
    macs: u64,
    code: u64,
    model: u64,
    arena: u64,
    head_vectors: u64,
    stack: u64,
    statics: u64,
}

impl Measured {
    fn flash(&self) -> u64 {
        self.code + self.model
    }

    fn ram(&self) -> u64 {
        self.arena + self.head_vectors + self.stack + self.statics
    }

    fn per_mac(&self) -> f64 {
        self.instructions as f64 / self.macs.max(1) as f64
    }

    fn value(&self, board: &Board, model: &Model<'_>, backend: &str, rows: &[Row<'_>]) -> Value {
        json!({
            "board": board.name,
            "core": board.cpu.core,
            "model": model.manifest().name,
            "backend": backend,
            "clock": "QEMU -icount shift=0, SysTick",
            "clock_hz": board.cpu.clock_hz,
            "instructions": self.instructions,
            "macs": self.macs,
            "instructions_per_mac": self.per_mac(),
            "cycles_estimated": self.cycles,
            "flash_bytes": self.flash(),
            "code_bytes": self.code,
            "model_bytes": self.model,
            "ram_bytes": self.ram(),
            "arena_bytes": self.arena,
            "head_bytes": self.head_vectors,
            "stack_bytes": self.stack,
            "static_bytes": self.statics,
            "layers": rows.iter().map(Row::value).collect::<Vec<_>>(),
            "head": self.head.map(|n| json!({"instructions": n})),
        })
    }

    fn text(&self, board: &Board, model: &Model<'_>, backend: &str, rows: &[Row<'_>]) -> String {
        let header = [
            "layer",
            "operator",
            "layout",
            "MACs",
            "instructions",
            "per MAC",
        ];
        let mut table = vec![header.map(String::from).to_vec()];
        table.extend(rows.iter().map(Row::cells));
        if let Some(head) = self.head {
            let cells = ["head", "", "", "", &head.to_string(), ""];
            table.push(cells.map(String::from).to_vec());
        }
        let mut pairs = vec![
            (
                "instructions",
                format!(
                    "{} of one inference, {:.3} per MAC (counted in QEMU)",
                    self.instructions,
                    self.per_mac()
                ),
            ),
            ("MACs", units::count(self.macs)),
        ];
        if let Some(cycles) = self.cycles {
            pairs.push((
                "cycles",
                format!("about {} (estimated)", units::count(cycles)),
            ));
        }
        pairs.extend([
            (
                "flash",
                format!("{}: code {}, model {}", self.flash(), self.code, self.model),
            ),
            (
                "RAM",
                format!(
                    "{}: arena {}, head {}, stack {}, static variables {}",
                    self.ram(),
                    self.arena,
                    self.head_vectors,
                    self.stack,
                    self.statics
                ),
            ),
        ]);
        format!(
            "{} on {} ({backend})\n{}\n{}",
            model.manifest().name,
            board.title,
            output::table(&table),
            output::pairs(&pairs)
        )
    }
}
