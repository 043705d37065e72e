//! Models of ours, as `bench` times them on this computer.

use super::{Round, Timed, TimedLayer};
use anyhow::{Result, bail};
use converter::dataset::{dead_leaves, preprocess};
use converter::jobs::report::layers;
use edge_runtime::backend::{BackendKind, Prepared, Session, Values};
use edge_runtime::model::{DType, Model};
use std::sync::Arc;
use std::time::Instant;

/// A picture as the input of a model.
enum Input {
    I8(Vec<i8>),
    F32(Vec<f32>),
}

impl Input {
    fn of(model: &Model<'_>) -> Result<Self> {
        let spec = model.manifest().input;
        let picture = dead_leaves::picture(spec.width, spec.height, 0);
        let crop = preprocess::crop(&picture, &spec)?;
        Ok(match model.dtype() {
            DType::I8 => Self::I8(preprocess::to_i8(&crop, &spec, model.input().quant)),
            DType::F32 => Self::F32(preprocess::to_f32(&crop, &spec)),
        })
    }

    fn values(&self) -> Values<'_> {
        match self {
            Self::I8(v) => Values::I8(v),
            Self::F32(v) => Values::F32(v),
        }
    }
}

/// A model that is timed.
pub struct Own<'m> {
    model: Model<'m>,
    backend: BackendKind,
    threads: usize,
    prepared: Arc<dyn Prepared<'m> + 'm>,
    session: Box<dyn Session + 'm>,
    input: Input,
    prepare_ms: f64,
    first_ms: f64,
}

impl<'m> Own<'m> {
    /// Prepares a model and runs it once.
    pub fn new(model: Model<'m>, backend: Option<BackendKind>, threads: usize) -> Result<Self> {
        let backend = backend.unwrap_or(BackendKind::fastest_for(&model));
        let input = Input::of(&model)?;
        let start = Instant::now();
        let prepared = backend.runtime_on(threads).prepare(&model)?;
        let mut session = prepared.clone().session()?;
        let prepare_ms = milliseconds(start);
        let start = Instant::now();
        session.run(input.values())?;
        Ok(Self {
            first_ms: milliseconds(start),
            model,
            threads: match backend {
                BackendKind::Engine => threads,
                BackendKind::Tract => 1,
            },
            backend,
            prepared,
            session,
            input,
            prepare_ms,
        })
    }

    /// The name of the backend that runs it.
    pub fn backend(&self) -> &'static str {
        self.backend.name()
    }

    /// The shortest time of each layer, in milliseconds.
    pub fn layer_ms(&self, runs: usize) -> Result<Vec<f64>> {
        let mut observer = self.prepared.clone().observer()?;
        let mut shortest = vec![f64::MAX; self.model.layers().count()];
        for _ in 0..runs + 1 {
            let mut last = Instant::now();
            observer.run(self.input.values(), &mut |layer, _| {
                shortest[layer] = shortest[layer].min(milliseconds(last));
                last = Instant::now();
            })?;
        }
        if shortest.contains(&f64::MAX) {
            bail!(
                "the {} backend does not show every layer",
                self.backend.name()
            );
        }
        Ok(shortest)
    }

    fn layers(&self, runs: usize) -> Result<Vec<TimedLayer>> {
        let timed = layers(&self.model).into_iter().zip(self.layer_ms(runs)?);
        Ok(timed
            .map(|(layer, ms)| TimedLayer::new(layer, ms))
            .collect())
    }
}

impl Round for Own<'_> {
    fn run(&mut self, count: usize) -> Result<Vec<f64>> {
        let mut one = || {
            let start = Instant::now();
            self.session.run(self.input.values())?;
            Ok(milliseconds(start))
        };
        (0..count).map(|_| one()).collect()
    }

    fn describe(&self, layers: Option<usize>) -> Result<Timed> {
        let dtype = match self.model.dtype() {
            DType::I8 => "int8",
            DType::F32 => "float32",
        };
        Ok(Timed {
            model: self.model.manifest().name.into(),
            dtype: Some(dtype),
            backend: self.backend.name().into(),
            threads: self.threads,
            macs: Some(self.model.manifest().macs),
            prepare_ms: self.prepare_ms,
            first_ms: self.first_ms,
            layers: layers.map(|runs| self.layers(runs)).transpose()?,
            ..Timed::default()
        })
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
