//! `convert`: a network of the catalog or of a file to a `.edge` model.

pub mod check;
mod source;

use super::fit;
use crate::{cli::Convert, output, peak, progress::Bars, units};
use anyhow::{Context, Result};
use converter::board::{self, Request};
use converter::dataset::Dataset;
use converter::jobs::convert::{CalibrationSource, Converted, Int8Options, JudgedOn, convert};
use converter::jobs::{convert::self_check, report};
use converter::pack;
use edge_runtime::model::{Model, WeightsOrigin};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Pictures to calibrate on, if the user does not say how many.
const PICTURES: usize = 200;

/// Notes that begin so say that something is probably wrong: they are printed to stderr.
const WARNING: &str = "WARNING: ";

/// Generated pictures, if there is no folder.
const GENERATED: usize = 64;

pub fn run(args: &Convert, json: bool) -> Result<()> {
    let start = Instant::now();
    // Cheap mistakes first: a folder that is not there must not cost a download.
    let int8 = args.int8.then(|| int8_options(args)).transpose()?;
    if let Some(out) = &args.output {
        let weights = args.weights.as_deref().unwrap_or_default();
        let mut inputs = vec![Path::new(&args.network), Path::new(weights)];
        let board = args.board.as_deref().and_then(board::find::file);
        inputs.extend(board.as_deref());
        inputs.extend(args.input.labels.as_deref());
        converter::util::output::check(out, &inputs)?;
    }
    let board = args.board.as_deref().map(board::find).transpose()?;
    let bars = Bars::new();
    let mut notes = vec![];
    if let Some(CalibrationSource::Pictures { dataset, .. }) = int8.as_ref().map(|o| &o.calibration)
    {
        notes.extend(dataset.left_out.as_ref().map(ToString::to_string));
    }
    let source = source::find(args, &bars, &mut notes)?;
    let quantized = source.graph.is_quantized();
    if args.int8 && quantized && args.calib.is_some() {
        notes.push(
            "the source is quantized already: --calib only gives the ranges that it lacks".into(),
        );
    }
    if !args.int8 && quantized {
        notes.push("the source is quantized: this float model computes with its weights unrounded; --int8 keeps its int8 numbers".into());
    }
    let name = source.name.clone();
    let random = matches!(source.weights, WeightsOrigin::Random { .. });
    let mut converted =
        convert(source, int8.as_ref(), &bars).with_context(|| args.network.clone())?;
    let family = board.as_ref().and_then(board::family);
    if let Some(family) = family.filter(|_| args.int8) {
        converted.bytes = pack::pack(&Model::parse(&converted.bytes)?, family)?;
    }
    let suffix = if args.int8 { "int8" } else { "f32" };
    let out = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{name}-{suffix}.edge")));
    converter::util::output::write(&out, &converted.bytes)?;
    drop(bars);

    for doubt in converted.check.iter().flat_map(self_check::advice) {
        eprintln!("warning: {}: {doubt}", out.display());
    }
    let model = Model::parse(&converted.bytes)?;
    let agreement = converted.check.and_then(|c| c.agreement());
    let judge = |board| board::fit(&model, converted.bytes.len(), &board, &Request::default());
    let fit = board.map(judge).transpose()?;
    if args.input.labels.is_some() && model.head().is_none() {
        notes.push(format!("{WARNING}--labels is not used: names are kept in a head, and the network has none: it does not end in a fully connected layer"));
    }
    let warnings = notes.iter().filter_map(|n| n.strip_prefix(WARNING));
    warnings.for_each(|text| eprintln!("warning: {text}"));
    let peak = peak::memory();
    let value = json!({
        "out": out.display().to_string(),
        "name": name,
        "bytes": converted.bytes.len(),
        "parameters": converted.parameters,
        "macs": converted.macs,
        "arena_bytes": model.arena_bytes(),
        "packed_for": model.packing().map(|p| p.family.name()),
        "agreement": agreement.map(|a| a.top1),
        "agreement_cosine": agreement.map(|a| a.cosine),
        "agreement_on": agreement.map(|_| judged_on(args, &converted)),
        "agreement_images": agreement.map(|a| a.images),
        "check": converted.check.as_ref().map(check::value),
        "peak_memory_bytes": peak,
        "float_pass_images": converted.float_pass.map(|p| p.images),
        "float_pass_seconds": converted.float_pass.map(|p| p.seconds),
        "seconds": start.elapsed().as_secs_f64(),
        "random_weights": random,
        "notes": notes,
        "fit": fit.as_ref().map(fit::value),
    });
    output::print(json, value, || {
        let text = text(
            args,
            (&name, random),
            &converted,
            &model,
            &out,
            peak,
            &notes,
            start,
        );
        match &fit {
            None => text,
            Some(fit) => format!("{text}\nOn {}:\n{}", fit.board, fit::text(fit)),
        }
    });
    fit.as_ref().map_or(Ok(()), fit::verdict)
}

