//! The no_std engine as a backend: what a microcontroller runs, on the host.

use super::{BackendError, Observer, Prepared, Runtime, Session, Values};
use crate::engine::{self, Engine};
use crate::kernels::{self, Native, Prepacked};
use crate::model::{AlignedBytes, DType, Layer, Model};
use std::sync::Arc;

/// Runs int8 models as [`Engine`] does. What is prepared has the weights of convolutions packed for the kernels, if
/// these ask for it; other numbers are read in place. A session is an arena.
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
        Engine::check(model, self.kernels).map_err(|e| BackendError::Unsupported {
            backend: Self::NAME,
            why: e.to_string(),
        })?;
        let step = |layer: Layer<'m>| Step {
            conv: kernels::prepack(self.kernels, model, &layer),
            layer,
        };
        Ok(Arc::new(PreparedModel {
            model: model.clone(),
            kernels: self.kernels,
            steps: model.layers().map(step).collect(),
        }))
    }
}

/// A layer, and its weights if they are packed.
struct Step<'m> {
    layer: Layer<'m>,
    conv: Option<Box<dyn Prepacked>>,
}

struct PreparedModel<'m> {
    model: Model<'m>,
    kernels: &'static Native,
    steps: Vec<Step<'m>>,
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
    bytes: AlignedBytes,
    /// What the kernels of packed convolutions work with.
    scratch: Vec<u64>,
}

impl<'m> Arena<'m> {
    fn new(prepared: Arc<PreparedModel<'m>>) -> Self {
        let convolutions = prepared.steps.iter().flat_map(|s| &s.conv);
        let scratch = convolutions.map(|c| c.scratch_len()).max().unwrap_or(0);
        Self {
            bytes: AlignedBytes::zeroed(prepared.model.arena_bytes()),
            scratch: vec![0; scratch],
            prepared,
        }
    }

    /// One inference, which shows each layer's output to `observe(layer, values)`.
    fn infer(
        &mut self,
        input: Values<'_>,
        mut observe: impl FnMut(usize, &[i8]),
    ) -> Result<&[i8], BackendError> {
        let PreparedModel {
            model,
            kernels,
            steps,
        } = &*self.prepared;
        input.check(DType::I8, model.input().shape.len())?;
        let arena: &mut [i8] = bytemuck::cast_slice_mut(&mut self.bytes);
        if let Values::I8(values) = input {
            arena[engine::range(&model.input())].copy_from_slice(values);
        }
        for (index, Step { layer, conv }) in steps.iter().enumerate() {
            match conv {
                None => engine::run_layer(model, *kernels, layer, arena),
                Some(conv) => {
                    let (around, output) = engine::Around::split(arena, &layer.output);
                    let input = around.input(&layer.inputs[0]);
                    conv.run(0..conv.units().count, input, output, &mut self.scratch);
                }
            }
            observe(index, &arena[engine::range(&layer.output)]);
        }
        Ok(&arena[engine::range(&model.output())])
    }
}

impl Session for Arena<'_> {
    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError> {
        self.infer(input, |_, _| ()).map(Values::I8)
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
        self.infer(input, |layer, values| observe(layer, Values::I8(values)))?;
        Ok(())
    }
}
