//! The tract backend: a model's trunk on tract's CPU kernels, float or int8.
//!
//! Float models are tract graphs through and through. In int8 models tract accumulates and the engine's
//! kernels do every rounding, so the activations are the engine's, bit for bit. Owns all it needs once
//! built. Knows no file and no head.

mod custom;
mod float;
mod float_conv;
mod int8;
mod kernel;
mod network;
mod norm;
mod part;
mod prepacked;
mod requantize;
#[cfg(test)]
mod tests;
mod unfold;

use super::{BackendError, Observer, Prepared, Runtime, Session, Values};
use crate::kernels::{self, Kernels};
use crate::model::{DType, Model, Shape};
use network::{Network, Plan, dims};
use std::sync::{Arc, Mutex, PoisonError};
use tract_core::internal::{
    DatumType, IntoTensor, TValue, Tensor, TractError, TractErrorContext, TypedModel, tvec,
};

/// Runs int8 and float models as tract networks.
#[derive(Clone, Copy, Debug)]
pub struct TractRuntime {
    kernels: &'static dyn Kernels,
}

impl TractRuntime {
    /// Name for `--backend`.
    pub const NAME: &'static str = "tract";

    /// tract with the best kernels of this CPU for what it does not compute itself.
    pub fn new() -> Self {
        Self::with_kernels(kernels::native())
    }

    /// tract with kernels of the caller's choice for what it does not compute itself. Float models take no notice of
    /// them.
    pub fn with_kernels(kernels: &'static dyn Kernels) -> Self {
        Self { kernels }
    }
}

impl Default for TractRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for TractRuntime {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn prepare<'m>(&self, model: &Model<'m>) -> Result<Arc<dyn Prepared<'m> + 'm>, BackendError> {
        Ok(Arc::new(PreparedNetwork {
            dtype: model.dtype(),
            input: model.input().shape,
            network: Network::build(model, self.kernels)?,
            plan: OncePlan::default(),
            observed: OncePlan::default(),
        }))
    }
}

/// A wired network, and what tract made of it. The weights are copied out of the model.
struct PreparedNetwork {
    dtype: DType,
    input: Shape,
    network: Network,
    plan: OncePlan,
    observed: OncePlan,
}

/// A plan that is made when it is first asked for. Optimizing packs the weights, and a network that is only
/// run, or only observed, needs one of its two plans.
#[derive(Default)]
struct OncePlan(Mutex<Option<Plan>>);

impl OncePlan {
    fn get(&self, make: impl FnOnce() -> Result<Plan, BackendError>) -> Result<Plan, BackendError> {
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &*plan {
            Some(plan) => plan.clone(),
            None => plan.insert(make()?).clone(),
        })
    }
}

impl PreparedNetwork {
    fn tensor(&self, input: Values<'_>) -> Result<Tensor, BackendError> {
        input.check(self.dtype, self.input.len())?;
        let shape = dims(self.input);
        let tensor = match input {
            Values::I8(v) => Tensor::from_shape(&shape, v),
            Values::F32(v) => Tensor::from_shape(&shape, v),
        };
        tensor.map_err(|e| engine_error("", &e))
    }
}

impl<'m> Prepared<'m> for PreparedNetwork {
    fn session(self: Arc<Self>) -> Result<Box<dyn Session + 'm>, BackendError> {
        let plan = self.plan.get(|| self.network.plan())?;
        Ok(Box::new(TractSession {
            prepared: self,
            plan,
            output: None,
        }))
    }

    fn observer(self: Arc<Self>) -> Result<Box<dyn Observer + 'm>, BackendError> {
        let plan = self.observed.get(|| self.network.observed_plan())?;
        Ok(Box::new(TractObserver {
            prepared: self,
            plan,
        }))
    }
}

struct TractSession {
    prepared: Arc<PreparedNetwork>,
    plan: Plan,
    output: Option<Tensor>,
}

impl Session for TractSession {
    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError> {
        let mut outputs = run(&self.plan, self.prepared.tensor(input)?)?;
        let output = outputs
            .pop()
            .context("it returned no output")
            .map_err(|e| engine_error("", &e))?;
        values(self.output.insert(output.into_tensor()))
    }
}

struct TractObserver {
    prepared: Arc<PreparedNetwork>,
    plan: Plan,
}

impl Observer for TractObserver {
    fn backend(&self) -> &'static str {
        TractRuntime::NAME
    }

    fn run(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError> {
        let input = self.prepared.tensor(input)?;
        let layers = &self.plan.model().outputs;
        let mut there: Vec<Option<TValue>> = vec![None; layers.len()];
        let (mut next, mut wrong) = (0, None);
        let mut state = self.plan.spawn().map_err(|e| engine_error("", &e))?;
        // Each as soon as it and all before it are there, so that an observer can take the time.
        let outputs = state.run_plan_with_eval(tvec!(input.into()), |context, op, node, inputs| {
            let outputs = tract_core::plan::eval(context, op, node, inputs)?;
            for (there, outlet) in there.iter_mut().zip(layers) {
                if outlet.node == node.id {
                    *there = outputs.get(outlet.slot).cloned();
                }
            }
            while let Some(output) = there.get_mut(next).and_then(Option::take) {
                match values(&output) {
                    Ok(values) => observe(next, values),
                    Err(e) => wrong = Some(e),
                }
                next += 1;
            }
            Ok::<_, TractError>(outputs)
        });
        let outputs = outputs.map_err(|e| engine_error("", &e))?;
        // From the first on that the optimizer has made a constant, or the input itself.
        for (layer, output) in outputs.iter().enumerate().skip(next) {
            observe(layer, values(output)?);
        }
        wrong.map_or(Ok(()), Err)
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
    Network::build(model, kernels::native())?.into_model()
}

/// A tract error in layer `layer` (empty: none in particular), as backends report theirs: one line, because
/// tract may append the dump of a whole graph.
fn engine_error(layer: &str, error: &TractError) -> BackendError {
    let whole = format!("{error:#}");
    let line = whole.lines().next().unwrap_or_default();
    BackendError::Engine {
        backend: TractRuntime::NAME,
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
