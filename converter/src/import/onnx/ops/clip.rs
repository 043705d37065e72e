//! Clamps: Relu, Clip, and Min and Max with a constant.

use super::super::context::Context;
use super::super::node::Node;
use super::super::tensor::Tensor;
use super::super::value::{Act, Value};
use crate::graph::bounds::{self, both_clamps};
use crate::graph::{Activation, Op};
use crate::import::ImportError;

/// `max(x, 0)`
pub fn relu(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    clamp(context, node, node.act(0)?, 0.0, f32::INFINITY)
}

/// `min(max(x, low), high)`; either bound may be left out.
pub fn clip(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let bound = |i: usize, name: &str, none: f32| -> Result<f32, ImportError> {
        let given = if context.opset < 11 {
            node.attributes.get(name).map(|a| a.f)
        } else {
            let number = |t: &Tensor| single(t, &format!("the bound '{name}'"));
            node.optional_tensor(i)?.map(number).transpose()?
        };
        // Exporters write the largest float for "no bound".
        match given.unwrap_or(none) {
            v if v.is_nan() => Err(ImportError::new(format!("the bound '{name}' is NaN"))),
            v if v.abs() >= f32::MAX => Ok(none),
            v => Ok(v),
        }
    };
    let low = bound(1, "min", f32::NEG_INFINITY)?;
    let high = bound(2, "max", f32::INFINITY)?;
    clamp(context, node, node.act(0)?, low, high)
}

/// The minimum of an activation and constants.
pub fn min(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let (x, bounds) = operands(node)?;
    let high = bounds.into_iter().fold(f32::INFINITY, f32::min);
    clamp(context, node, x, f32::NEG_INFINITY, high)
}

/// The maximum of an activation and constants.
pub fn max(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let (x, bounds) = operands(node)?;
    let low = bounds.into_iter().fold(f32::NEG_INFINITY, f32::max);
    clamp(context, node, x, low, f32::INFINITY)
}

/// Splits the inputs into the one activation and the constants, each of one number.
fn operands<'a>(node: &'a Node) -> Result<(&'a Act, Vec<f32>), ImportError> {
    let mut acts = vec![];
    let mut bounds = vec![];
    for i in 0..node.inputs.len() {
        match node.input(i)? {
            Value::Act(_) => acts.push(node.act(i)?),
            Value::Const(t) => bounds.push(single(t, "a bound")?),
        }
    }
    match acts[..] {
        [x] if bounds.iter().all(|b| b.is_finite()) => Ok((x, bounds)),
        _ => Err(
            ImportError::new(format!("{} activations and {bounds:?}", acts.len()))
                .hint("one activation and finite constants are supported"),
        ),
    }
}

fn single(t: &Tensor, what: &str) -> Result<f32, ImportError> {
    t.scalar()
        .ok_or_else(|| ImportError::new(format!("{what} is no single number")))
}

/// Clamps `x` to the bounds; a missing bound is infinite. Two clamps in a row become one, unless the first
/// one belongs to a quantization.
pub fn clamp(
    context: &mut Context,
    node: &Node,
    x: &Act,
    low: f32,
    high: f32,
) -> Result<Value, ImportError> {
    if low > high {
        return Err(
            ImportError::new(format!("clips to {low} to {high}")).hint("the file is damaged")
        );
    }
    let mut function = bounds::clamp(low, high);
    let mut of = x.clone();
    let before = &context.graph.nodes[x.node];
    if let (Op::Activation(inner), &[source]) = (&before.op, &before.inputs[..])
        && let Some(both) = both_clamps(*inner, function)
    {
        if both == *inner {
            return Ok(Value::Act(of));
        }
        if before.quant.is_none() {
            (function, of.node) = (both, source);
        }
    }
    if function == Activation::None {
        return Ok(Value::Act(of));
    }
    context.push_like(node, Op::Activation(function), &of)
}
