//! `verify`: the same bits on every backend and on boards in QEMU, layer by layer.

use super::{folder, parse, read};
use crate::runner::{InputRun, Runner};
use crate::{cli::Verify, output, progress::Bars, units};
use anyhow::{Result, bail};
use converter::board::schema::Deploy;
use converter::board::{self, Board};
use converter::dataset::{LeftOut, dead_leaves, load, preprocess};
use converter::jobs::verify::{Place, Trace, VerifyError, first_difference, trace, verify_one};
use converter::util::progress::Progress;
use edge_runtime::backend::{BackendKind, Observer};
use edge_runtime::model::{DType, Model};
use serde_json::json;
use std::path::Path;
use std::str::FromStr;

/// Generated inputs if no folder is given.
const GENERATED: usize = 16;

/// The same with a board, which takes some thousand times longer than a backend.
const GENERATED_FOR_BOARDS: usize = 2;

/// Something that runs a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// On the host.
    Backend(BackendKind),
    /// A board in QEMU.
    Board(Box<Board>),
}

impl Target {
    fn name(&self) -> &str {
        match self {
            Self::Backend(kind) => kind.name(),
            Self::Board(board) => &board.name,
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(kind) = text.parse() {
            return Ok(Self::Backend(kind));
        }
        let in_qemu = |b: &&Board| matches!(b.deploy, Deploy::Qemu { .. });
        let mut boards = board::all().iter().filter(in_qemu);
        match boards.clone().find(|b| b.name == text) {
            Some(board) => Ok(Self::Board(Box::new(board.clone()))),
            None => Err(format!(
                "no backend or board in QEMU '{text}'; there are: {}{}",
                BackendKind::names(),
                boards
                    .by_ref()
                    .map(|b| format!(", {}", b.name))
                    .collect::<String>()
            )),
        }
    }
}

pub fn run(args: &Verify, json: bool) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    if (1..args.on.len()).any(|i| args.on[..i].contains(&args.on[i])) {
        bail!("--on names something twice; it always agrees with itself");
    }
    let kinds = args.on.iter().filter_map(|target| match target {
        Target::Backend(kind) => Some(kind),
        Target::Board(_) => None,
    });
    let boards: Vec<&Board> = args
        .on
        .iter()
        .filter_map(|target| match target {
            Target::Board(board) => Some(&**board),
            Target::Backend(_) => None,
        })
        .collect();
    if model.dtype() != DType::I8 {
        return Err(VerifyError::FloatModel.into());
    }
    let mut backends = kinds
        .map(|kind| kind.runtime().prepare(&model)?.observer())
        .collect::<Result<Vec<_>, _>>()?;
    match (&backends[..], &boards[..]) {
        ([], _) => bail!("boards are compared with the host; add `engine` to --on"),
        ([_], []) => return Err(VerifyError::OneBackend.into()),
        _ => (),
    }
    // What is missing for a board is said before anything takes long.
    let runners = boards
        .iter()
        .map(|board| Runner::new(board, &model))
        .collect::<Result<Vec<_>>>()?;

    let inputs = Inputs::open(args, &model, !boards.is_empty())?;
    let bars = Bars::new();
    let layers = model.layers().count();
    let mut difference = None;
    if backends.len() > 1 {
        bars.stage("backends", inputs.names.len());
        difference = compare_backends(&model, &mut backends, &inputs, &bars)?;
    }
    for runner in &runners {
        if difference.is_some() {
            break;
        }
        bars.stage(runner.name(), inputs.names.len() * layers);
        difference = compare_board(&model, &mut *backends[0], runner, &inputs, &bars)?;
    }
    drop(bars);
    if let Some(difference) = difference {
        if json {
            output::print(true, difference.value, String::new);
        }
        bail!("{}: {}", args.model.display(), difference.text);
    }
    let on: Vec<&str> = args.on.iter().map(Target::name).collect();
    let outputs = model.layers().map(|l| l.output.shape.len() as u64);
    let values = outputs.sum::<u64>() * inputs.names.len() as u64;
    let value = json!({
        "equal": true, "inputs": inputs.names.len(), "layers": layers, "values": values, "backends": on,
        "left_out": inputs.left_out,
    });
    output::print(json, value, || {
        format!(
            "{} agree bit by bit: {layers} layers on {} pictures, {} values each",
            listed(&on),
            inputs.names.len(),
            units::count(values)
        )
    });
    Ok(())
}

/// `a and b`, or `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.join(""),
    }
}

/// What to run.
struct Inputs {
    names: Vec<String>,
    values: Vec<Vec<i8>>,
    /// What of the folder is not among them.
    left_out: Option<LeftOut>,
}

