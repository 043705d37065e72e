//! `verify`: the same bits on every backend and on boards in QEMU, layer by layer.
//!
//! - [`target`]: what can be compared;
//! - [`inputs`]: the pictures that it is compared on;
//! - [`report`]: the result.

mod inputs;
mod report;
pub mod target;

use super::{parse, read};
use crate::runner::{InputRun, Runner};
use crate::{cli::Verify, output, progress::Bars};
use anyhow::{Result, bail};
use converter::board::Board;
use converter::jobs::verify::{Trace, VerifyError, first_difference, trace, verify_one};
use converter::util::progress::Progress;
use edge_runtime::backend::Observer;
use edge_runtime::model::{DType, Model};
use inputs::Inputs;
use report::{AgreementReport, DifferenceReport};
use target::VerifyTarget;

pub fn run(args: &Verify, json: bool) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    if (1..args.on.len()).any(|i| args.on[..i].contains(&args.on[i])) {
        bail!("--on names something twice; it always agrees with itself");
    }
    let kinds = args.on.iter().filter_map(|target| match target {
        VerifyTarget::Backend(kind) => Some(kind),
        VerifyTarget::Board(_) => None,
    });
    let boards: Vec<&Board> = args
        .on
        .iter()
        .filter_map(|target| match target {
            VerifyTarget::Board(board) => Some(&**board),
            VerifyTarget::Backend(_) => None,
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
    // A missing tool is reported before the long work begins.
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
        output::print(json, &difference);
        bail!("{}: {}", args.model.display(), difference.error);
    }
    let outputs = model.layers().map(|l| l.output.shape.len() as u64);
    let report = AgreementReport {
        equal: true,
        inputs: inputs.names.len(),
        layers,
        values: outputs.sum::<u64>() * inputs.names.len() as u64,
        backends: args.on.iter().map(VerifyTarget::name).collect(),
        left_out: inputs.left_out.as_ref(),
    };
    output::print(json, &report);
    Ok(())
}

fn compare_backends(
    model: &Model<'_>,
    backends: &mut [Box<dyn Observer + '_>],
    inputs: &Inputs,
    bars: &Bars,
) -> Result<Option<DifferenceReport>> {
    for (index, (name, input)) in inputs.names.iter().zip(&inputs.values).enumerate() {
        if let Err(d) = verify_one(model, backends, index, input)? {
            return Ok(Some(DifferenceReport::of_backends(d, name)));
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
) -> Result<Option<DifferenceReport>> {
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
                return Ok(Some(DifferenceReport::of_board(place, between, name)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use converter::jobs::verify::Place;
    use edge_runtime::backend::BackendKind;

    #[test]
    fn a_tampered_checksum_is_noticed() {
        let bytes = converter::jobs::convert::convert(
            graft_tests::source(1),
            Some(&graft_tests::int8()),
            &converter::util::progress::Silent,
        );
        let bytes = bytes.unwrap().bytes;
        let model = Model::parse(&bytes).unwrap();
        let engine = BackendKind::Engine.runtime().prepare(&model).unwrap();
        let mut engine = engine.observer().unwrap();
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
            let said = DifferenceReport::of_board(place, ["engine", "qemu-m4"], "picture");
            assert_eq!(serde_json::json!(said)["layer"], index);
            let expected = format!(
                "layer {index} '{}' ({}) differs",
                layer.name,
                layer.op.name()
            );
            assert!(said.error.starts_with(&expected), "{}", said.error);
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
}
