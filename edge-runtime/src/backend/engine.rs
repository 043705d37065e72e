//! The no_std engine as a backend: what a microcontroller runs, on the host.

use super::{Backend, BackendError, Values};
use crate::engine::Engine;
use crate::model::{DType, Model};

/// Runs a model with [`Engine`] in an arena of its own.
pub struct EngineBackend<'m> {
    model: Model<'m>,
    arena: Vec<i8>,
}

impl<'m> EngineBackend<'m> {
    /// Name for `--backend`.
    pub const NAME: &'static str = "engine";

    /// Allocates the arena. Float models are refused.
    pub fn new(model: &Model<'m>) -> Result<Self, BackendError> {
        let mut arena = vec![0; model.arena_bytes()];
        Engine::new(model, &mut arena).map_err(|e| BackendError::Unsupported {
            backend: Self::NAME,
            why: e.to_string(),
        })?;
        Ok(Self {
            model: model.clone(),
            arena,
        })
    }

    fn start(&mut self, input: Values<'_>) -> Result<Engine<'m, '_>, BackendError> {
        let expected = self.model.input().shape.len();
        let Values::I8(values) = input else {
            return Err(BackendError::Input {
                got: 0,
                expected,
                dtype: DType::I8,
            });
        };
        if values.len() != expected {
            return Err(BackendError::Input {
                got: values.len(),
                expected,
                dtype: DType::I8,
            });
        }
        let mut engine =
            Engine::new(&self.model, &mut self.arena).map_err(|e| BackendError::Engine {
                backend: Self::NAME,
                layer: String::new(),
                why: e.to_string(),
            })?;
        engine.input_mut().copy_from_slice(values);
        Ok(engine)
    }
}

impl Backend for EngineBackend<'_> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError> {
        self.start(input)?.run();
        let output = self.model.output();
        Ok(Values::I8(
            &self.arena[output.offset as usize..][..output.shape.len()],
        ))
    }

    fn run_observed(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError> {
        self.start(input)?
            .run_observed(|layer, values| observe(layer, Values::I8(values)));
        Ok(())
    }
}
