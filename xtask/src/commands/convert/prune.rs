//! `convert --prune` and `--prune-latency`: prunes, converts, and compares with the whole network.

use crate::cli::Convert;
use crate::commands::bench::time::{Place, Times};
use crate::progress::Bars;
use crate::units;
use anyhow::{Context, Result, bail};
use converter::board::Board;
use converter::dataset::Dataset;
use converter::jobs::convert::{CalibrationSource, Converted, Int8Options, Source, convert};
use converter::jobs::evaluate::{EvaluateError, EvaluateOptions, evaluate};
use converter::jobs::prune::{Goal, PruneJob, Ready, Smaller};
use converter::jobs::retrain::retrain;
use edge_runtime::backend::BackendKind;
use edge_runtime::head::train::TrainOptions;
use edge_runtime::model::{Model, WeightsOrigin};
use serde::Serialize;
use std::collections::HashSet;

/// Pictures to prune on, at most; and generated ones, if there are no others.
const PICTURES: usize = 400;
const GENERATED: usize = 200;

/// Networks of more operations are pruned on as many pictures as are generated, so that it takes minutes.
const LARGE: u64 = 1_000_000_000;

/// Other pictures that the accuracy is measured on, at most.
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
    /// Why a latency is missing.
    pub not_timed: Option<String>,
    /// What the accuracy is of.
    pub accuracy_of: Option<String>,
    pub accuracy: Option<f64>,
    /// Why there is no accuracy, if it could be expected.
    pub not_measured: Option<String>,
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
        rows.extend(self.not_timed.iter().map(|why| ("not timed", why.clone())));
        let not_measured = self.not_measured.iter();
        rows.extend(not_measured.map(|why| ("accuracy", format!("not measured: {why}"))));
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
        // A board that cannot be timed here, or runs no float models, still gets its file.
        Wanted::Share(_) if !args.int8 => Place::Host,
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
        if let Wanted::Share(share) = self.goal {
            job.check(&Goal::Macs(share))?;
        }
        let whole = convert(source, int8, bars)?;
        let before = Model::parse(&whole.bytes)?;
        let (smaller, small) = match self.goal {
            Wanted::Share(share) => job.run(bars, |ready| {
                let smaller = ready.prune(&Goal::Macs(share), bars)?;
                let small = convert(smaller.source.clone(), int8, bars)?;
                anyhow::Ok((smaller, small))
            })?,
            Wanted::Latency(ms) => {
                // Whether there is something to do, and can be done, is known before the long work.
                let clock = Clock::new(self.place, ms, &before, &job)?;
                job.run(bars, |ready| clock.until(ready, int8, bars))?
            }
        };
        let after = Model::parse(&small.bytes)?;
        let (times, not_timed) = self.times(&before, &after)?;
        let [before_ms, after_ms] = times;
        let accuracy = match random {
            true => Ok(None),
            false => {
                let pictures = unseen(job.set(), int8);
                let models = [(&before, &whole.bytes[..]), (&after, &small.bytes[..])];
                pictures.map_or(Ok(None), |(folder, pictures)| {
                    accuracy(models, folder, &pictures, bars).map(Some)
                })
            }
        };
        // The model is good without it.
        let (accuracy, not_measured) = match accuracy {
            Ok(accuracy) => (accuracy, None),
            Err(error) => (None, Some(format!("{error:#}"))),
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
            not_timed,
            accuracy: accuracy.as_ref().map(|(_, [_, after])| *after),
            accuracy_of: accuracy.map(|(of, _)| of),
            not_measured,
            pictures: job.set().count(),
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

    /// The latencies before and after, in milliseconds, and why one is not known.
    fn times(
        &self,
        before: &Model<'_>,
        after: &Model<'_>,
    ) -> Result<([Option<f64>; 2], Option<String>)> {
        let error = match self.place.latencies([before, after]) {
            Ok(both) => return Ok((both.map(Some), None)),
            Err(error) if matches!(self.place, Place::Qemu(_)) => error,
            Err(error) => return Err(error),
        };
        // A whole network need not fit the board that the smaller one is for.
        let after = self.place.latencies([after]).ok().map(|[ms]| ms);
        Ok(([None, after], Some(format!("{error:#}"))))
    }
}

/// What an inference takes, and may take.
struct Clock<'c> {
    place: Place<'c>,
    goal_ms: f64,
    /// Of the whole network.
    whole_ms: f64,
    /// Of its layers.
    layers: Vec<(String, f64)>,
}

impl<'c> Clock<'c> {
    /// Times the whole network, and checks that it is too slow but could be made fast enough.
    fn new(place: Place<'c>, goal_ms: f64, whole: &Model<'_>, job: &PruneJob) -> Result<Self> {
        let on_board =
            "the whole network has to be timed first; if it does not fit, prune it with --prune";
        let Times {
            total_ms: whole_ms,
            layers,
        } = place.times(whole).context(on_board)?;
        if whole_ms <= goal_ms {
            bail!(
                "an inference takes {whole_ms:.3} ms without any pruning; there is nothing to do for {goal_ms} ms"
            );
        }
        let clock = Self {
            place,
            goal_ms,
            whole_ms,
            layers,
        };
        let share = 1.0 - clock.first() / clock.all();
        let milliseconds = |name: &str| clock.of(name);
        let goal = Goal::Time {
            share,
            milliseconds: &milliseconds,
        };
        let out_of_reach = || format!("{goal_ms} ms are out of reach, {whole_ms:.3} ms unpruned");
        job.check(&goal).with_context(out_of_reach)?;
        Ok(clock)
    }

