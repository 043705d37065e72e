//! A float backend that is off by little in one operator is noticed, and the operator named.

use crate::LAYERS;
use edge_runtime::backend::conformance::{Case, Kind, check};
use edge_runtime::backend::{
    BackendError, Observer, Prepared, Runtime, Session, TractRuntime, Values,
};
use edge_runtime::model::{DType, Model};
use std::sync::Arc;

/// tract, but the last value of every layer with this operator is a thousandth too large.
struct Off(&'static str);

impl Runtime for Off {
    fn name(&self) -> &'static str {
        "off"
    }

    fn prepare<'m>(&self, model: &Model<'m>) -> Result<Arc<dyn Prepared<'m> + 'm>, BackendError> {
        let wrong = model.layers().map(|l| l.op.name() == self.0).collect();
        let right = TractRuntime::new().prepare(model)?;
        Ok(Arc::new(OffModel { right, wrong }))
    }
}

struct OffModel<'m> {
    right: Arc<dyn Prepared<'m> + 'm>,
    /// Which layers are off.
    wrong: Vec<bool>,
}

impl<'m> Prepared<'m> for OffModel<'m> {
    fn session(self: Arc<Self>) -> Result<Box<dyn Session + 'm>, BackendError> {
        self.right.clone().session()
    }

    fn observer(self: Arc<Self>) -> Result<Box<dyn Observer + 'm>, BackendError> {
        Ok(Box::new(OffObserver {
            right: self.right.clone().observer()?,
            wrong: self.wrong.clone(),
        }))
    }
}

struct OffObserver<'m> {
    right: Box<dyn Observer + 'm>,
    wrong: Vec<bool>,
}

impl Observer for OffObserver<'_> {
    fn backend(&self) -> &'static str {
        "off"
    }

    fn run(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError> {
        let wrong = &self.wrong;
        self.right.run(input, &mut |layer, values| match values {
            Values::F32(values) if wrong[layer] => {
                let mut values = values.to_vec();
                if let Some(last) = values.last_mut() {
                    *last += 1e-3 * last.abs().max(1.0);
                }
                observe(layer, Values::F32(&values));
            }
            values => observe(layer, values),
        })
    }
}

#[test]
fn a_float_that_is_off_by_a_thousandth_is_found() {
    for (kind, operator) in [
        (Kind::Conv, "conv"),
        (Kind::DepthwiseConv, "depthwise-conv"),
        (Kind::MaxPool, "max-pool"),
        (Kind::AvgPool, "avg-pool"),
        (Kind::Add, "add"),
        (Kind::Concat, "concat"),
        (Kind::Map, "map"),
        (Kind::Slice, "slice"),
        (Kind::Pad, "pad"),
        (Kind::Mul, "mul"),
        (Kind::PRelu, "prelu"),
        (Kind::Norm, "local-response-norm"),
        (Kind::Shuffle, "shuffle"),
    ] {
        let wrong =
            |index| check("off", &Off(operator), &Case::layer(kind, DType::F32, index)).err();
        let found = (0..LAYERS).find_map(wrong);
        let found = found.unwrap_or_else(|| panic!("{operator} may be off"));
        assert_eq!(found.operator, operator, "{found}");
    }
}
