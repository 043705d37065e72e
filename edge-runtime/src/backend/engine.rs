//! The no_std engine as a backend: what a microcontroller runs, on the host.

use super::{BackendError, Observer, Prepared, Runtime, Session, Values};
use crate::engine::Engine;
use crate::kernels::{self, Native};
use crate::model::{DType, Model};
use std::sync::Arc;

/// Runs int8 models with [`Engine`]. The weights are read in place; a session is an arena.
#[derive(Clone, Copy, Debug)]
pub struct EngineRuntime {
    kernels: &'static Native,
}

impl EngineRuntime {
    /// Name for `--backend`.
    pub const NAME: &'static str = "engine";

    /// The engine with the best kernels of this CPU.
    pub fn new() -> Self {
        Self::with_kernels(kernels::native())
    }

    /// The engine with kernels of the caller's choice.
    pub fn with_kernels(kernels: &'static Native) -> Self {
        Self { kernels }
    }
}

impl Default for EngineRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for EngineRuntime {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn prepare<'m>(&self, model: &Model<'m>) -> Result<Arc<dyn Prepared<'m> + 'm>, BackendError> {
        let prepared = PreparedModel {
            model: model.clone(),
            kernels: self.kernels,
        };
        // Float models and layouts without kernel are refused here.
        let engine = Engine::with_kernels(model, &mut prepared.arena(), self.kernels).map(|_| ());
        engine.map_err(|e| BackendError::Unsupported {
            backend: Self::NAME,
            why: e.to_string(),
        })?;
        Ok(Arc::new(prepared))
    }
}

struct PreparedModel<'m> {
    model: Model<'m>,
    kernels: &'static Native,
}

impl PreparedModel<'_> {
    fn arena(&self) -> Vec<i8> {
        vec![0; self.model.arena_bytes()]
    }
}

impl<'m> Prepared<'m> for PreparedModel<'m> {
    fn session(self: Arc<Self>) -> Result<Box<dyn Session + 'm>, BackendError> {
        Ok(Box::new(Arena::new(self)))
    }

    fn observer(self: Arc<Self>) -> Result<Box<dyn Observer + 'm>, BackendError> {
        Ok(Box::new(Arena::new(self)))
    }
}

/// Activations of one inference at a time.
struct Arena<'m> {
    prepared: Arc<PreparedModel<'m>>,
    bytes: Vec<i8>,
}

impl<'m> Arena<'m> {
    fn new(prepared: Arc<PreparedModel<'m>>) -> Self {
        let bytes = prepared.arena();
        Self { prepared, bytes }
    }

    /// The engine with `input` in its place.
    fn engine(&mut self, input: Values<'_>) -> Result<Engine<'m, '_>, BackendError> {
        let model = &self.prepared.model;
        input.check(DType::I8, model.input().shape.len())?;
        let engine = Engine::with_kernels(model, &mut self.bytes, self.prepared.kernels);
        let mut engine = engine.map_err(|e| BackendError::Engine {
            backend: EngineRuntime::NAME,
            layer: String::new(),
            why: e.to_string(),
        })?;
        if let Values::I8(values) = input {
            engine.input_mut().copy_from_slice(values);
        }
        Ok(engine)
    }
}

impl Session for Arena<'_> {
    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError> {
        self.engine(input)?.run();
        let output = self.prepared.model.output();
        let values = &self.bytes[output.offset as usize..][..output.shape.len()];
        Ok(Values::I8(values))
    }
}

impl Observer for Arena<'_> {
    fn backend(&self) -> &'static str {
        EngineRuntime::NAME
    }

    fn run(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError> {
        self.engine(input)?
            .run_observed(|layer, values| observe(layer, Values::I8(values)));
        Ok(())
    }
}
