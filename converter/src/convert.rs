//! The converter as a whole: a float graph and what is known of it, to a `.edge` file.

use crate::dataset::{Dataset, LoadError, dead_leaves, load_all, preprocess};
use crate::graph::reference::evaluate_quantized;
use crate::graph::{Graph, GraphError, NodeId, Op};
use crate::lower::split::{self, Split};
use crate::lower::{self, About, LowerError};
use crate::passes;
use crate::progress::Progress;
use crate::quantize::assign::{assign, given, input_values};
use crate::quantize::calibrate::{Observed, observe};
use crate::quantize::range::{self, RangeRule, predicted};
use crate::runner::{BackendKind, RunError, RunnerPool};
use crate::self_check::{self, Logits};
use edge_runtime::backend::BackendError;
use edge_runtime::model::{
    AlignedBytes, Calibration, InputSpec, Manifest, Model, ModelError, OutputFunction, Quant,
    Quantization, SelfCheck, WeightsOrigin,
};
use rayon::prelude::*;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

/// A network to convert.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// As imported.
    pub graph: Graph,
    /// Where the weights came from, for people.
    pub origin: String,
    /// Their license, or empty.
    pub license: String,
    /// What the weights are.
    pub weights: WeightsOrigin,
    /// What pictures must look like.
    pub input: InputSpec,
    /// One line per class, or empty.
    pub labels: String,
    /// What turns its output into probabilities.
    pub output: OutputFunction,
}

/// Pictures for the ranges of an int8 model.
#[derive(Clone, Debug)]
pub enum CalibrationSource {
    /// None: generated ones, and what batch norms remember.
    DataFree {
        /// How many to generate.
        images: usize,
    },
    /// A folder.
    Pictures {
        /// Its name, for the manifest.
        folder: String,
        /// What is in it.
        dataset: Dataset,
        /// How many to calibrate on, spread over its classes.
        images: usize,
    },
}

/// How to make int8.
#[derive(Clone, Debug)]
pub struct Int8Options {
    /// Where ranges come from.
    pub calibration: CalibrationSource,
    /// How they follow from what is seen; `None` chooses, see `docs/quantization.md`.
    pub rule: Option<RangeRule>,
}

/// A finished file and its measures.
pub struct Converted {
    /// The `.edge` file.
    pub bytes: AlignedBytes,
    /// Parameters of the network.
    pub parameters: u64,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// What the check found; `None` for a float model of random weights, of which nothing can be said.
    pub check: Option<SelfCheck>,
    /// What it was made on.
    pub judged_on: JudgedOn,
    /// What float inference costs here, for a measure of the conversion's own time.
    pub float_pass: Option<FloatPass>,
}

/// The pictures of the converter's check of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedOn {
    /// Generated ones.
    Generated,
    /// Those of the calibration folder that the ranges did not see.
    Unseen,
    /// Those that the ranges were measured on; there are no others.
    Calibration,
}

/// One pass of float inference over the calibration pictures, on all threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatPass {
    /// Number of calibration pictures.
    pub images: usize,
    /// Wall time in seconds: the mean of the pictures that were compared on, times `images`.
    pub seconds: f64,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The graph is inconsistent.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// It cannot be written.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// A calibration picture is broken.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It does not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It does not run.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// What was written cannot be read.
    #[error(
        "the converter wrote a file that its own reader refuses ({0}); please report this network"
    )]
    Model(#[from] ModelError),
    /// The picture size is not the graph's.
    #[error("the network takes {graph} but its input rule says {height}x{width}x{channels}")]
    Input {
        /// What the graph takes.
        graph: edge_runtime::model::Shape,
        /// Rows of the rule.
        height: u32,
        /// Columns of the rule.
        width: u32,
        /// Channels of the rule.
        channels: u32,
    },
}

