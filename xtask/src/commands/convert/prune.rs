//! `convert --prune` and `--prune-latency`: prunes, converts, and compares with the whole network.

use crate::cli::Convert;
use crate::commands::bench::time::Place;
use crate::progress::Bars;
use crate::units;
use anyhow::{Context, Result, bail};
use converter::board::Board;
use converter::dataset::Dataset;
use converter::jobs::convert::{CalibrationSource, Converted, Int8Options, Source, convert};
use converter::jobs::evaluate::{EvaluateOptions, evaluate};
use converter::jobs::prune::{Goal, PruneJob, Ready, Smaller};
use converter::jobs::retrain::retrain;
use edge_runtime::backend::BackendKind;
use edge_runtime::head::train::TrainOptions;
use edge_runtime::model::{DType, Model, WeightsOrigin};
use serde::Serialize;
use std::collections::HashSet;

/// Pictures to prune on, at most; and generated ones, if there are no others.
const PICTURES: usize = 400;
const GENERATED: usize = 200;

/// Networks of more operations are pruned on as many pictures as are generated, so that it takes minutes.
const LARGE: u64 = 1_000_000_000;

/// Pictures that the accuracy is measured on, at most.
const JUDGED: usize = 1000;

/// How often the goal is corrected by what was measured.
const TRIES: usize = 4;

/// What the user wants.
pub struct Request<'r> {
    goal: Wanted,
    set: CalibrationSource,
    place: Place<'r>,
}

#[derive(Clone, Copy)]
enum Wanted {
    /// So large a share of the operations goes.
    Share(f64),
    /// An inference takes so many milliseconds.
    Latency(f64),
}

/// What pruning changed.
#[derive(Serialize)]
pub struct PruneReport {
    pub before: Size,
    /// Share of the operations that is gone.
    pub macs_less: f64,
    /// What measured the latency.
    pub timed: Option<String>,
    pub latency_ms: Option<f64>,
    /// Share of the latency that is gone.
    pub latency_less: Option<f64>,
    /// What the accuracy is of.
    pub accuracy_of: Option<String>,
    pub accuracy: Option<f64>,
    pub pictures: usize,
    pub layers: Vec<PrunedLayer>,
}

/// The whole network.
#[derive(Serialize)]
pub struct Size {
    pub parameters: u64,
    pub macs: u64,
    pub bytes: usize,
    pub arena_bytes: usize,
    pub latency_ms: Option<f64>,
    pub accuracy: Option<f64>,
}

/// A layer that has fewer channels.
#[derive(Serialize)]
pub struct PrunedLayer {
    pub layer: String,
    pub channels: usize,
    pub before: usize,
}

impl PruneReport {
    /// What the text shows besides sizes.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![];
        if let (Some(ms), Some(timed)) = (self.latency_ms, &self.timed) {
            let before = match (self.before.latency_ms, self.latency_less) {
                (Some(before), Some(less)) => {
                    format!(
                        "; {before:.3} ms before pruning, {} less",
                        units::percent(less)
                    )
                }
                _ => String::new(),
            };
            rows.push(("latency", format!("{ms:.3} ms{before} ({timed})")));
        }
        let both = self.accuracy.zip(self.before.accuracy);
        if let (Some((after, before)), Some(of)) = (both, &self.accuracy_of) {
            let [after, before] = [after, before].map(units::percent);
            rows.push((
                "accuracy",
                format!("{after}; {before} before pruning ({of})"),
            ));
        }
        let text = format!(
            "{} fewer MACs, on {} pictures; channels left {} layers",
            units::percent(self.macs_less),
            self.pictures,
            self.layers.len()
        );
        rows.push(("pruned", text));
        rows
    }
}

