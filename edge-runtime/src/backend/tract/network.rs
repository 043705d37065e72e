//! From layers to a tract network: tensors to wires, names of nodes, errors that name the layer.
//! Which nodes a layer becomes is `float`'s and `int8`'s business.

use super::{engine_error, float, int8};
use crate::backend::BackendError;
use crate::kernels::Kernels;
use crate::model::{DType, Layer, Model, Operand, Shape};
use std::sync::Arc;
use tract_core::internal::*;

/// A network that can be run.
pub type Plan = Arc<TypedSimplePlan>;

/// Most elements that padding a tensor, or unfolding it into columns, may take.
const MAX_ELEMENTS: u64 = 1 << 29;

/// The network as wired, not yet optimized, and the wire of every tensor.
pub struct Network {
    graph: TypedModel,
    tensors: Vec<OutletId>,
    output: usize,
    prefix: String,
}

impl Network {
    /// Wires all layers. `kernels` compute what tract does not.
    pub fn build(model: &Model<'_>, kernels: &'static dyn Kernels) -> Result<Self, BackendError> {
        let datum = match model.dtype() {
            DType::F32 => DatumType::F32,
            DType::I8 => DatumType::I8,
        };
        let mut graph = TypedModel::default();
        let fact = datum.fact(dims(model.input().shape));
        let input = graph
            .add_source("input", fact)
            .map_err(|e| engine_error("", &e))?;
        let mut network = Self {
            graph,
            tensors: vec![input],
            output: model.output().tensor as usize,
            prefix: String::new(),
        };
        for (index, layer) in model.layers().enumerate() {
            network.prefix = format!("{index}:{}", layer.name);
            let wire = match model.dtype() {
                DType::F32 => float::wire(&mut network, model, &layer, kernels),
                DType::I8 => int8::wire(&mut network, model, &layer, kernels),
            };
            let wire = wire.and_then(|w| network.check(w, &layer).map(|()| w));
            network
                .tensors
                .push(wire.map_err(|e| engine_error(layer.name, &e))?);
        }
        Ok(network)
    }

    /// An optimized plan that yields the trunk's output.
    pub fn plan(&self) -> Result<Plan, BackendError> {
        let output = self.tensors.get(self.output).copied();
        self.optimized(output.as_slice())
            .map_err(|e| engine_error("", &e))
    }

    /// An optimized plan that yields every layer's output, in order.
    pub fn observed_plan(&self) -> Result<Plan, BackendError> {
        self.optimized(&self.tensors[1..])
            .map_err(|e| engine_error("", &e))
    }

    /// The network itself, not yet optimized, with the trunk's output as its only one.
    pub fn into_model(mut self) -> Result<TypedModel, BackendError> {
        let output = self.tensors.get(self.output).copied();
        let selected = self.graph.select_output_outlets(output.as_slice());
        selected.map_err(|e| engine_error("", &e))?;
        Ok(self.graph)
    }

    fn optimized(&self, outputs: &[OutletId]) -> TractResult<Plan> {
        ensure!(!outputs.is_empty(), "the model has no layer to run");
        let mut graph = self.graph.clone();
        graph.select_output_outlets(outputs)?;
        graph.into_optimized()?.into_runnable()
    }

    /// The wire of a tensor that a layer reads.
    pub fn tensor(&self, operand: &Operand) -> TractResult<OutletId> {
        let wire = self.tensors.get(operand.tensor as usize).copied();
        wire.with_context(|| {
            format!(
                "it reads tensor {}, which no layer before it writes",
                operand.tensor
            )
        })
    }

    /// Adds a node to the layer being wired. The node with an empty `suffix` bears the layer's number and name.
    pub fn node(
        &mut self,
        suffix: &str,
        op: impl Into<Box<dyn TypedOp>>,
        inputs: &[OutletId],
    ) -> TractResult<OutletId> {
        let name = self.name(suffix);
        let outlets = self.graph.wire_node(name, op, inputs)?;
        outlets.first().copied().context("a node without output")
    }

    /// Adds constant numbers to the layer being wired.
    pub fn constant<T: Datum + Copy>(
        &mut self,
        suffix: &str,
        shape: &[usize],
        values: &[T],
    ) -> TractResult<OutletId> {
        let name = self.name(suffix);
        self.graph
            .add_const(name, Tensor::from_shape(shape, values)?)
    }

    /// The network's nodes, for operators that wire themselves, and a name to do it under.
    pub fn parts(&mut self, suffix: &str) -> (&mut TypedModel, String) {
        let name = self.name(suffix);
        (&mut self.graph, name)
    }

    /// tract appends `.something` to the names of nodes that it makes itself; the number in front
    /// keeps those apart from all of ours, whatever a file calls its layers.
    fn name(&self, suffix: &str) -> String {
        match suffix {
            "" => self.prefix.clone(),
            _ => format!("{}/{suffix}", self.prefix),
        }
    }

    /// A mistake here would show as wrong numbers far away.
    fn check(&self, wire: OutletId, layer: &Layer<'_>) -> TractResult<()> {
        let shape = &self.graph.outlet_fact(wire)?.shape;
        let expected = dims(layer.output.shape);
        ensure!(
            shape.as_concrete() == Some(&expected),
            "tract makes its output {shape:?}, the model {expected:?}"
        );
        Ok(())
    }
}

/// A shape as tract's NHWC dimensions.
pub fn dims(s: Shape) -> [usize; 4] {
    [1, s.h as usize, s.w as usize, s.c as usize]
}

/// Refuses a temporary tensor that no real network needs, before it is allocated.
pub fn check_size(what: &str, factors: &[u64]) -> TractResult<()> {
    let elements = factors.iter().fold(1u64, |n, f| n.saturating_mul(*f));
    ensure!(
        elements <= MAX_ELEMENTS,
        "its {what} would have {elements} elements, the most is {MAX_ELEMENTS}"
    );
    Ok(())
}