/// Converts: simplifies, calibrates and quantizes if `int8` says so, plans, writes, and checks the result.
pub fn convert(
    source: Source,
    int8: Option<&Int8Options>,
    progress: &dyn Progress,
) -> Result<Converted, ConvertError> {
    check_input(&source)?;
    let (parameters, macs) = (source.graph.parameters(), source.graph.macs());
    let random = matches!(source.weights, WeightsOrigin::Random { .. });
    let spec = source.input;
    progress.stage("simplifying", 1);
    // The check reads a quantized source as it was before any pass.
    let original = source.graph.is_quantized().then(|| source.graph.clone());
    let graph = passes::clamp_input(source.graph, input_values(&spec));
    let mut graph = passes::simplify(graph);
    let function = match passes::two_classes(&mut graph, source.output) {
        true => OutputFunction::Softmax,
        false => source.output,
    };
    progress.step();
    let mut about = About {
        manifest: Manifest {
            name: &source.name,
            source: &source.origin,
            license: &source.license,
            converter: concat!("graft ", env!("CARGO_PKG_VERSION")),
            weights: source.weights,
            input: spec,
            quantization: None,
            parameters,
            macs,
        },
        labels: &source.labels,
        function,
        check: None,
    };
    let from_source = |crops: &[Vec<u8>], model: &Logits| {
        let classes = model.first().map_or(0, Vec::len);
        original
            .as_ref()
            .map(|graph| source_logits(graph, &spec, crops, classes))
    };
    let float = lower::float::write(&graph, &about)?;
    let float_model = Model::parse(&float)?;
    let Some(options) = int8 else {
        let mut converted = Converted {
            bytes: AlignedBytes::zeroed(0),
            parameters,
            macs,
            check: None,
            judged_on: JudgedOn::Generated,
            float_pass: None,
        };
        if !random {
            let crops = generated(0..judged_in_float(macs), &spec, progress)?;
            progress.stage("checking", crops.len());
            let (logits, _) = float_logits(&float_model, &crops, progress)?;
            let expected = from_source(&crops, &logits);
            let check = self_check::judge(&logits, None, expected.as_ref(), random, function);
            about.check = (check.doubts != 0).then_some(check);
            converted.check = Some(check);
        }
        converted.bytes = match about.check {
            Some(_) => lower::float::write(&graph, &about)?,
            None => float,
        };
        return Ok(converted);
    };

    let pictures = Pictures::load(options, &spec, progress)?;
    let split = split::split(&graph);
    // A network that was quantized already keeps its ranges; what it does not say is measured.
    let complete = is_complete(&split, &given(&graph));
    let count = if complete {
        0
    } else {
        pictures.calibration.len()
    };
    progress.stage("calibrating", count);
    let input = |i: usize| preprocess::to_f32(&pictures.calibration[i], &spec);
    let data_free = matches!(options.calibration, CalibrationSource::DataFree { .. });
    let rule = options
        .rule
        .unwrap_or_else(|| default_rule(&graph, data_free));
    let observed = observe(&float_model, &split, rule, count, &input, &|| {
        progress.step()
    })?;
    let ranges = ranges(&graph, &split, &observed, rule, data_free);
    let quants = assign(&graph, &spec, &ranges, means(&graph, &split, &observed));
    let graph = lower::int8::without_idle_clamps(graph, &quants);

    let (method, calibration) = if complete {
        ("of the source".into(), Calibration::Source)
    } else {
        (rule.to_string(), options.calibration.record())
    };
    let mut quantization = Quantization {
        method: &method,
        calibration,
        agreement: None,
    };
    about.manifest.quantization = Some(quantization);
    let first = lower::int8::write(&graph, &quants, &about)?;
    // A handful of pictures does not tell what the output depends on.
    let few = pictures.judging().len() < self_check::ENOUGH;
    let more = match few {
        true => generated(0..judging(0), &spec, progress)?,
        false => vec![],
    };
    let crops = if few { &more[..] } else { pictures.judging() };
    progress.stage("comparing with float", crops.len());
    let (float_logits, seconds) = float_logits(&float_model, crops, progress)?;
    let logits = int8_logits(&Model::parse(&first)?, crops)?;
    let expected = from_source(crops, &logits);
    let check = self_check::judge(
        &logits,
        Some(&float_logits),
        expected.as_ref(),
        random,
        function,
    );
    quantization.agreement = check.agreement();
    about.manifest.quantization = Some(quantization);
    about.check = (check.doubts != 0).then_some(check);
    let bytes = lower::int8::write(&graph, &quants, &about)?;
    Model::parse(&bytes)?;
    Ok(Converted {
        bytes,
        parameters,
        macs,
        check: Some(check),
        judged_on: match (few || data_free, pictures.unseen.is_empty()) {
            (true, _) => JudgedOn::Generated,
            (false, false) => JudgedOn::Unseen,
            (false, true) => JudgedOn::Calibration,
        },
        float_pass: Some(FloatPass {
            images: pictures.calibration.len(),
            seconds: seconds * pictures.calibration.len() as f64,
        }),
    })
}