    fn all(&self) -> f64 {
        self.layers.iter().map(|(_, ms)| ms).sum()
    }

    fn of(&self, name: &str) -> f64 {
        let found = self.layers.iter().find(|(layer, _)| layer == name);
        found.map_or(0.0, |(_, ms)| *ms)
    }

    /// What the layers may take, at first. On this computer times differ from run to run, so a little less.
    fn first(&self) -> f64 {
        let margin = match self.place {
            Place::Host => 0.97,
            Place::Qemu(_) => 1.0,
        };
        self.all() * self.goal_ms / self.whole_ms * margin
    }

    /// Prunes until an inference takes no longer than it may.
    fn until(
        &self,
        ready: &Ready<'_>,
        int8: Option<&Int8Options>,
        bars: &Bars,
    ) -> Result<(Smaller, Converted)> {
        let milliseconds = |name: &str| self.of(name);
        let (mut wanted, mut now) = (self.first(), self.whole_ms);
        for _ in 0..TRIES {
            let goal = Goal::Time {
                share: 1.0 - wanted / self.all(),
                milliseconds: &milliseconds,
            };
            let smaller = ready.prune(&goal, bars).with_context(|| {
                format!(
                    "{} ms are not reached; it is {now:.3} ms so far",
                    self.goal_ms
                )
            })?;
            let small = convert(smaller.source.clone(), int8, bars)?;
            [now] = self.place.latencies([&Model::parse(&small.bytes)?])?;
            if now <= self.goal_ms {
                return Ok((smaller, small));
            }
            // What is missing, in the layers' times, and a little more, so that it need not be repeated often.
            wanted -= (now - self.goal_ms) * self.all() / self.whole_ms * 1.2;
            wanted = wanted.max(0.0);
        }
        bail!(
            "{} ms are not reached in {TRIES} tries: {now:.3} ms remain; a smaller network would do better",
            self.goal_ms
        )
    }
}

/// The pictures of a folder that neither pruning nor calibration saw, and the folder's name; `None` if there are none
/// with classes.
fn unseen<'s>(
    set: &'s CalibrationSource,
    int8: Option<&Int8Options>,
) -> Option<(&'s str, Dataset)> {
    let CalibrationSource::Pictures {
        folder, dataset, ..
    } = set
    else {
        return None;
    };
    let mut seen = HashSet::new();
    for set in [Some(set), int8.map(|o| &o.calibration)]
        .into_iter()
        .flatten()
    {
        if let CalibrationSource::Pictures {
            dataset, images, ..
        } = set
        {
            let some = dataset.subset(*images).items.into_iter();
            seen.extend(some.map(|item| item.path));
        }
    }
    let mut rest = dataset.clone();
    rest.items.retain(|item| !seen.contains(&item.path));
    let rest = rest.subset(JUDGED);
    let labelled = !rest.items.is_empty() && rest.items.iter().all(|item| item.class.is_some());
    labelled.then_some((folder, rest))
}

/// The accuracy of both models on pictures that they were not made with, and what it is of: of the models' own classes
/// if the pictures have them, else of new heads on the pictures' classes.
fn accuracy(
    models: [(&Model<'_>, &[u8]); 2],
    folder: &str,
    pictures: &Dataset,
    bars: &Bars,
) -> Result<(String, [f64; 2])> {
    let kind = |model: &Model<'_>| BackendKind::fastest_for(model);
    let top1 = models.map(|(model, _)| {
        let options = EvaluateOptions::default();
        evaluate(model, kind(model), pictures, options, bars)
    });
    match top1 {
        [Ok(before), Ok(after)] => {
            let order = match before.folders_by_order {
                true => ", class folders in alphabetical order",
                false => "",
            };
            let of = format!(
                "top-1 on {} other pictures of {folder}{order}",
                before.images
            );
            return Ok((of, [before.top1, after.top1]));
        }
        [
            Err(EvaluateError::UnknownClass { .. } | EvaluateError::UnnamedClasses { .. }),
            _,
        ] => {}
        [Err(error), _] | [_, Err(error)] => return Err(error.into()),
    }
    let mut held_out = [0.0; 2];
    let mut count = 0;
    for (held_out, (model, bytes)) in held_out.iter_mut().zip(models) {
        let options = TrainOptions::default();
        let new = retrain(model, bytes, kind(model), pictures, &options, bars)?;
        let top1 = new
            .held_out_top1
            .context("no picture is left to hold out")?;
        *held_out = f64::from(top1);
        count = new.held_out;
    }
    let of = format!(
        "new head on {} other pictures of {folder}, {count} of them held out",
        pictures.items.len()
    );
    Ok((of, held_out))
}