/// What is asked for, checked before any long work; `None` if nothing is to be pruned.
pub fn request<'r>(args: &Convert, board: Option<&'r Board>) -> Result<Option<Request<'r>>> {
    let goal = match (args.prune, args.prune_latency) {
        (Some(share), _) => Wanted::Share(share),
        (None, Some(ms)) => Wanted::Latency(ms),
        (None, None) if args.data.is_some() && !args.int8 => {
            bail!("--data gives pictures to --prune, --prune-latency or --int8; add one of them")
        }
        (None, None) => return Ok(None),
    };
    let place = match goal {
        // A board that cannot be timed here still gets its file.
        Wanted::Share(_) => Place::of(board).unwrap_or(Place::Host),
        Wanted::Latency(_) => Place::of(board)?,
    };
    if matches!(place, Place::Qemu(_)) && !args.int8 {
        bail!("a microcontroller runs int8 models; add --int8");
    }
    let dir = args.data.as_deref().or(args.calib.as_deref());
    let mut set = super::pictures(dir, GENERATED)?;
    if let CalibrationSource::Pictures {
        folder,
        dataset,
        images,
    } = &mut set
    {
        // One in five at least is left to measure on.
        let all = dataset.items.len();
        *images = (all - all / 5).min(PICTURES);
        if dataset.classes.len() != 1 {
            return Ok(Some(Request { goal, set, place }));
        }
        bail!(
            "{folder} has one class folder, and a head tells at least two classes apart; give the folder that holds all of them, or pictures that lie in no class folder"
        );
    }
    Ok(Some(Request { goal, set, place }))
}

