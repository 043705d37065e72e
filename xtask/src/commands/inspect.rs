//! `inspect`: what is in a model.

use super::convert::check;
use super::{parse, read, read_as_is};
use crate::{cli::Inspect, output, units};
use anyhow::Result;
use converter::board::{self, Board};
use converter::jobs::report;
use converter::pack;
use edge_runtime::head::{Head, HeadOrigin, HeadSize, Pool};
use edge_runtime::model::{
    AlignedBytes, Calibration, DType, Manifest, Model, Output, OutputFunction, WeightsOrigin,
};
use serde_json::json;
use std::path::Path;

pub fn run(args: &Inspect, json: bool) -> Result<()> {
    let board = args.board.as_deref().map(board::find).transpose()?;
    let bytes = match &board {
        None => read_as_is(&args.model)?,
        Some(board) => for_board(&args.model, board)?,
    };
    let model = parse(&args.model, &bytes)?;
    let layers = report::layers(&model);
    let lower_bound = layers.iter().map(|l| l.live_bytes).max().unwrap_or(0);
    let peak = layers
        .iter()
        .map(|l| l.live_bytes + l.scratch_bytes)
        .max()
        .unwrap_or(0);
    let manifest = model.manifest();
    let head = model.head();
    let value = json!({
        "name": manifest.name,
        "source": manifest.source,
        "license": manifest.license,
        "converter": manifest.converter,
        "weights": weights(manifest),
        "dtype": if model.dtype() == DType::I8 { "int8" } else { "float32" },
        "input": {
            "height": manifest.input.height, "width": manifest.input.width, "channels": manifest.input.channels(),
            "mean": manifest.input.mean, "std": manifest.input.std,
            "scale": model.input().quant.scale, "zero_point": model.input().quant.zero_point,
        },
        "quantization": manifest.quantization.map(|q| json!({
            "method": q.method,
            "calibration": calibration(&q.calibration),
            "agreement": q.agreement.map(|a| json!({"images": a.images, "top1": a.top1, "cosine": a.cosine})),
        })),
        "output": output_value(&model),
        "check": model.self_check().as_ref().map(check::value),
        "parameters": manifest.parameters,
        "macs": manifest.macs,
        "bytes": bytes.len(),
        "arena_bytes": model.arena_bytes(),
        "arena_lower_bound_bytes": lower_bound,
        "peak_with_scratch_bytes": peak,
        "board": board.as_ref().map(|b| &b.name),
        "packed_for": model.packing().map(|p| p.family.name()),
        "trunk_sha256": units::hex(model.trunk_sha256()),
        "layers": layers.iter().map(|l| json!({
            "name": l.name, "op": l.op, "window": l.window, "shape": [l.shape.h, l.shape.w, l.shape.c],
            "macs": l.macs, "weight_bytes": l.weight_bytes, "offset": l.offset, "live_bytes": l.live_bytes,
            "scratch_bytes": l.scratch_bytes, "layout": l.layout,
        })).collect::<Vec<_>>(),
        "head": head.map(|h| json!({
            "classes": h.classes(), "features": h.features(), "hidden": h.size().hidden, "pool": pool(h), "bytes": h.bytes().len(),
            "origin": origin(h), "labels": h.record().labels.lines().collect::<Vec<_>>(),
            "training_ram_bytes": report::training_bytes(&h.size()),
        })),
    });
    output::print(json, value, || {
        text(
            &model,
            board.as_ref(),
            bytes.len(),
            &layers,
            lower_bound,
            peak,
        )
    });
    Ok(())
}

/// The model as `convert --board` packs it; as it is for a board without packed kernels, and if float.
fn for_board(path: &Path, board: &Board) -> Result<AlignedBytes> {
    let bytes = read(path)?;
    let model = parse(path, &bytes)?;
    match board::family(board) {
        Some(family) if model.dtype() == DType::I8 => Ok(pack::pack(&model, family)?),
        _ => Ok(bytes),
    }
}

