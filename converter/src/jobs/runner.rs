//! A model on one of the host's backends, from picture to logits: what `run`, `eval` and `retrain-head`
//! have in common.

use crate::dataset::preprocess;
use edge_runtime::backend::{BackendError, BackendKind, Prepared, Session, Values};
use edge_runtime::model::{DType, Model, Output, OutputFunction};
use std::sync::{Arc, Mutex};

/// Why a picture has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The arithmetic broke down.
    #[error(
        "the network's output is not a finite number; its weights are broken, or its pictures are not what it was trained on"
    )]
    NotFinite,
    /// The network's answer is a map.
    #[error("this network does not classify: its output is {shape}; `inspect` shows its layers")]
    NotAClassifier {
        /// Shape of the output.
        shape: edge_runtime::model::Shape,
    },
}

/// One model on one backend.
pub struct Runner<'m> {
    model: Model<'m>,
    session: Box<dyn Session + 'm>,
}

/// A feature vector, of the model's element type.
#[derive(Clone, Debug, PartialEq)]
pub enum Feature {
    /// Of an int8 model.
    I8(Vec<i8>),
    /// Of a float model.
    F32(Vec<f32>),
}

impl<'m> Runner<'m> {
    /// Prepares the model on a backend.
    pub fn new(model: &Model<'m>, kind: BackendKind) -> Result<Self, RunError> {
        Self::of(model, kind.runtime().prepare(model)?)
    }

    /// A runner of a model that is prepared already. `prepared` is of `model`.
    fn of(model: &Model<'m>, prepared: Arc<dyn Prepared<'m> + 'm>) -> Result<Self, RunError> {
        Ok(Self {
            model: model.clone(),
            session: prepared.session()?,
        })
    }

    /// The feature vector of a picture (`[height][width][channels]` pixels, see [`preprocess::crop`]).
    ///
    /// A model without a head has its output as its features.
    pub fn feature(&mut self, crop: &[u8]) -> Result<Feature, RunError> {
        let spec = &self.model.manifest().input;
        let (bytes, floats);
        let input = match self.model.dtype() {
            DType::I8 => {
                bytes = preprocess::to_i8(crop, spec, self.model.input().quant);
                Values::I8(&bytes)
            }
            DType::F32 => {
                floats = preprocess::to_f32(crop, spec);
                Values::F32(&floats)
            }
        };
        Ok(match (self.session.run(input)?, self.model.head()) {
            (Values::I8(map), Some(head)) => {
                let mut feature = vec![0; head.features()];
                head.feature(map, &mut feature);
                Feature::I8(feature)
            }
            (Values::F32(map), Some(head)) => {
                let mut feature = vec![0.0; head.features()];
                head.feature_f32(map, &mut feature);
                Feature::F32(feature)
            }
            (Values::I8(map), None) => Feature::I8(map.to_vec()),
            (Values::F32(map), None) => Feature::F32(map.to_vec()),
        })
    }

    /// The logits of a picture; of a network that does not classify, its whole output. One sigmoid is a choice of
    /// two classes, the first of which has the logit 0.
    ///
    /// # Errors
    /// If a logit is not a finite number.
    pub fn logits(&mut self, crop: &[u8]) -> Result<Vec<f32>, RunError> {
        let logits = self.any_logits(crop)?;
        if logits.iter().any(|v| !v.is_finite()) {
            return Err(RunError::NotFinite);
        }
        Ok(logits)
    }

    /// As [`Self::logits`], whatever they are.
    pub(crate) fn any_logits(&mut self, crop: &[u8]) -> Result<Vec<f32>, RunError> {
        let feature = self.feature(crop)?;
        let mut logits = vec![0.0; self.model.head().map_or(0, |h| h.classes())];
        match (feature, self.model.head()) {
            (Feature::I8(f), Some(head)) => head.logits(&f, &mut logits),
            (Feature::F32(f), Some(head)) => head.logits_f32(&f, &mut logits),
            (Feature::I8(f), None) => {
                let quant = self.model.output().quant;
                let real = |q: &i8| quant.scale * (*q as i32 - quant.zero_point as i32) as f32;
                logits = f.iter().map(real).collect();
            }
            (Feature::F32(f), None) => logits = f,
        }
        if is_one_sigmoid(&self.model) {
            logits.insert(0, 0.0);
        }
        Ok(logits)
    }
}

/// True if the network's answer is one sigmoid.
fn is_one_sigmoid(model: &Model<'_>) -> bool {
    let outputs = model
        .head()
        .map_or(model.output().shape.len(), |h| h.classes());
    outputs == 1 && output_of(model).function == OutputFunction::Sigmoid
}

/// What a model's last numbers mean: those of its head, or of its output.
fn output_of(model: &Model<'_>) -> Output {
    model.head().map_or(model.output_rule(), |h| h.output())
}

/// What turns [`Runner::logits`] into probabilities.
pub fn output_function(model: &Model<'_>) -> OutputFunction {
    match is_one_sigmoid(model) {
        true => OutputFunction::Softmax,
        false => output_of(model).function,
    }
}

/// Number of classes of a classifier: of [`Runner::logits`].
///
/// # Errors
/// If the model's output is a map of more than one pixel.
pub fn classes(model: &Model<'_>) -> Result<usize, RunError> {
    let shape = model.output().shape;
    match model.head() {
        _ if is_one_sigmoid(model) => Ok(2),
        Some(head) => Ok(head.classes()),
        None if (shape.h, shape.w) == (1, 1) => Ok(shape.c as usize),
        None => Err(RunError::NotAClassifier { shape }),
    }
}

/// One runner per core.
pub struct RunnerPool<'m> {
    idle: Mutex<Vec<Runner<'m>>>,
}

impl<'m> RunnerPool<'m> {
    /// Prepares the model once, for as many threads as the thread pool has.
    pub fn new(model: &Model<'m>, kind: BackendKind) -> Result<Self, RunError> {
        let prepared = kind.runtime().prepare(model)?;
        let runners =
            (0..rayon::current_num_threads()).map(|_| Runner::of(model, prepared.clone()));
        Ok(Self {
            idle: Mutex::new(runners.collect::<Result<_, _>>()?),
        })
    }

    /// Lends a runner to `f`. At most as many threads as the thread pool has may call this at once.
    pub fn with<R>(&self, f: impl FnOnce(&mut Runner<'m>) -> R) -> R {
        let lock = || {
            self.idle
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        };
        let mut runner = lock().pop().expect("a runner per thread");
        let result = f(&mut runner);
        lock().push(runner);
        result
    }
}