/// The input rule must give what the graph takes.
fn check_input(source: &Source) -> Result<(), ConvertError> {
    let (shape, spec) = (source.graph.input_shape(), &source.input);
    let (height, width, channels) = (spec.height, spec.width, spec.channels());
    if (shape.h, shape.w, shape.c) == (height, width, channels) {
        return Ok(());
    }
    Err(ConvertError::Input {
        graph: shape,
        height,
        width,
        channels,
    })
}

/// Percentage of the values that a range covers where nothing but generated pictures tells of them.
const GENERATED_PERCENTILE: f64 = 99.998;

/// The rule if the user names none: everything that pictures make, min-max. The edges of generated pictures
/// are harder than any picture's; batch norms make up for that, without them a few values are left out.
fn default_rule(graph: &Graph, data_free: bool) -> RangeRule {
    let remembers = |op: &Op| matches!(op, Op::Conv(c) if c.statistics.is_some());
    if data_free && !graph.nodes.iter().any(|n| remembers(&n.op)) {
        RangeRule::Percentile(GENERATED_PERCENTILE)
    } else {
        RangeRule::MinMax
    }
}

/// True if the quantization of all that the file holds is known without calibration.
fn is_complete(split: &Split, given: &[Option<Quant>]) -> bool {
    let pool = split.head.and_then(|h| h.pool);
    let needed = split.layers.iter().copied().chain(pool).chain([0]);
    needed.into_iter().all(|id| given[id].is_some())
}

/// The range of every node's result.
fn ranges(
    graph: &Graph,
    split: &Split,
    observed: &Observed,
    rule: RangeRule,
    data_free: bool,
) -> Vec<range::Range> {
    let seen = |id: NodeId| {
        let pool = split.head.and_then(|h| h.pool);
        if Some(id) == pool {
            return Some(&observed.features);
        }
        let in_trunk = id == 0 || split.layers.binary_search(&id).is_ok();
        in_trunk.then(|| &observed.tensors[split.tensor_of(id)])
    };
    let range = |id: NodeId| {
        let range = seen(id).map_or(range::Range::new(0.0, 0.0), |o| range::Range::of(o, rule));
        match &graph.nodes[id].op {
            Op::Conv(conv) if data_free => match predicted(conv, DEVIATIONS) {
                Some(p) => range::Range::new(range.min.min(p.min), range.max.max(p.max)),
                None => range,
            },
            _ => range,
        }
    };
    (0..graph.nodes.len()).map(range).collect()
}

/// Mean of every channel of every node's result; empty for nodes that were not observed.
fn means(graph: &Graph, split: &Split, observed: &Observed) -> Vec<Vec<f32>> {
    let pool = split.head.and_then(|h| h.pool);
    let mean = |id: NodeId| match id {
        _ if Some(id) == pool => observed.feature_means.clone(),
        _ if id == 0 || split.layers.binary_search(&id).is_ok() => {
            let of = observed.means.get(split.tensor_of(id));
            of.cloned().unwrap_or_default()
        }
        _ => vec![],
    };
    (0..graph.nodes.len()).map(mean).collect()
}

/// Standard deviations around a channel's mean that a data-free range covers.
const DEVIATIONS: f32 = 4.0;

/// Pictures that ranges are measured on, and pictures that they are not.
struct Pictures {
    calibration: Vec<Vec<u8>>,
    unseen: Vec<Vec<u8>>,
}

/// How many pictures to compare int8 with float on, for so many that were calibrated on. Each costs a float
/// and an int8 inference, so a quarter keeps a conversion under two float passes over the pictures.
fn judging(calibration: usize) -> usize {
    (calibration / 4).clamp(8, 100)
}

/// How many pictures check a float network of so many operations.
fn judged_in_float(macs: u64) -> usize {
    (20_000_000_000 / macs.max(1)).clamp(4, 16) as usize
}

