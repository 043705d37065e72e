//! How long a model and its layers take, on this computer or on a board in QEMU.

use super::cycles::Kernel;
use super::host::{Round, own::Own};
use super::picture;
use crate::runner::Runner;
use anyhow::{Context, Result, bail};
use converter::board::Board;
use converter::board::schema::Deploy;
use converter::jobs::report::layers;
use edge_runtime::model::{DType, Model};

/// How often models take turns, and how many inferences each does in a turn.
const ROUNDS: usize = 7;
const RUNS: usize = 10;

/// Where a model is timed.
#[derive(Clone, Copy)]
pub enum Place<'b> {
    /// On this computer, on one thread.
    Host,
    /// On a board in QEMU, which counts instructions.
    Qemu(&'b Board),
}

/// Times of a model.
pub struct Times {
    /// Of the trunk, or on a board of everything, in milliseconds.
    pub total_ms: f64,
    /// Of the layers by name.
    pub layers: Vec<(String, f64)>,
}

impl<'b> Place<'b> {
    /// This computer, or a board if one is named.
    ///
    /// # Errors
    /// If the board is not run in QEMU.
    pub fn of(board: Option<&'b Board>) -> Result<Self> {
        match board {
            None => Ok(Self::Host),
            Some(board) if matches!(board.deploy, Deploy::Qemu { .. }) => Ok(Self::Qemu(board)),
            Some(board) => bail!(
                "time is measured on this computer (without --board) or on a board in QEMU, and {} is none; `cargo xtask boards` lists them",
                board.name
            ),
        }
    }

    /// What measures, for a report.
    pub fn describe(self, model: &Model<'_>) -> Result<String> {
        Ok(match self {
            Self::Host => format!(
                "{} on this computer, one thread",
                Own::new(model.clone(), None, 1)?.backend()
            ),
            Self::Qemu(board) => {
                let from = match Kernel::Conv.cycles(&board.cpu.core, 1) {
                    Some(_) => "estimated from the cycles of",
                    None => "one cycle each of",
                };
                format!("{}: {from} counted instructions", board.name)
            }
        })
    }

    /// The times of a model and of its layers.
    pub fn times(self, model: &Model<'_>) -> Result<Times> {
        match self {
            Self::Host => {
                let [total_ms] = self.latencies([model])?;
                let own = Own::new(model.clone(), None, 1)?;
                let names = model.layers().map(|layer| layer.name.to_string());
                let layers = names.zip(own.layer_ms(RUNS)?).collect();
                Ok(Times { total_ms, layers })
            }
            Self::Qemu(board) => on_board(board, model),
        }
    }

    /// The median times of models that take turns, in milliseconds.
    pub fn latencies<const N: usize>(self, models: [&Model<'_>; N]) -> Result<[f64; N]> {
        let mut result = [0.0; N];
        match self {
            Self::Host => {
                let mut all = vec![];
                for model in models {
                    all.push(Own::new(model.clone(), None, 1)?);
                }
                let mut times = [const { vec![] }; N];
                for _ in 0..ROUNDS {
                    for (one, times) in all.iter_mut().zip(&mut times) {
                        one.run(1)?;
                        times.extend(one.run(RUNS)?);
                    }
                }
                for (result, mut times) in result.iter_mut().zip(times) {
                    times.sort_by(f64::total_cmp);
                    *result = times[times.len() / 2];
                }
            }
            Self::Qemu(board) => {
                for (result, model) in result.iter_mut().zip(models) {
                    *result = on_board(board, model)?.total_ms;
                }
            }
        }
        Ok(result)
    }
}

/// Counts the instructions of one inference on a board in QEMU, layer by layer.
fn on_board(board: &Board, model: &Model<'_>) -> Result<Times> {
    if model.dtype() != DType::I8 {
        bail!("a microcontroller runs int8 models; convert with --int8");
    }
    let runner = Runner::new(board, model)?;
    let packed = runner.model()?;
    let run = runner.run(&[picture(model)?], &mut || {})?;
    let counted = run.inputs.first().context("nothing was run")?;
    let hz = board
        .cpu
        .clock_hz
        .with_context(|| format!("{} has no clock", board.name))?;
    let ms = |layout: &str, instructions: u64| {
        let cycles = Kernel::of(layout).cycles(&board.cpu.core, instructions);
        cycles.unwrap_or(instructions) as f64 * 1e3 / hz as f64
    };
    let of_layers = layers(&packed).into_iter().zip(&counted.layers);
    let layers: Vec<(String, f64)> = of_layers
        .map(|(layer, run)| (layer.name, ms(layer.layout, run.instructions)))
        .collect();
    let head = counted
        .head
        .as_ref()
        .map_or(0.0, |head| ms("", head.instructions));
    Ok(Times {
        total_ms: layers.iter().map(|(_, ms)| ms).sum::<f64>() + head,
        layers,
    })
}
