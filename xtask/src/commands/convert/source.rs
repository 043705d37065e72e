//! Finds the network that `convert` was asked for: in a file, or in the catalog.

use crate::{cli::Convert, input, progress::Bars};
use anyhow::{Context, Result, bail};
use converter::graph::{Graph, Shape};
use converter::import::pixels::Pixels;
use converter::import::{self, Content, Imported, Kind};
use converter::jobs::convert::Source;
use converter::zoo::fetch::{How, Mirror};
use converter::zoo::{self, CatalogEntry, Weights, catalog};
use edge_runtime::model::{OutputFunction, WeightsOrigin};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Seed of random weights.
const SEED: u64 = 0;

/// Reads the file if the argument is the name of one, else looks in the catalog.
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
    let output = output(args, &imported.graph, imported.output, notes)?;
    let labels = match &args.input.labels {
        None => String::new(),
        Some(file) => labels(file, classes(&imported.graph, output))?,
    };
    let input = input::spec(
        &args.input,
        imported.graph.input_shape(),
        &imported.pixels,
        None,
        notes,
    )?;
    let name =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    Ok(Source {
        name: name(path.file_stem()),
        input,
        graph: imported.graph,
        origin: name(path.file_name()),
        license: String::new(),
        weights: pretrained(path)?,
        labels,
        output,
        pruned: None,
    })
}

/// The function that turns the network's output into probabilities: what the user says, else what the file ends in,
/// else a softmax. One number without an activation stays a number.
fn output(
    args: &Convert,
    graph: &Graph,
    said: Option<OutputFunction>,
    notes: &mut Vec<String>,
) -> Result<OutputFunction> {
    let single = graph.nodes[graph.output].shape.len() == 1;
    Ok(match (args.input.activation, said) {
        (Some(given), Some(said)) if given != said => match said {
            OutputFunction::None => bail!(
                "--activation {}: the output lies between 0 and 1 already",
                given.name()
            ),
            _ => bail!(
                "--activation {}: the file ends in a {} of its own, which is taken",
                given.name(),
                said.name()
            ),
        },
        (_, Some(OutputFunction::None)) => {
            notes.push(
                "the output lies between 0 and 1 already: its numbers are shown as they are".into(),
            );
            OutputFunction::None
        }
        (given, said) if given.or(said).is_some() => {
            given.or(said).unwrap_or(OutputFunction::Softmax)
        }
        _ if single => {
            notes.push("the network gives one number, and the file does not say what it means: it is shown as it is; if it is the logit of a yes or no, convert with `--activation sigmoid`".into());
            OutputFunction::None
        }
        _ => OutputFunction::Softmax,
    })
}

/// How many classes a network has: two for one sigmoid.
fn classes(graph: &Graph, output: OutputFunction) -> usize {
    let shape = graph.nodes[graph.output].shape;
    match output {
        OutputFunction::Sigmoid if shape.len() == 1 => 2,
        _ => shape.c as usize,
    }
}

/// Reads the names of the classes, one per line; an error if the file has another number of lines.
fn labels(file: &Path, classes: usize) -> Result<String> {
    let name = file.display();
    let text =
        std::fs::read_to_string(file).with_context(|| format!("{name}: cannot read the labels"))?;
    let lines = text.lines().count();
    if lines != classes {
        bail!(
            "{name}: {lines} lines, and the network has {classes} classes; write one name a line{}",
            match (lines, classes) {
                (2, 1) =>
                    ", or convert with `--activation sigmoid` if its one number is a yes or no",
                _ => "",
            }
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
    let weights = args.weights.as_deref();
    let own_network = weights.is_some_and(|w| import::kind(Path::new(w)) == Some(Kind::Network));
    if input::given(&args.input) && !own_network {
        bail!(
            "the catalog knows what {} wants to see; the input options are for files",
            args.network
        );
    }
    let entry = catalog::find(&args.network)?;
    let mut input = entry.input;
    let mut output = OutputFunction::Softmax;
    let mut labels_of_classes = entry.labels().join("\n");
    let (graph, weights, origin) = match weights {
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
            let (graph, own) = with_weights(entry, path, notes)?;
            if let Some(Own {
                pixels,
                output: said,
            }) = own
            {
                let file = || path.display().to_string();
                same_network(entry, &graph, path).with_context(file)?;
                let known = Some(&entry.input);
                input = input::spec(&args.input, graph.input_shape(), &pixels, known, notes)?;
                output = self::output(args, &graph, said, notes)?;
            }
            if let Some(file) = &args.input.labels {
                labels_of_classes = labels(file, classes(&graph, output))?;
            }
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
            let (graph, _) = with_weights(entry, &fetched.path, notes)?;
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
        input,
        labels: labels_of_classes,
        output,
        pruned: None,
    })
}

/// What a file tells about the network in it.
struct Own {
    pixels: Pixels,
    output: Option<OutputFunction>,
}

/// A network of the catalog with the weights of a file. If the file holds a network as well, also what it tells of that
/// network's pixels and output.
fn with_weights(
    entry: &CatalogEntry,
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<(Graph, Option<Own>)> {
    let file = || path.display().to_string();
    match import::read(path)? {
        Content::Weights(tensors) => {
            let graph = zoo::build(entry, Weights::StateDict(&tensors)).with_context(file)?;
            Ok((graph, None))
        }
        Content::Network(imported) => {
            let Imported {
                graph,
                pixels,
                output,
                warnings,
                ..
            } = *imported;
            notes.extend(warnings);
            fits(entry, &graph).with_context(file)?;
            Ok((graph, Some(Own { pixels, output })))
        }
    }
}

/// Fails if a file's network has other layers than the catalog's.
fn same_network(entry: &CatalogEntry, graph: &Graph, path: &Path) -> Result<()> {
    match zoo::difference(entry, graph)? {
        None => Ok(()),
        Some(difference) => bail!(
            "not the network '{}' of the catalog: {difference}; convert it as a file: convert {}",
            entry.name,
            path.display()
        ),
    }
}

/// An error if a file's network has another input or other classes than the catalog's.
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
