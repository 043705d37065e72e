//! Runs the float network on pictures and records what each tensor does.

use super::observer::Observer;
use super::range::RangeRule;
use crate::graph::split::Split;
use edge_runtime::backend::{BackendError, BackendKind, Values};
use edge_runtime::model::Model;
use rayon::prelude::*;

/// What the tensors of a network are on the calibration pictures: its input, the output of each layer, and
/// the feature vector if there is a head.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Values of each tensor. Entry 0 is the input, entry `i + 1` the output of layer `i`.
    pub tensors: Vec<Observer>,
    /// Values of the feature vector; none without a head.
    pub features: Observer,
    /// Mean of every channel of each tensor, over all pictures and positions; empty without pictures.
    pub means: Vec<Vec<f32>>,
    /// Mean of every feature over all pictures; empty without pictures.
    pub feature_means: Vec<f32>,
}

/// Mean of every channel of each tensor of one picture; the features come last.
type PictureMeans = Vec<Vec<f32>>;

impl Observed {
    fn new(tensors: usize, rule: RangeRule) -> Self {
        let observer = match rule {
            RangeRule::MinMax => Observer::of_extremes(),
            RangeRule::Percentile(_) => Observer::default(),
        };
        Self {
            tensors: vec![observer.clone(); tensors],
            features: observer,
            means: vec![],
            feature_means: vec![],
        }
    }

    fn merge(mut self, other: &Self) -> Self {
        self.tensors
            .iter_mut()
            .zip(&other.tensors)
            .for_each(|(a, b)| a.merge(b));
        self.features.merge(&other.features);
        self
    }
}

/// Runs `float` (the float file of the graph that `split` belongs to) on `count` inputs, which `input` makes
/// when they are needed, on all cores, and calls `done` after each. What is recorded is what `rule` needs.
/// The result does not depend on the number of threads.
pub fn observe(
    float: &Model<'_>,
    split: &Split,
    rule: RangeRule,
    count: usize,
    input: &(dyn Fn(usize) -> Vec<f32> + Sync),
    done: &(dyn Fn() + Sync),
) -> Result<Observed, BackendError> {
    let indices: Vec<usize> = (0..count).collect();
    let share = count.div_ceil(rayon::current_num_threads()).max(1);
    if count == 0 {
        return Ok(Observed::new(split.layers.len() + 1, rule));
    }
    let prepared = BackendKind::fastest_for(float).runtime().prepare(float)?;
    let run = |indices: &[usize]| {
        let mut observer = prepared.clone().observer()?;
        let mut seen = Observed::new(split.layers.len() + 1, rule);
        let mut means: Vec<PictureMeans> = vec![];
        let channels: Vec<usize> = float.layers().map(|l| l.output.shape.c as usize).collect();
        let mut features = vec![0.0; float.head().map_or(0, |h| h.features())];
        for &index in indices {
            let input = input(index);
            seen.tensors[0].see(&input);
            let mut picture = vec![channel_means(&input, float.input().shape.c as usize)];
            observer.run(Values::F32(&input), &mut |layer, values| {
                let Values::F32(values) = values else { return };
                seen.tensors[layer + 1].see(values);
                picture.push(channel_means(values, channels[layer]));
                if layer + 1 == split.layers.len()
                    && let Some(head) = float.head()
                {
                    head.feature_f32(values, &mut features);
                    seen.features.see(&features);
                }
            })?;
            picture.push(features.clone());
            means.push(picture);
            done();
        }
        Ok((seen, means))
    };
    let parts = indices
        .par_chunks(share)
        .map(run)
        .collect::<Result<Vec<_>, BackendError>>()?;
    let start = Observed::new(split.layers.len() + 1, rule);
    let mut all = parts.iter().fold(start, |all, (seen, _)| all.merge(seen));
    // The sum of floating-point numbers depends on their order, so the order is that of the pictures.
    let mut means = mean_of(parts.iter().flat_map(|(_, means)| means));
    all.feature_means = means.pop().unwrap_or_default();
    all.means = means;
    Ok(all)
}

/// Mean of every channel of an NHWC tensor.
fn channel_means(values: &[f32], channels: usize) -> Vec<f32> {
    let mut sums = vec![0f64; channels];
    for pixel in values.chunks_exact(channels) {
        sums.iter_mut()
            .zip(pixel)
            .for_each(|(s, v)| *s += *v as f64);
    }
    let count = (values.len() / channels) as f64;
    sums.into_iter().map(|s| (s / count) as f32).collect()
}

fn mean_of<'m>(pictures: impl Iterator<Item = &'m PictureMeans>) -> PictureMeans {
    let mut sums: Vec<Vec<f64>> = vec![];
    let mut count = 0f64;
    for picture in pictures {
        sums.resize_with(picture.len(), Vec::new);
        count += 1.0;
        for (sum, mean) in sums.iter_mut().zip(picture) {
            sum.resize(mean.len(), 0.0);
            sum.iter_mut().zip(mean).for_each(|(s, m)| *s += *m as f64);
        }
    }
    let finish = |sum: Vec<f64>| sum.into_iter().map(|s| (s / count) as f32).collect();
    sums.into_iter().map(finish).collect()
}
