//! Functions of one number, and the final softmax.

use super::super::context::{Context, Node};
use super::super::tensor::Tensor;
use super::super::value::{Act, Order, Value};
use super::normalize_axis;
use crate::graph::{Activation, Op};
use crate::import::ImportError;

fn apply(context: &mut Context, node: &Node, function: Activation) -> Result<Value, ImportError> {
    let x = node.act(0)?;
    context.push_like(node, Op::Activation(function), x)
}

/// `max(x, 0)`
pub fn relu(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    apply(context, node, Activation::Relu)
}

/// `1 / (1 + exp(-x))`
pub fn sigmoid(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    apply(context, node, Activation::Sigmoid)
}

/// Hyperbolic tangent
pub fn tanh(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    apply(context, node, Activation::Tanh)
}

/// `x * hard_sigmoid(x)`
pub fn hard_swish(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    apply(context, node, Activation::HardSwish)
}

/// `x` if positive, else `alpha * x`
pub fn leaky_relu(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let slope = node.attributes.float("alpha", 0.01)?;
    apply(context, node, Activation::LeakyRelu(slope))
}

/// `max(0, min(1, alpha * x + beta))`, with the constants of PyTorch and MobileNetV3 only.
pub fn hard_sigmoid(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let alpha = node.attributes.float("alpha", 0.2)?;
    let beta = node.attributes.float("beta", 0.5)?;
    if (alpha - 1.0 / 6.0).abs() > 1e-5 || beta != 0.5 {
        return Err(ImportError::new(format!(
            "alpha {alpha} and beta {beta}, only 1/6 and 0.5 are supported"
        ))
        .hint("use torch.nn.Hardsigmoid and export again"));
    }
    apply(context, node, Activation::HardSigmoid)
}

/// Clip to `[0, inf)` and `[0, 6]`.
pub fn clip(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let bound = |i: usize, name: &str, none: f32| -> Result<f32, ImportError> {
        let given = if context.opset < 11 {
            node.attributes.get(name).map(|a| a.f)
        } else {
            let scalar = |t: &Tensor| {
                t.scalar().ok_or_else(|| {
                    ImportError::new(format!("the bound '{name}' is no single number"))
                })
            };
            node.optional_tensor(i)?.map(scalar).transpose()?
        };
        // Exporters write the largest float for "no bound".
        Ok(given.filter(|v| v.abs() < f32::MAX).unwrap_or(none))
    };
    let low = bound(1, "min", f32::NEG_INFINITY)?;
    let high = bound(2, "max", f32::INFINITY)?;
    match (low, high) {
        (0.0, 6.0) => apply(context, node, Activation::Relu6),
        (0.0, f32::INFINITY) => apply(context, node, Activation::Relu),
        (f32::NEG_INFINITY, f32::INFINITY) => Ok(Value::Act(node.act(0)?.clone())),
        _ => Err(ImportError::new(format!(
            "clips to {low} to {high}; only 0 to 6 and 0 up are supported"
        ))
        .hint("retrain with ReLU or ReLU6")),
    }
}

/// The softmax at the end of a classifier: left out, the output is what enters it.
pub fn softmax(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.act(0)?;
    let flattens = context.opset < 13;
    let axis = normalize_axis(
        node.attributes.int("axis", if flattens { 1 } else { -1 }),
        x.dims.len(),
    )?;
    let over: usize = if flattens {
        x.dims[axis..].iter().product()
    } else {
        x.dims[axis]
    };
    if over != x.shape.len() || !x.is_order(Order::Hwc) {
        return Err(ImportError::new(format!(
            "a softmax over {over} of {} elements",
            x.shape.len()
        ))
        .attribute("axis")
        .hint("only the softmax over all classes at the end of a classifier is supported"));
    }
    Ok(Value::Act(Act {
        softmax: true,
        ..x.clone()
    }))
}