impl Request<'_> {
    /// The smaller network, converted, and what it lost.
    pub fn run(
        &self,
        source: Source,
        int8: Option<&Int8Options>,
        bars: &Bars,
    ) -> Result<(Converted, PruneReport)> {
        let random = matches!(source.weights, WeightsOrigin::Random { .. });
        let mut set = self.set.clone();
        if let CalibrationSource::Pictures { images, .. } = &mut set
            && source.graph.macs() > LARGE
        {
            *images = GENERATED.min(*images);
        }
        let job = PruneJob::new(source.clone(), set, bars)?;
        let whole = convert(source, int8, bars)?;
        let before = Model::parse(&whole.bytes)?;
        let (smaller, small) = job.run(bars, |ready| match self.goal {
            Wanted::Share(share) => {
                let smaller = ready.prune(&Goal::Macs(share), bars)?;
                let small = convert(smaller.source.clone(), int8, bars)?;
                anyhow::Ok((smaller, small))
            }
            Wanted::Latency(ms) => self.until(ms, ready, &before, int8, bars),
        })?;
        let after = Model::parse(&small.bytes)?;
        let [before_ms, after_ms] = match self.place.latencies([&before, &after]) {
            Ok(both) => both.map(Some),
            // A whole network need not fit the board that the smaller one is for.
            Err(_) if matches!(self.place, Place::Qemu(_)) => {
                [None, self.place.latencies([&after]).ok().map(|[ms]| ms)]
            }
            Err(error) => return Err(error),
        };
        let accuracy = match random {
            true => None,
            false => self.accuracy([(&before, &whole.bytes), (&after, &small.bytes)], bars)?,
        };
        let left = smaller.spaces.iter().filter(|space| space.kept < space.of);
        let report = PruneReport {
            before: Size {
                parameters: whole.parameters,
                macs: whole.macs,
                bytes: whole.bytes.len(),
                arena_bytes: before.arena_bytes(),
                latency_ms: before_ms,
                accuracy: accuracy.as_ref().map(|(_, [before, _])| *before),
            },
            macs_less: 1.0 - small.macs as f64 / whole.macs as f64,
            timed: after_ms.map(|_| self.place.describe(&after)).transpose()?,
            latency_ms: after_ms,
            latency_less: before_ms
                .zip(after_ms)
                .map(|(before, after)| 1.0 - after / before),
            accuracy: accuracy.as_ref().map(|(_, [_, after])| *after),
            accuracy_of: accuracy.map(|(of, _)| of),
            pictures: job.pictures(),
            layers: left
                .map(|space| PrunedLayer {
                    layer: space.layer.clone(),
                    channels: space.kept,
                    before: space.of,
                })
                .collect(),
        };
        Ok((small, report))
    }

    /// Prunes until an inference takes at most `goal` milliseconds.
    fn until(
        &self,
        goal: f64,
        ready: &Ready<'_>,
        whole: &Model<'_>,
        int8: Option<&Int8Options>,
        bars: &Bars,
    ) -> Result<(Smaller, Converted)> {
        let times = self.place.times(whole)?;
        let [mut now] = self.place.latencies([whole])?;
        if now <= goal {
            bail!(
                "an inference takes {now:.3} ms without any pruning; there is nothing to do for {goal} ms"
            );
        }
        let milliseconds = |name: &str| {
            let found = times.layers.iter().find(|(layer, _)| layer == name);
            found.map_or(0.0, |(_, ms)| *ms)
        };
        // Only the layers that were timed can get faster.
        let layers: f64 = times.layers.iter().map(|(_, ms)| ms).sum();
        // On this computer, times differ from run to run.
        let margin = match self.place {
            Place::Host => 0.97,
            Place::Qemu(_) => 1.0,
        };
        let mut wanted = layers * goal / now * margin;
        for _ in 0..TRIES {
            let share = 1.0 - wanted / layers;
            let goal_of_layers = Goal::Time {
                share,
                milliseconds: &milliseconds,
            };
            let smaller = ready
                .prune(&goal_of_layers, bars)
                .with_context(|| format!("{goal} ms are out of reach"))?;
            let small = convert(smaller.source.clone(), int8, bars)?;
            [now] = self.place.latencies([&Model::parse(&small.bytes)?])?;
            if now <= goal {
                return Ok((smaller, small));
            }
            // A little more than what was missing, so that it need not be repeated often.
            wanted *= goal / now * 0.99;
        }
        bail!("{goal} ms are out of reach: {now:.3} ms remain after {TRIES} tries")
    }

    /// The accuracy of both models on pictures that pruning did not see, and what it is of: of the models' own classes
    /// if the pictures have them, else of new heads on the pictures' classes. `None` if there are no such pictures.
    fn accuracy(
        &self,
        models: [(&Model<'_>, &[u8]); 2],
        bars: &Bars,
    ) -> Result<Option<(String, [f64; 2])>> {
        let CalibrationSource::Pictures {
            folder,
            dataset,
            images,
        } = &self.set
        else {
            return Ok(None);
        };
        let unseen = unseen(dataset, *images).subset(JUDGED);
        if unseen.items.is_empty() || unseen.items.iter().any(|item| item.class.is_none()) {
            return Ok(None);
        }
        let kind = |model: &Model<'_>| BackendKind::fastest_for(model);
        let top1 = models.map(|(model, _)| {
            evaluate(
                model,
                kind(model),
                &unseen,
                EvaluateOptions::default(),
                bars,
            )
        });
        if let [Ok(before), Ok(after)] = &top1 {
            let of = format!("top-1 on {} other pictures of {folder}", before.images);
            return Ok(Some((of, [before.top1, after.top1])));
        }
        let trains = |model: &Model<'_>| model.dtype() == DType::I8 && model.head().is_some();
        if dataset.classes.len() < 2 || !models.iter().all(|(model, _)| trains(model)) {
            return Ok(None);
        }
        let mut held_out = [0.0; 2];
        for (held_out, (model, bytes)) in held_out.iter_mut().zip(models) {
            let options = TrainOptions::default();
            let new = retrain(model, bytes, kind(model), dataset, &options, bars)?;
            let Some(top1) = new.held_out_top1 else {
                return Ok(None);
            };
            *held_out = f64::from(top1);
        }
        let of = format!("new head on {folder}, on held-out pictures");
        Ok(Some((of, held_out)))
    }
}

/// The pictures of a data set without those that `images` of it are.
fn unseen(dataset: &Dataset, images: usize) -> Dataset {
    let seen = dataset.subset(images).items;
    let seen: HashSet<_> = seen.iter().map(|item| &item.path).collect();
    let mut rest = dataset.clone();
    rest.items.retain(|item| !seen.contains(&item.path));
    rest
}