fn int8_options(args: &Convert) -> Result<Int8Options> {
    let images = |default| args.calib_images.map_or(default, |n| n as usize);
    let calibration = match &args.calib {
        None => CalibrationSource::DataFree {
            images: images(GENERATED),
        },
        Some(dir) => CalibrationSource::Pictures {
            folder: dir.file_name().map_or_else(
                || dir.display().to_string(),
                |n| n.to_string_lossy().into_owned(),
            ),
            // Class folders and labels.csv let the pictures be spread over the classes.
            dataset: Dataset::open(dir).or_else(|_| Dataset::pictures(dir))?,
            images: images(PICTURES),
        },
    };
    Ok(Int8Options {
        calibration,
        rule: args.range,
    })
}

/// What the model was compared on.
fn judged_on(args: &Convert, converted: &Converted) -> &'static str {
    match converted.judged_on {
        JudgedOn::Generated if args.int8 && args.calib.is_none() => "further generated pictures",
        JudgedOn::Generated => "generated pictures",
        JudgedOn::Unseen => "pictures that calibration did not see",
        JudgedOn::Calibration => "calibration pictures",
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything that the summary shows"
)]
fn text(
    args: &Convert,
    (name, random): (&str, bool),
    converted: &Converted,
    model: &Model<'_>,
    out: &Path,
    peak: Option<u64>,
    notes: &[String],
    start: Instant,
) -> String {
    let dtype = if args.int8 { "int8" } else { "float32" };
    let mut rows = vec![
        ("parameters", units::count(converted.parameters)),
        ("MACs", units::count(converted.macs)),
        ("file", units::bytes(converted.bytes.len() as u64)),
        (
            "arena",
            format!(
                "{} of RAM for all activations",
                units::bytes(model.arena_bytes() as u64)
            ),
        ),
    ];
    if let Some(packing) = model.packing() {
        let layers: Vec<_> = report::layers(model);
        let packed = layers.iter().filter(|l| !l.layout.is_empty()).count();
        rows.push((
            "packed",
            format!(
                "for {}: {packed} of {} layers; commands on this computer unpack it",
                packing.family.name(),
                layers.len()
            ),
        ));
    }
    if let Some(q) = model.manifest().quantization {
        let ranges = match q.calibration {
            edge_runtime::model::Calibration::DataFree { images } => format!(
                "{} on {images} generated pictures and batch-norm statistics; `--calib DIR` with pictures like yours does better",
                q.method
            ),
            edge_runtime::model::Calibration::Pictures { folder, images } => {
                format!("{} on {images} pictures of {folder}", q.method)
            }
            edge_runtime::model::Calibration::Source => "kept from the quantized source".into(),
        };
        rows.push(("int8 ranges", ranges));
    }
    if let Some(check) = &converted.check {
        rows.extend(check::rows(check, judged_on(args, converted)));
    }
    if let Some(peak) = peak {
        rows.push((
            "peak memory",
            format!("{} while converting", units::bytes(peak)),
        ));
    }
    let mut time = format!("{:.1} s", start.elapsed().as_secs_f64());
    if let Some(pass) = converted.float_pass {
        time += &format!(
            "; one float pass over the {} pictures takes {:.1} s",
            pass.images, pass.seconds
        );
    }
    rows.push(("time", time));
    rows.push(("written", out.display().to_string()));
    let mut text = format!(
        "{} ({dtype}{})\n{}",
        name,
        if random { ", RANDOM WEIGHTS" } else { "" },
        output::pairs(&rows)
    );
    for note in notes.iter().filter(|n| !n.starts_with(WARNING)) {
        text += &format!("  note: {note}\n");
    }
    let file = out.display();
    text +=
        &format!("\nNext:\n  cargo xtask inspect {file}\n  cargo xtask run {file} PICTURE.jpg\n");
    if !random {
        text += &format!("  cargo xtask eval {file} DIR_OF_LABELLED_PICTURES\n");
    }
    if args.int8 {
        text += &format!("  cargo xtask verify {file}\n");
        if model.head().is_some() {
            text += &format!("  cargo xtask retrain-head {file} --data DIR_OF_CLASS_FOLDERS\n");
        }
    }
    text
}
