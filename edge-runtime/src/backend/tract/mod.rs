//! The tract backend: a model's trunk on tract's CPU kernels, float or int8.
//!
//! Float models are tract graphs through and through. In int8 models tract accumulates and the engine's
//! kernels do every rounding, so the activations are the engine's, bit for bit. Owns all it needs once
//! built. Knows no file and no head.

mod custom;
mod float;
mod int8;
mod kernel;
mod network;
mod norm;
mod part;
mod requantize;
#[cfg(test)]
mod tests;
mod unfold;

use super::{Backend, BackendError, Values};
use crate::kernels::RequantizeFn;
use crate::model::{DType, Model, Shape};
use network::{Network, Plan, dims};
use std::sync::Arc;
use tract_core::internal::{
    DatumType, IntoTensor, TValue, Tensor, TractError, TractErrorContext, TypedModel, tvec,
};

/// The trunk of one model, ready to run.
pub struct TractBackend {
    dtype: DType,
    input: Shape,
    network: Arc<Network>,
    plan: Option<Plan>,
    observed: Option<Plan>,
    output: Option<Tensor>,
}

impl TractBackend {
    /// Name for `--backend`.
    pub const NAME: &'static str = "tract";

    /// Builds and optimizes the trunk of `model`; copies its weights.
    ///
    /// # Errors
    /// [`BackendError::Engine`] names the layer that tract refused.
    pub fn new(model: &Model<'_>) -> Result<Self, BackendError> {
        Self::build(model, None)
    }

    /// As [`Self::new`], with `function` in the place of [`crate::kernels::requantize`] at the end of every
    /// int8 convolution.
    ///
    /// Fault injection: with any other rounding the results are wrong, which is what tests of `verify` need.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_requantize(
        model: &Model<'_>,
        function: RequantizeFn,
    ) -> Result<Self, BackendError> {
        Self::build(model, Some(function))
    }

    /// As [`Self::new`], made ready for [`Backend::run_observed`] and not yet for [`Backend::run`]: each
    /// has a plan with weights packed for it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn observing(model: &Model<'_>) -> Result<Self, BackendError> {
        let mut backend = Self::wired(model, None)?;
        backend.observed = Some(backend.network.observed_plan()?);
        Ok(backend)
    }

    /// Another one for another thread, which shares all weights.
    pub fn share(&self) -> Self {
        Self {
            dtype: self.dtype,
            input: self.input,
            network: self.network.clone(),
            plan: self.plan.clone(),
            observed: self.observed.clone(),
            output: None,
        }
    }

    fn build(model: &Model<'_>, requantize: Option<RequantizeFn>) -> Result<Self, BackendError> {
        let mut backend = Self::wired(model, requantize)?;
        backend.plan = Some(backend.network.plan()?);
        Ok(backend)
    }

    fn wired(model: &Model<'_>, requantize: Option<RequantizeFn>) -> Result<Self, BackendError> {
        Ok(Self {
            dtype: model.dtype(),
            input: model.input().shape,
            network: Arc::new(Network::build(model, requantize)?),
            plan: None,
            observed: None,
            output: None,
        })
    }

    fn tensor(&self, input: Values<'_>) -> Result<Tensor, BackendError> {
        let (dtype, got) = match input {
            Values::I8(v) => (DType::I8, v.len()),
            Values::F32(v) => (DType::F32, v.len()),
        };
        let expected = self.input.len();
        if dtype != self.dtype || got != expected {
            return Err(BackendError::Input {
                got,
                expected,
                dtype: self.dtype,
            });
        }
        let shape = dims(self.input);
        let tensor = match input {
            Values::I8(v) => Tensor::from_shape(&shape, v),
            Values::F32(v) => Tensor::from_shape(&shape, v),
        };
        tensor.map_err(|e| engine_error("", &e))
    }
}

impl Backend for TractBackend {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError> {
        let input = self.tensor(input)?;
        let plan = match &self.plan {
            Some(plan) => plan,
            None => self.plan.insert(self.network.plan()?),
        };
        let mut outputs = run(plan, input)?;
        let output = outputs
            .pop()
            .context("it returned no output")
            .map_err(|e| engine_error("", &e))?;
        values(self.output.insert(output.into_tensor()))
    }

    fn run_observed(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError> {
        let input = self.tensor(input)?;
        let plan = match &self.observed {
            Some(plan) => plan,
            None => self.observed.insert(self.network.observed_plan()?),
        };
        for (layer, output) in run(plan, input)?.iter().enumerate() {
            observe(layer, values(output)?);
        }
        Ok(())
    }
}

/// The trunk of a model as a tract network, to be wired into a larger one. Its weights are copied out of the model.
///
/// Input and output are NHWC with batch 1: int8 values, quantized as [`Model::input`] and [`Model::output`] say, or
/// f32 values of a float model.
///
/// # Errors
/// [`BackendError::Engine`] names a layer that tract refuses.
pub fn typed_model(model: &Model<'_>) -> Result<TypedModel, BackendError> {
    Network::build(model, None)?.into_model()
}

/// A tract error in layer `layer` (empty: none in particular), as backends report theirs: one line, because
/// tract may append the dump of a whole graph.
fn engine_error(layer: &str, error: &TractError) -> BackendError {
    let whole = format!("{error:#}");
    let line = whole.lines().next().unwrap_or_default();
    BackendError::Engine {
        backend: TractBackend::NAME,
        layer: layer.to_owned(),
        why: line.chars().take(300).collect(),
    }
}

fn run(plan: &Plan, input: Tensor) -> Result<Vec<TValue>, BackendError> {
    let outputs = plan.run(tvec!(input.into()));
    outputs
        .map(|o| o.into_vec())
        .map_err(|e| engine_error("", &e))
}

fn values(tensor: &Tensor) -> Result<Values<'_>, BackendError> {
    let view = tensor.try_as_plain_ram();
    let values = view.and_then(|v| match tensor.datum_type() {
        DatumType::I8 => v.as_slice().map(Values::I8),
        _ => v.as_slice().map(Values::F32),
    });
    values.map_err(|e| engine_error("", &e))
}
