//! `convert`: a network of the catalog or of a file to a `.edge` model.

pub mod check;
mod prune;
mod report;
mod source;

use super::fit::{self, FitReport};
use crate::{cli::Convert, output, peak, progress::Bars};
use anyhow::{Context, Result};
use check::CheckReport;
use converter::board::{self, Request};
use converter::dataset::Dataset;
use converter::jobs::convert::self_check;
use converter::jobs::convert::{
    CalibrationSource, Converted, Int8Options, JudgedOn, Source, convert,
};
use converter::pack;
use edge_runtime::model::{Model, WeightsOrigin};
use report::{ConvertReport, Shown};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Pictures to calibrate on, if the user does not say how many.
const PICTURES: usize = 200;

/// Generated pictures, if there is no folder.
const GENERATED: usize = 64;

/// A note that begins like this says that something is probably wrong. It is printed to stderr.
const WARNING: &str = "WARNING: ";

pub fn run(args: &Convert, json: bool) -> Result<()> {
    let start = Instant::now();
    // Mistakes in the arguments are reported before anything is downloaded.
    let int8 = args.int8.then(|| int8_options(args)).transpose()?;
    check_output(args)?;
    let board = args.board.as_deref().map(board::find).transpose()?;
    let prune = prune::request(args, board.as_ref())?;
    let bars = Bars::new();
    let mut notes = vec![];
    if let Some(CalibrationSource::Pictures { dataset, .. }) = int8.as_ref().map(|o| &o.calibration)
    {
        notes.extend(dataset.left_out.as_ref().map(ToString::to_string));
    }
    let source = source::find(args, &bars, &mut notes)?;
    notes.extend(about_quantized_source(args, &source).map(String::from));
    let name = source.name.clone();
    let random = matches!(source.weights, WeightsOrigin::Random { .. });
    let (mut converted, pruned) = match &prune {
        None => convert(source, int8.as_ref(), &bars)
            .map(|converted| (converted, None))
            .with_context(|| args.network.clone())?,
        Some(prune) => prune
            .run(source, int8.as_ref(), &bars)
            .map(|(converted, report)| (converted, Some(report)))
            .with_context(|| args.network.clone())?,
    };
    let family = board.as_ref().and_then(board::family);
    if let Some(family) = family.filter(|_| args.int8) {
        converted.bytes = pack::pack(&Model::parse(&converted.bytes)?, family)?;
    }
    let suffix = if args.int8 { "int8" } else { "f32" };
    let default = || PathBuf::from(format!("{name}-{suffix}.edge"));
    let out = args.output.clone().unwrap_or_else(default);
    converter::util::output::write(&out, &converted.bytes)?;
    drop(bars);

    let model = Model::parse(&converted.bytes)?;
    let judge = |board| board::fit(&model, converted.bytes.len(), &board, &Request::default());
    let fit = board.map(judge).transpose()?;
    if args.input.labels.is_some() && model.head().is_none() {
        notes.push(format!("{WARNING}--labels is not used: names are kept in a head, and the network has none: it does not end in a fully connected layer"));
    }
    let doubts = converted.check.iter().flat_map(self_check::advice);
    output::warn(doubts.map(|doubt| format!("{}: {doubt}", out.display())));
    output::warn(notes.iter().filter_map(|n| n.strip_prefix(WARNING)));
    let agreement = converted.check.and_then(|c| c.agreement());
    let checked_on = checked_on(args, &converted);
    let report = ConvertReport {
        out: out.display().to_string(),
        name: &name,
        bytes: converted.bytes.len(),
        parameters: converted.parameters,
        macs: converted.macs,
        arena_bytes: model.arena_bytes(),
        packed_for: model.packing().map(|p| p.family.name()),
        agreement: agreement.map(|a| a.top1),
        agreement_cosine: agreement.map(|a| a.cosine),
        agreement_on: agreement.map(|_| checked_on),
        agreement_images: agreement.map(|a| a.images),
        check: converted.check.as_ref().map(CheckReport::from),
        peak_memory_bytes: peak::memory(),
        float_pass_images: converted.float_pass.map(|p| p.images),
        float_pass_seconds: converted.float_pass.map(|p| p.seconds),
        seconds: start.elapsed().as_secs_f64(),
        random_weights: random,
        notes: &notes,
        pruning: pruned.as_ref(),
        fit: fit.as_ref().map(FitReport::new),
        shown: Shown::new(&model, &notes, checked_on),
    };
    output::print(json, &report);
    fit.as_ref().map_or(Ok(()), fit::verdict)
}

/// An error if the output cannot be written, or would replace something that is read.
fn check_output(args: &Convert) -> Result<()> {
    let Some(out) = &args.output else {
        return Ok(());
    };
    let weights = args.weights.as_deref().unwrap_or_default();
    let mut inputs = vec![Path::new(&args.network), Path::new(weights)];
    let board = args.board.as_deref().and_then(board::find::file);
    inputs.extend(board.as_deref());
    inputs.extend(args.input.labels.as_deref());
    converter::util::output::check(out, &inputs)?;
    Ok(())
}

/// What is to say if the source is quantized already.
fn about_quantized_source(args: &Convert, source: &Source) -> Option<&'static str> {
    match (args.int8, &args.calib) {
        _ if !source.graph.is_quantized() => None,
        (true, Some(_)) => {
            Some("the source is quantized already: --calib only gives the ranges that it lacks")
        }
        (true, None) => None,
        (false, _) => Some(
            "the source is quantized: this float model computes with its weights unrounded; --int8 keeps its int8 numbers",
        ),
    }
}

fn int8_options(args: &Convert) -> Result<Int8Options> {
    let dir = args.calib.as_deref().or(args.data.as_deref());
    let default = dir.map_or(GENERATED, |_| PICTURES);
    Ok(Int8Options {
        calibration: pictures(dir, args.calib_images.map_or(default, |n| n as usize))?,
        rule: args.range,
    })
}

/// So many pictures of a folder, or generated ones.
fn pictures(dir: Option<&Path>, images: usize) -> Result<CalibrationSource> {
    Ok(match dir {
        None => CalibrationSource::DataFree { images },
        Some(dir) => CalibrationSource::Pictures {
            folder: dir.file_name().map_or_else(
                || dir.display().to_string(),
                |n| n.to_string_lossy().into_owned(),
            ),
            // With class folders or labels.csv, pictures are taken from all classes.
            dataset: Dataset::open(dir).or_else(|_| Dataset::pictures(dir))?,
            images,
        },
    })
}

/// The pictures that the model was checked on.
fn checked_on(args: &Convert, converted: &Converted) -> &'static str {
    match converted.judged_on {
        JudgedOn::Generated if args.int8 && args.calib.is_none() && args.data.is_none() => {
            "further generated pictures"
        }
        JudgedOn::Generated => "generated pictures",
        JudgedOn::Unseen => "pictures that calibration did not see",
        JudgedOn::Calibration => "calibration pictures",
    }
}
