//! Parameters by name: from a checkpoint, random, or only their shapes.

use std::collections::BTreeMap;
use std::fmt;

use crate::import::StateDict;
use edge_runtime::random::Random;

/// Where the numbers of a network come from.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// A checkpoint, by parameter name. Entries named `num_batches_tracked` are ignored.
    StateDict(&'a StateDict),
    /// Seeded random numbers (He et al., 2015), the same on every machine: good for latency and
    /// memory, of no accuracy. Batch norms fit them, so that activations stay in range.
    Random {
        /// The seed.
        seed: u64,
    },
    /// No numbers: filters are zeros that take no memory until they are read, all else is ones. Good for
    /// counting parameters and operations; the network computes nothing.
    Shapes,
}

/// How a checkpoint differs from what a network needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Parameters that the network needs and the checkpoint lacks.
    pub missing: Vec<String>,
    /// Parameters that the checkpoint has and the network does not.
    pub extra: Vec<String>,
    /// `name: shape, expected shape`.
    pub shapes: Vec<String>,
    /// Parameters with NaN or infinite values.
    pub not_finite: Vec<String>,
}

impl Mismatch {
    fn is_empty(&self) -> bool {
        [&self.missing, &self.extra, &self.shapes, &self.not_finite]
            .iter()
            .all(|l| l.is_empty())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Longest list that is written out.
        const SHOWN: usize = 3;
        let lists = [
            (&self.missing, "missing"),
            (&self.extra, "extra"),
            (&self.shapes, "of another shape"),
            (&self.not_finite, "with NaN or infinity"),
        ];
        let mut separator = "";
        for (list, what) in lists.into_iter().filter(|(l, _)| !l.is_empty()) {
            let first: Vec<&str> = list.iter().take(SHOWN).map(String::as_str).collect();
            let dots = if list.len() > SHOWN { ", ..." } else { "" };
            write!(
                f,
                "{separator}{} {what} ({}{dots})",
                list.len(),
                first.join("; ")
            )?;
            separator = ", ";
        }
        Ok(())
    }
}

/// How random weights are made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fill {
    /// Uniform, variance `gain / fan_in`.
    He { fan_in: usize, gain: f32 },
    /// All the same value.
    Constant(f32),
}

impl Fill {
    fn values(self, len: usize, random: &mut Random) -> Vec<f32> {
        match self {
            Fill::Constant(v) => vec![v; len],
            Fill::He { fan_in, gain } => {
                let bound = (3.0 * gain / fan_in.max(1) as f32).sqrt();
                (0..len).map(|_| random.between(-bound, bound)).collect()
            }
        }
    }
}

/// Gives the layers of one network their parameters, and remembers which.
pub(super) struct Parameters<'a> {
    weights: Weights<'a>,
    random: Random,
    taken: BTreeMap<String, Vec<usize>>,
    ignored: Vec<String>,
    mismatch: Mismatch,
}

impl<'a> Parameters<'a> {
    pub(super) fn new(weights: Weights<'a>) -> Self {
        let seed = match weights {
            Weights::Random { seed } => seed,
            Weights::StateDict(_) | Weights::Shapes => 0,
        };
        Self {
            weights,
            random: Random::new(seed),
            taken: BTreeMap::new(),
            ignored: vec![],
            mismatch: Mismatch::default(),
        }
    }

    /// Prefixes of the names of parameters that may be in a checkpoint and are not used.
    pub(super) fn ignore(&mut self, prefix: &str) {
        self.ignored.push(prefix.into());
    }

    /// The values of a parameter, in the checkpoint's order. Zeros stand in for one that does not fit;
    /// `finish` reports it.
    pub(super) fn take(&mut self, name: &str, shape: &[usize], fill: Fill) -> Vec<f32> {
        self.taken.insert(name.into(), shape.to_vec());
        let len = shape.iter().product();
        let dict = match self.weights {
            Weights::StateDict(dict) => dict,
            Weights::Random { .. } => return fill.values(len, &mut self.random),
            Weights::Shapes => return vec![1.0; len],
        };
        match dict.get(name) {
            None => self.mismatch.missing.push(name.into()),
            Some(t) if t.shape != shape || t.data.len() != len => {
                let found = dimensions(&t.shape);
                self.mismatch
                    .shapes
                    .push(format!("{name}: {found}, expected {}", dimensions(shape)));
            }
            Some(t) if !t.data.iter().all(|v| v.is_finite()) => {
                self.mismatch.not_finite.push(name.into())
            }
            Some(t) => return t.data.clone(),
        }
        vec![0.0; len]
    }

    /// The filters of a convolution or fully connected layer: a parameter whose values are
    /// `[out][channels][area]`, as `[out][area][channels]`. `shape` is what the checkpoint says of it.
    pub(super) fn take_filters(
        &mut self,
        name: &str,
        shape: &[usize],
        channels: usize,
        fill: Fill,
    ) -> Vec<f32> {
        if let Weights::Shapes = self.weights {
            self.taken.insert(name.into(), shape.to_vec());
            return vec![0.0; shape.iter().product()];
        }
        channels_last(self.take(name, shape, fill), channels, shape)
    }

    /// Rows of a parameter of the checkpoint, if there is a checkpoint and it has the parameter.
    pub(super) fn rows(&self, name: &str) -> Option<usize> {
        match self.weights {
            Weights::StateDict(dict) => dict.get(name)?.shape.first().copied(),
            Weights::Random { .. } | Weights::Shapes => None,
        }
    }

    /// Names and shapes of all that was taken.
    pub(super) fn taken(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.taken
    }

    /// How the checkpoint differs from what was taken, if it does.
    pub(super) fn finish(mut self) -> Result<(), Mismatch> {
        if let Weights::StateDict(dict) = self.weights {
            let known = |name: &String| {
                self.taken.contains_key(name)
                    || name.ends_with("num_batches_tracked")
                    || self.ignored.iter().any(|i| name.starts_with(i.as_str()))
            };
            self.mismatch.extra = dict.keys().filter(|k| !known(k)).cloned().collect();
        }
        if self.mismatch.is_empty() {
            Ok(())
        } else {
            Err(self.mismatch)
        }
    }
}

fn dimensions(shape: &[usize]) -> String {
    let parts: Vec<String> = shape.iter().map(usize::to_string).collect();
    if parts.is_empty() {
        "scalar".into()
    } else {
        parts.join("x")
    }
}

/// PyTorch's `[out][channels][area]` as `[out][area][channels]`.
fn channels_last(weights: Vec<f32>, channels: usize, shape: &[usize]) -> Vec<f32> {
    let per_filter: usize = shape.iter().skip(1).product();
    let area = per_filter / channels.max(1);
    if area == 1 || channels == 1 {
        return weights;
    }
    let mut out = Vec::with_capacity(weights.len());
    for filter in weights.chunks_exact(per_filter.max(1)) {
        for at in 0..area {
            out.extend((0..channels).map(|c| filter[c * area + at]));
        }
    }
    out
}