fn text(
    model: &Model<'_>,
    board: Option<&Board>,
    file: usize,
    layers: &[report::LayerReport],
    lower_bound: u64,
    peak: u64,
) -> String {
    let m = model.manifest();
    let i = &m.input;
    let dtype = if model.dtype() == DType::I8 {
        "int8"
    } else {
        "float32"
    };
    let mut rows = vec![
        ("name", format!("{} ({dtype})", m.name)),
        ("source", m.source.to_string()),
        ("weights", weights(m)),
        (
            "license",
            if m.license.is_empty() {
                "not stated".into()
            } else {
                m.license.to_string()
            },
        ),
        ("converter", m.converter.to_string()),
        (
            "input",
            format!(
                "{}x{}x{} {:?}, {:?} {:?}, mean {:?}, std {:?}",
                i.height,
                i.width,
                i.channels(),
                i.order,
                i.resize,
                i.filter,
                i.mean,
                i.std
            ),
        ),
    ];
    if let Some(q) = m.quantization {
        rows.push((
            "ranges",
            format!("{} on {}", q.method, calibration(&q.calibration)),
        ));
        if let Some(a) = q.agreement {
            rows.push((
                "int8 vs float",
                format!(
                    "same first class on {} of {} pictures, cosine {:.4}",
                    units::percent(a.top1 as f64),
                    a.images,
                    a.cosine
                ),
            ));
        }
    }
    let output = model.output_rule();
    if output != Output::SOFTMAX {
        rows.push(("output", output_text(&output)));
    }
    if let Some(check) = model.self_check() {
        rows.push(("self-check", check::verdict_text(&check)));
    }
    rows.push(("parameters", units::count(m.parameters)));
    rows.push(("MACs", units::count(m.macs)));
    rows.push(("file", units::bytes(file as u64)));
    let over = 100.0 * (model.arena_bytes() as f64 / lower_bound.max(1) as f64 - 1.0);
    rows.push((
        "arena",
        format!(
            "{} (live tensors need {}: {over:.1} % over)",
            units::bytes(model.arena_bytes() as u64),
            units::bytes(lower_bound)
        ),
    ));
    if let Some(packing) = model.packing() {
        let packed = layers.iter().filter(|l| !l.layout.is_empty()).count();
        let text = format!(
            "for {}: {packed} of {} layers; with the kernels' scratch the largest layer needs {}",
            packing.family.name(),
            layers.len(),
            units::bytes(peak)
        );
        rows.push(("packed", text));
    } else if let Some(board) = board {
        rows.push(("packed", not_packed(model, board)));
    }
    rows.push(("trunk", units::hex(model.trunk_sha256())));
    let mut out = output::pairs(&rows) + "\n";

    let header = [
        "#",
        "layer",
        "op",
        "window",
        "output",
        "MACs",
        "weights",
        "offset",
        "live",
        "scratch",
        "layout",
        "memory over time",
    ];
    let mut table = vec![header.map(String::from).to_vec()];
    for (n, l) in layers.iter().enumerate() {
        let bar = "#".repeat((24 * l.live_bytes).div_ceil(lower_bound.max(1)) as usize);
        table.push(vec![
            n.to_string(),
            l.name.clone(),
            l.op.into(),
            l.window.clone(),
            l.shape.to_string(),
            if l.macs > 0 {
                units::count(l.macs)
            } else {
                String::new()
            },
            if l.weight_bytes > 0 {
                units::bytes(l.weight_bytes)
            } else {
                String::new()
            },
            l.offset.to_string(),
            units::bytes(l.live_bytes),
            if l.scratch_bytes > 0 {
                units::bytes(l.scratch_bytes)
            } else {
                String::new()
            },
            l.layout.into(),
            bar,
        ]);
    }
    out += &output::table(&table);
    if let Some(h) = model.head() {
        let labels: Vec<&str> = h.record().labels.lines().take(8).collect();
        let more = h.classes().saturating_sub(labels.len());
        let labels = match (labels.is_empty(), more) {
            (true, _) => "not named".into(),
            (false, 0) => labels.join(", "),
            (false, more) => format!("{}, and {more} more", labels.join(", ")),
        };
        out += "\n";
        out += &output::pairs(&[
            (
                "head",
                format!(
                    "{} features ({}) to {}{} classes, {}",
                    h.features(),
                    pool(h),
                    match h.size().hidden {
                        0 => String::new(),
                        units => format!("{units} hidden units to "),
                    },
                    h.classes(),
                    units::bytes(h.bytes().len() as u64)
                ),
            ),
            ("origin", origin(h)),
            ("classes", labels),
            (
                "training memory",
                format!(
                    "{} for as many classes, {} for five, besides the stored features",
                    units::bytes(report::training_bytes(&h.size()) as u64),
                    units::bytes(report::training_bytes(&HeadSize {
                        classes: 5,
                        ..h.size()
                    }) as u64)
                ),
            ),
        ]);
    }
    out
}

/// What the network's own last numbers mean, for machines.
fn output_value(model: &Model<'_>) -> serde_json::Value {
    let output = model.output_rule();
    json!({"activation": output.function.name(), "clamp": output.clamp()})
}

/// The same for people.
fn output_text(output: &Output) -> String {
    let clamp = match output.clamp() {
        Some([low, high]) => format!("cut to {low} to {high}, then "),
        None => String::new(),
    };
    let function = match output.function {
        OutputFunction::Softmax => "softmax: one class of all",
        OutputFunction::Sigmoid => "sigmoid: every label by itself",
        OutputFunction::None => "shown as it is: the numbers are no logits of classes",
    };
    format!("{clamp}{function}")
}

/// Why a model is not packed for a board.
fn not_packed(model: &Model<'_>, board: &Board) -> String {
    let name = &board.name;
    match board.linux {
        Some(_) => format!("no: {name} runs the file as it is"),
        None if model.dtype() == DType::F32 => format!(
            "no: {name} runs int8 models, and this one is float; the figures are of this file, convert it with --int8"
        ),
        None => format!(
            "no: there are no kernels for the processor of {name}, it runs the file as it is"
        ),
    }
}

fn weights(manifest: &Manifest<'_>) -> String {
    match manifest.weights {
        WeightsOrigin::Pretrained { sha256 } => {
            format!("pretrained, SHA-256 {}", units::hex(&sha256))
        }
        WeightsOrigin::Random { seed } => {
            format!("RANDOM (seed {seed}): for latency and memory only")
        }
    }
}

fn calibration(c: &Calibration<'_>) -> String {
    match c {
        Calibration::Pictures { folder, images } => format!("{images} pictures of {folder}"),
        Calibration::DataFree { images } => {
            format!("{images} generated pictures and batch-norm statistics")
        }
        Calibration::Source => "nothing: the source was quantized, its ranges are kept".into(),
    }
}

fn pool(head: &Head<'_>) -> &'static str {
    match head.record().pool {
        Pool::Flatten => "flattened",
        Pool::Avg { .. } => "average pool",
        Pool::Max => "max pool",
    }
}

fn origin(head: &Head<'_>) -> String {
    match head.record().origin {
        HeadOrigin::Factory => "came with the network".into(),
        HeadOrigin::Retrained {
            images,
            held_out,
            held_out_top1,
            seed,
        } => match held_out_top1 {
            None => format!("retrained on {images} pictures (seed {seed}), none held out"),
            Some(top1) => format!(
                "retrained on {images} pictures (seed {seed}), {} on {held_out} held out",
                units::percent(top1 as f64)
            ),
        },
    }
}
