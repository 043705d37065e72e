//! The network that `convert` was asked for: of a file, or of the catalog.

use crate::{cli::Convert, input, progress::Bars};
use anyhow::{Context, Result, bail};
use converter::convert::Source;
use converter::graph::{Graph, Shape};
use converter::import::{self, Content, Imported, Kind};
use converter::zoo::fetch::{How, Mirror};
use converter::zoo::{self, CatalogEntry, Weights, catalog};
use edge_runtime::model::{OutputFunction, WeightsOrigin};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Seed of random weights.
const SEED: u64 = 0;

/// A file if the argument has the name of one, else a network of the catalog.
pub fn find(args: &Convert, bars: &Bars, notes: &mut Vec<String>) -> Result<Source> {
    let path = Path::new(&args.network);
    match import::kind(path) {
        Some(Kind::Network) => return from_file(args, path, notes),
        Some(Kind::Weights) => bail!(
            "{0}: a file of weights has no network; name the network of the catalog that they are for (`cargo xtask models`): convert NAME --weights {0}",
            args.network
        ),
        None => {}
    }
    if path.extension().is_some_and(|e| e == "edge") {
        bail!(
            "{}: a .edge file is converted already; `cargo xtask inspect` shows what is in it",
            args.network
        );
    }
    from_catalog(args, bars, notes)
}

fn from_file(args: &Convert, path: &Path, notes: &mut Vec<String>) -> Result<Source> {
    if args.weights.is_some() {
        bail!("--weights is for networks of the catalog; a file carries its own");
    }
    if args.mirror.is_some() {
        bail!("--mirror is for networks of the catalog; a file is not fetched");
    }
    let Content::Network(imported) = import::read(path)? else {
        bail!("{}: weights without a network", args.network)
    };
    let mut imported = *imported;
    notes.append(&mut imported.warnings);
    let output = output(args, &imported, notes);
    let labels = match &args.input.labels {
        None => String::new(),
        Some(file) => labels(file, classes(&imported.graph, output))?,
    };
    let given = args.input.normalize.is_some() || args.input.mean.is_some();
    if !given && imported.pixels.is_none() {
        notes.push("the file does not say what pixel values it wants: torchvision's mean and std are assumed; --normalize changes that".into());
    }
    let name =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    Ok(Source {
        name: name(path.file_stem()),
        input: input::spec(&args.input, imported.graph.input_shape(), imported.pixels)?,
        graph: imported.graph,
        origin: name(path.file_name()),
        license: String::new(),
        weights: pretrained(path)?,
        labels,
        output,
    })
}

/// What turns the network's output into probabilities: what the user says, else what the file ends in, else a
/// softmax; one number without an activation is left a number.
fn output(args: &Convert, imported: &Imported, notes: &mut Vec<String>) -> OutputFunction {
    let single = imported.graph.nodes[imported.graph.output].shape.len() == 1;
    match args.input.activation.or(imported.output) {
        Some(function) => function,
        None if single => {
            notes.push("the network gives one number, and the file does not say what it means: it is shown as it is; if it is the logit of a yes or no, convert with `--activation sigmoid`".into());
            OutputFunction::None
        }
        None => OutputFunction::Softmax,
    }
}

/// Classes of a network: one sigmoid is a choice of two.
fn classes(graph: &Graph, output: OutputFunction) -> usize {
    let shape = graph.nodes[graph.output].shape;
    match output {
        OutputFunction::Sigmoid if shape.len() == 1 => 2,
        _ => shape.c as usize,
    }
}

/// Names of the classes, one a line, as many as there are.
fn labels(file: &Path, classes: usize) -> Result<String> {
    let name = file.display();
    let text =
        std::fs::read_to_string(file).with_context(|| format!("{name}: cannot read the labels"))?;
    let lines = text.lines().count();
    if lines != classes {
        bail!(
            "{name}: {lines} lines, and the network has {classes} classes; write one name a line"
        );
    }
    Ok(text)
}

/// SHA-256 of the file that held the weights.
fn pretrained(path: &Path) -> Result<WeightsOrigin> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(WeightsOrigin::Pretrained {
        sha256: Sha256::digest(&bytes).into(),
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
            "the catalog knows what {} wants to see; the input options are for files",
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
            let path = Path::new(file);
            let graph = with_weights(entry, path, notes)?;
            let name = path.file_name().unwrap_or_default();
            (
                graph,
                pretrained(path)?,
                name.to_string_lossy().into_owned(),
            )
        }
        None => {
            let mirror = match &args.mirror {
                Some(mirror) => Some(mirror.clone()),
                None => Mirror::from_env()?,
            };
            let fetched = zoo::fetch(entry, mirror, bars)?;
            if fetched.how == How::Replaced {
                notes.push("the cached weights were damaged and have been fetched again".into());
            }
            let graph = with_weights(entry, &fetched.path, notes)?;
            let weights = WeightsOrigin::Pretrained {
                sha256: fetched.sha256,
            };
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
        output: OutputFunction::Softmax,
    })
}

/// A network of the catalog with the numbers of a file; the file may also bring the network itself.
fn with_weights(entry: &CatalogEntry, path: &Path, notes: &mut Vec<String>) -> Result<Graph> {
    let file = || path.display().to_string();
    match import::read(path)? {
        Content::Weights(tensors) => {
            zoo::build(entry, Weights::StateDict(&tensors)).with_context(file)
        }
        Content::Network(imported) => {
            let Imported {
                graph, warnings, ..
            } = *imported;
            notes.extend(warnings);
            fits(entry, &graph).with_context(file)?;
            Ok(graph)
        }
    }
}

/// Whether a network that brings its own graph is the one that the catalog describes.
fn fits(entry: &CatalogEntry, graph: &Graph) -> Result<()> {
    let (input, spec) = (graph.input_shape(), &entry.input);
    let wanted = Shape::new(spec.height, spec.width, spec.channels());
    if input != wanted {
        bail!(
            "its input is {input}, that of '{}' in the catalog is {wanted}",
            entry.name
        );
    }
    let (classes, labels) = (graph.nodes[graph.output].shape.c, entry.labels().len());
    if labels > 0 && classes as usize != labels {
        bail!(
            "it has {classes} classes, '{}' in the catalog has {labels}",
            entry.name
        );
    }
    Ok(())
}
