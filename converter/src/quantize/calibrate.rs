//! Runs the float network on pictures and records what each tensor does.

use super::observer::Observer;
use crate::lower::split::Split;
use edge_runtime::backend::{Backend, BackendError, TractBackend, Values};
use edge_runtime::model::Model;
use rayon::prelude::*;

/// What was seen: of the input, of each layer's output, and of the pooled features if there is a head.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Entry `t` is tensor `t` of the file.
    pub tensors: Vec<Observer>,
    /// The head's feature vector.
    pub features: Observer,
}

impl Observed {
    fn new(tensors: usize) -> Self {
        Self { tensors: vec![Observer::default(); tensors], features: Observer::default() }
    }

    fn merge(mut self, other: Self) -> Self {
        self.tensors.iter_mut().zip(&other.tensors).for_each(|(a, b)| a.merge(b));
        self.features.merge(&other.features);
        self
    }
}

/// Runs `float` (the float file of the graph that `split` belongs to) on every input, on all cores, and
/// calls `done` after each. The result does not depend on the number of threads.
pub fn observe(
    float: &Model<'_>,
    split: &Split,
    inputs: &[Vec<f32>],
    done: &(dyn Fn() + Sync),
) -> Result<Observed, BackendError> {
    let share = inputs.len().div_ceil(rayon::current_num_threads()).max(1);
    let run = |inputs: &[Vec<f32>]| {
        let mut backend = TractBackend::new(float)?;
        let mut seen = Observed::new(split.layers.len() + 1);
        let mut features = vec![0.0; float.head().map_or(0, |h| h.features())];
        for input in inputs {
            seen.tensors[0].see(input);
            backend.run_observed(Values::F32(input), &mut |layer, values| {
                let Values::F32(values) = values else { return };
                seen.tensors[layer + 1].see(values);
                if layer + 1 == split.layers.len()
                    && let Some(head) = float.head()
                {
                    head.feature_f32(values, &mut features);
                    seen.features.see(&features);
                }
            })?;
            done();
        }
        Ok(seen)
    };
    let parts = inputs.par_chunks(share).map(run).collect::<Result<Vec<_>, _>>()?;
    let start = Observed::new(split.layers.len() + 1);
    Ok(parts.into_iter().fold(start, Observed::merge))
}