impl Inputs {
    fn open(args: &Verify, model: &Model<'_>, on_boards: bool) -> Result<Self> {
        let spec = model.manifest().input;
        let limit = args.limit.map_or(usize::MAX, |n| n as usize);
        let mut left_out = None;
        let (names, crops): (Vec<String>, Vec<Vec<u8>>) = match &args.images {
            Some(dir) => {
                let dataset = folder::pictures(dir)?.subset(limit);
                left_out = dataset.left_out;
                let items = dataset.items;
                let crop = |path: &Path| Ok((path.display().to_string(), load(path, &spec)?));
                let crops = items.iter().map(|item| crop(&item.path));
                crops.collect::<Result<Vec<_>>>()?.into_iter().unzip()
            }
            None => {
                let usual = if on_boards {
                    GENERATED_FOR_BOARDS
                } else {
                    GENERATED
                };
                let crops = (0..args.limit.map_or(usual, |n| n as usize)).map(|index| {
                    let picture = dead_leaves::picture(spec.width, spec.height, index as u64);
                    Ok((
                        format!("generated picture {index}"),
                        preprocess::crop(&picture, &spec)?,
                    ))
                });
                crops.collect::<Result<Vec<_>>>()?.into_iter().unzip()
            }
        };
        let quant = model.input().quant;
        let values = crops
            .iter()
            .map(|crop| preprocess::to_i8(crop, &spec, quant))
            .collect();
        Ok(Self {
            names,
            values,
            left_out,
        })
    }
}

/// The first thing that differs, for people and for machines.
struct Difference {
    text: String,
    value: serde_json::Value,
}

fn compare_backends(
    model: &Model<'_>,
    backends: &mut [Box<dyn Observer + '_>],
    inputs: &Inputs,
    bars: &Bars,
) -> Result<Option<Difference>> {
    for (index, (name, input)) in inputs.names.iter().zip(&inputs.values).enumerate() {
        if let Err(d) = verify_one(model, backends, index, input)? {
            return Ok(Some(Difference {
                text: format!("{d} ({name})"),
                value: json!({
                    "equal": false, "layer": d.layer, "name": d.name, "op": d.op, "input": name,
                    "backends": d.backends, "differing": d.count, "elements": d.elements,
                }),
            }));
        }
        bars.step();
    }
    Ok(None)
}

fn compare_board(
    model: &Model<'_>,
    reference: &mut dyn Observer,
    runner: &Runner<'_>,
    inputs: &Inputs,
    bars: &Bars,
) -> Result<Option<Difference>> {
    let capacity = runner.capacity(model.input().shape.len());
    let batches = inputs
        .names
        .chunks(capacity)
        .zip(inputs.values.chunks(capacity));
    for (names, values) in batches {
        let run = runner.run(values, &mut || bars.step())?;
        for ((name, input), got) in names.iter().zip(values).zip(&run.inputs) {
            let expected = trace(model, reference, input)?;
            let between = [reference.backend(), runner.name()];
            if let Some(place) = first_difference(model, &expected, &trace_of(got)) {
                return Ok(Some(differs(&place, between, name)));
            }
        }
    }
    Ok(None)
}

fn trace_of(run: &InputRun) -> Trace {
    Trace {
        layers: run.layers.iter().map(|l| l.output).collect(),
        head: run.head.map(|h| [h.feature, h.logits]),
    }
}

fn differs(place: &Place, between: [&str; 2], input: &str) -> Difference {
    let (layer, name, op) = match place {
        Place::Layer { index, name, op } => (Some(index), &name[..], *op),
        Place::Feature => (None, "feature", "head"),
        Place::Logits => (None, "logits", "head"),
    };
    let [a, b] = between;
    Difference {
        text: format!(
            "{place} differs between {a} and {b} ({input}); everything before it is equal"
        ),
        value: json!({
            "equal": false, "layer": layer, "name": name, "op": op, "input": input, "backends": between,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_backends_and_boards_in_qemu() {
        assert_eq!("tract".parse(), Ok(Target::Backend(BackendKind::Tract)));
        assert_eq!("qemu-m7".parse::<Target>().unwrap().name(), "qemu-m7");
        for wrong in ["", "nucleo-h743zi2", "qemu", "Engine"] {
            let error = wrong.parse::<Target>().unwrap_err();
            assert!(error.contains("engine, tract, qemu-m"), "{error}");
        }
    }

    #[test]
    fn a_tampered_checksum_is_noticed() {
        let bytes = converter::jobs::convert::convert(
            graft_tests::source(1),
            Some(&graft_tests::int8()),
            &converter::util::progress::Silent,
        );
        let bytes = bytes.unwrap().bytes;
        let model = Model::parse(&bytes).unwrap();
        let mut engine = BackendKind::Engine
            .runtime()
            .prepare(&model)
            .unwrap()
            .observer()
            .unwrap();
        let input = vec![3; model.input().shape.len()];
        let good = trace(&model, &mut *engine, &input).unwrap();
        assert_eq!(good.layers.len(), model.layers().count());
        assert_eq!(first_difference(&model, &good, &good.clone()), None);
        for (index, layer) in model.layers().enumerate() {
            let mut bad = good.clone();
            bad.layers[index][31] ^= 1;
            // What comes after it differs, too, and is not what is named.
            bad.head = None;
            let place = first_difference(&model, &good, &bad).unwrap();
            let said = differs(&place, ["engine", "qemu-m4"], "picture");
            assert_eq!(said.value["layer"], index);
            let expected = format!(
                "layer {index} '{}' ({}) differs",
                layer.name,
                layer.op.name()
            );
            assert!(said.text.starts_with(&expected), "{}", said.text);
        }
        let mut short = good.clone();
        short.layers.pop();
        assert!(first_difference(&model, &good, &short).is_some());
        for (part, place) in [(0, Place::Feature), (1, Place::Logits)] {
            let mut bad = good.clone();
            bad.head.as_mut().unwrap()[part][0] ^= 1;
            assert_eq!(first_difference(&model, &good, &bad), Some(place));
        }
    }

    #[test]
    fn names_in_a_row() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b"]), "a and b");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
