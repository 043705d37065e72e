//! One tract operator for everything that tract does not compute itself. Knows tract, no layers.

use std::sync::Arc;
use tract_core::internal::*;

/// One output from some inputs, all of fixed shape.
pub trait Compute: core::fmt::Debug + Send + Sync + 'static {
    /// Name of the operator, for tract's messages.
    fn name(&self) -> &'static str;
    /// Type and dimensions of the output.
    fn output(&self) -> (DatumType, TVec<usize>);
    /// The output.
    fn run(&self, inputs: &[TValue]) -> TractResult<Tensor>;
}

/// A [`Compute`] as a node. Two nodes are equal only if they are copies of one.
#[derive(Clone, Debug)]
pub struct Custom(Arc<dyn Compute>);

impl Custom {
    /// `compute` as an operator.
    pub fn new(compute: impl Compute) -> Self {
        Self(Arc::new(compute))
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Custom {}

impl Op for Custom {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    op_as_typed_op!();
}

impl EvalOp for Custom {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        Ok(tvec!(self.0.run(&inputs)?.into_tvalue()))
    }
}

impl TypedOp for Custom {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (datum, shape) = self.0.output();
        Ok(tvec!(datum.fact(shape)))
    }

    as_op!();
}

/// The values of input `i`.
pub fn values<T: Datum>(inputs: &[TValue], i: usize) -> TractResult<&[T]> {
    inputs
        .get(i)
        .context("an input is missing")?
        .try_as_plain_ram()?
        .as_slice::<T>()
}

/// A tensor whose values `fill` writes.
pub fn filled<T: Datum + Copy + tract_core::num_traits::Zero>(
    shape: &[usize],
    fill: impl FnOnce(&mut [T]),
) -> TractResult<Tensor> {
    let mut tensor = Tensor::zero::<T>(shape)?;
    fill(tensor.try_as_plain_ram_mut()?.as_slice_mut::<T>()?);
    Ok(tensor)
}
