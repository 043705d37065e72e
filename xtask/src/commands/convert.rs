//! `convert`: a network of the catalog or an `.onnx` file to a `.edge` model.

use super::fit;
use crate::{cli::Convert, input, output, peak, progress::Bars, units};
use anyhow::{Context, Result, bail};
use converter::board::{self, Needs, Request};
use converter::convert::{CalibrationSource, Converted, Int8Options, Source, convert};
use converter::dataset::Dataset;
use converter::import::{onnx, pth};
use converter::zoo::{self, Weights, catalog, fetch::How};
use edge_runtime::model::{Model, WeightsOrigin};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Pictures to calibrate on, if the user does not say how many.
const PICTURES: usize = 200;

/// Generated pictures, if there is no folder.
const GENERATED: usize = 64;

/// Seed of random weights.
const SEED: u64 = 0;

pub fn run(args: &Convert, json: bool) -> Result<()> {
    let start = Instant::now();
    // Cheap mistakes first: a folder that is not there must not cost a download.
    let int8 = args.int8.then(|| int8_options(args)).transpose()?;
    if let Some(out) = &args.output {
        let weights = args.weights.as_deref().unwrap_or_default();
        let mut inputs = vec![Path::new(&args.network), Path::new(weights)];
        let board = args.board.as_deref().and_then(board::load::file);
        inputs.extend(board.as_deref());
        inputs.extend(args.input.labels.as_deref());
        converter::output::check(out, &inputs)?;
    }
    let board = args.board.as_deref().map(board::find).transpose()?;
    let bars = Bars::new();
    let mut notes = vec![];
    let source = match Path::new(&args.network)
        .extension()
        .and_then(|e| e.to_str())
    {
        Some("onnx") => from_onnx(args, &mut notes)?,
        Some(other @ ("pth" | "pt" | "safetensors" | "tflite" | "edge")) => bail!(
            "{}: a .{other} file cannot be converted by itself; give a network of the catalog (`cargo xtask models`) with `--weights FILE.pth`, or an .onnx file",
            args.network
        ),
        _ => from_catalog(args, &bars, &mut notes)?,
    };
    let converted = convert(&source, int8.as_ref(), &bars).with_context(|| args.network.clone())?;
    let suffix = if args.int8 { "int8" } else { "f32" };
    let out = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}-{suffix}.edge", source.name)));
    converter::output::write(&out, &converted.bytes)?;
    drop(bars);

    let model = Model::parse(&converted.bytes)?;
    let fit = board.map(|board| {
        let needs = Needs::of(&model, converted.bytes.len());
        board::fit(&needs, &board, &Request::default())
    });
    let peak = peak::memory();
    let value = json!({
        "out": out.display().to_string(),
        "name": source.name,
        "bytes": converted.bytes.len(),
        "parameters": converted.parameters,
        "macs": converted.macs,
        "arena_bytes": model.arena_bytes(),
        "agreement": converted.agreement.map(|a| a.top1),
        "agreement_cosine": converted.agreement.map(|a| a.cosine),
        "agreement_on": converted.agreement.map(|_| judged_on(args, &converted)),
        "agreement_images": converted.agreement.map(|a| a.images),
        "peak_memory_bytes": peak,
        "float_pass_images": converted.float_pass.map(|p| p.images),
        "float_pass_seconds": converted.float_pass.map(|p| p.seconds),
        "seconds": start.elapsed().as_secs_f64(),
        "random_weights": matches!(source.weights, WeightsOrigin::Random { .. }),
        "notes": notes,
        "fit": fit.as_ref().map(fit::value),
    });
    output::print(json, value, || {
        let text = text(args, &source, &converted, &model, &out, peak, &notes, start);
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

fn from_onnx(args: &Convert, notes: &mut Vec<String>) -> Result<Source> {
    let path = Path::new(&args.network);
    if args.weights.is_some() {
        bail!("--weights is for networks of the catalog; an .onnx file carries its own");
    }
    let imported = onnx::read(path)?;
    notes.extend(imported.warnings);
    let bytes = std::fs::read(path).with_context(|| args.network.clone())?;
    let labels = match &args.input.labels {
        None => String::new(),
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("{}: cannot read the labels", file.display()))?,
    };
    let given = args.input.normalize.is_some() || args.input.mean.is_some();
    if !given {
        notes.push("an .onnx file does not say what pixel values it wants: torchvision's mean and std are assumed; --normalize changes that".into());
    }
    Ok(Source {
        name: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        input: input::spec(&args.input, imported.graph.input_shape())?,
        graph: imported.graph,
        origin: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        license: String::new(),
        weights: WeightsOrigin::Pretrained {
            sha256: Sha256::digest(&bytes).into(),
        },
        labels,
    })
}

fn from_catalog(args: &Convert, bars: &Bars, notes: &mut Vec<String>) -> Result<Source> {
    let i = &args.input;
    if i.normalize.is_some()
        || i.mean.is_some()
        || i.bgr
        || i.squash
        || i.short_side.is_some()
        || i.labels.is_some()
    {
        bail!(
            "the catalog knows what {} wants to see; the input options are for .onnx files",
            args.network
        );
    }
    let entry = catalog::find(&args.network)?;
    let (graph, weights, origin) = match args.weights.as_deref() {
        Some("random") => {
            let weights = WeightsOrigin::Random { seed: SEED };
            (
                zoo::build(entry, Weights::Random { seed: SEED })?,
                weights,
                "random weights".into(),
            )
        }
        Some(file) => {
            let (graph, weights) = from_checkpoint(entry, Path::new(file))?;
            let name = Path::new(file).file_name().unwrap_or_default();
            (graph, weights, name.to_string_lossy().into_owned())
        }
        None => {
            let fetched = zoo::fetch::fetch(entry, bars)?;
            if fetched.how == How::Replaced {
                notes.push("the cached weights were damaged and have been fetched again".into());
            }
            let (graph, weights) = from_checkpoint(entry, &fetched.path)?;
            (graph, weights, fetched.source)
        }
    };
    Ok(Source {
        name: entry.name.clone(),
        graph,
        origin,
        license: entry.license.clone(),
        weights,
        input: entry.input,
        labels: entry.labels().join("\n"),
    })
}

fn from_checkpoint(
    entry: &catalog::CatalogEntry,
    path: &Path,
) -> Result<(converter::graph::Graph, WeightsOrigin)> {
    let tensors = pth::read(path)?;
    let graph = zoo::build(entry, Weights::StateDict(&tensors))
        .with_context(|| path.display().to_string())?;
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok((
        graph,
        WeightsOrigin::Pretrained {
            sha256: Sha256::digest(&bytes).into(),
        },
    ))
}

/// What int8 was compared with float on.
fn judged_on(args: &Convert, converted: &Converted) -> &'static str {
    match (args.calib.is_some(), converted.agreement_on_unseen) {
        (false, _) => "further generated pictures",
        (true, true) => "pictures that calibration did not see",
        (true, false) => "the calibration pictures",
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything that the summary shows"
)]
fn text(
    args: &Convert,
    source: &Source,
    converted: &Converted,
    model: &Model<'_>,
    out: &Path,
    peak: Option<u64>,
    notes: &[String],
    start: Instant,
) -> String {
    let dtype = if args.int8 { "int8" } else { "float32" };
    let random = matches!(source.weights, WeightsOrigin::Random { .. });
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
    if let Some(a) = converted.agreement {
        let which = judged_on(args, converted);
        rows.push((
            "int8 against float",
            format!(
                "same first class on {} of {} {which}, cosine {:.4}",
                units::percent(a.top1 as f64),
                a.images,
                a.cosine
            ),
        ));
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
        source.name,
        if random { ", RANDOM WEIGHTS" } else { "" },
        output::pairs(&rows)
    );
    for note in notes {
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