/// Generated pictures of these seeds, as the input rule wants them.
fn generated(
    seeds: Range<usize>,
    input: &InputSpec,
    progress: &dyn Progress,
) -> Result<Vec<Vec<u8>>, ConvertError> {
    progress.stage("generating pictures", seeds.len());
    let picture = |seed: usize| {
        let picture = dead_leaves::picture(input.width, input.height, seed as u64);
        progress.step();
        preprocess::crop(&picture, input)
    };
    let crops: Result<Vec<_>, _> = seeds.into_par_iter().map(picture).collect();
    let failed = |source| LoadError::Preprocess {
        path: "generated picture".into(),
        source,
    };
    Ok(crops.map_err(failed)?)
}

impl Pictures {
    fn load(
        options: &Int8Options,
        input: &InputSpec,
        progress: &dyn Progress,
    ) -> Result<Self, ConvertError> {
        match &options.calibration {
            CalibrationSource::DataFree { images } => {
                let total = images + judging(*images);
                let mut calibration = generated(0..total, input, progress)?;
                let unseen = calibration.split_off(*images);
                Ok(Self {
                    calibration,
                    unseen,
                })
            }
            CalibrationSource::Pictures {
                dataset, images, ..
            } => {
                let seen = dataset.subset(*images).items;
                let paths: HashSet<_> = seen.iter().map(|i| &i.path).collect();
                let mut rest = dataset.clone();
                rest.items.retain(|i| !paths.contains(&i.path));
                let unseen = rest.subset(judging(seen.len())).items;
                progress.stage("reading pictures", seen.len() + unseen.len());
                let load = |items: &[_]| load_all(items, input, &|_| progress.step());
                Ok(Self {
                    calibration: load(&seen)?,
                    unseen: load(&unseen)?,
                })
            }
        }
    }

    /// The pictures to compare on.
    fn judging(&self) -> &[Vec<u8>] {
        let pictures = if self.unseen.is_empty() {
            &self.calibration
        } else {
            &self.unseen
        };
        &pictures[..pictures.len().min(judging(self.calibration.len()))]
    }
}

impl CalibrationSource {
    fn record(&self) -> Calibration<'_> {
        match self {
            CalibrationSource::DataFree { images } => Calibration::DataFree {
                images: *images as u32,
            },
            CalibrationSource::Pictures {
                folder,
                dataset,
                images,
            } => Calibration::Pictures {
                folder,
                images: dataset.items.len().min(*images) as u32,
            },
        }
    }
}

/// Logits of a float model, picture by picture, and the seconds that a picture takes, all threads working.
fn float_logits(
    model: &Model<'_>,
    crops: &[Vec<u8>],
    progress: &dyn Progress,
) -> Result<(Logits, f64), ConvertError> {
    let pool = RunnerPool::new(model, BackendKind::Tract)?;
    let one = |crop: &Vec<u8>| {
        let start = Instant::now();
        let logits = pool.with(|runner| runner.any_logits(crop))?;
        progress.step();
        Ok((logits, start.elapsed().as_secs_f64()))
    };
    let results = crops
        .par_iter()
        .map(one)
        .collect::<Result<Vec<_>, RunError>>()?;
    let (logits, seconds): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let threads = rayon::current_num_threads().min(crops.len()).max(1) as f64;
    let mean = seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
    Ok((logits, mean / threads))
}

/// Logits of an int8 model, picture by picture.
fn int8_logits(model: &Model<'_>, crops: &[Vec<u8>]) -> Result<Logits, ConvertError> {
    let pool = RunnerPool::new(model, BackendKind::DEFAULT)?;
    let logits = crops
        .par_iter()
        .map(|crop| pool.with(|runner| runner.logits(crop)))
        .collect::<Result<_, RunError>>()?;
    Ok(logits)
}

/// Multiply-accumulate operations that the slow reference may take to say what a quantized source means.
const REFERENCE_MACS: u64 = 2_000_000_000;

/// What the numbers of a quantized network say of the first pictures, by a reference that shares nothing with
/// passes, quantizer and backends. `classes` is how many the model has.
fn source_logits(graph: &Graph, spec: &InputSpec, crops: &[Vec<u8>], classes: usize) -> Logits {
    let count = (REFERENCE_MACS / graph.macs().max(1)).clamp(2, 16) as usize;
    let one = |crop: &Vec<u8>| {
        let mut logits = evaluate_quantized(graph, &preprocess::to_f32(crop, spec));
        if logits.len() == 1 && classes == 2 {
            logits.insert(0, 0.0);
        }
        logits
    };
    crops[..crops.len().min(count)]
        .par_iter()
        .map(one)
        .collect()
}
