//! Elementwise activation functions, and the final softmax.

use super::super::context::Context;
use super::super::node::Node;
use super::super::value::{Act, Order, Value};
use super::arithmetic::{affine, per_channel};
use super::{clip, normalize_axis};
use crate::graph::{Activation, Op};
use crate::import::ImportError;

fn apply(context: &mut Context, node: &Node, function: Activation) -> Result<Value, ImportError> {
    let x = node.act(0)?;
    context.push_like(node, Op::Activation(function), x)
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

/// `max(0, min(1, alpha * x + beta))`
pub fn hard_sigmoid(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let alpha = node.attributes.float("alpha", 0.2)?;
    let beta = node.attributes.float("beta", 0.5)?;
    if (alpha - 1.0 / 6.0).abs() < 1e-5 && beta == 0.5 {
        return apply(context, node, Activation::HardSigmoid);
    }
    // For other constants than PyTorch's: scales and shifts the input, which folds into a convolution.
    let line = affine(context, node, node.act(0)?, |_| alpha, |_| beta)?;
    clip::clamp(context, node, &line, 0.0, 1.0)
}

/// `x` if positive, else the slope times `x`; one slope or one per channel.
pub fn prelu(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.act(0)?;
    let slopes = per_channel(x, node.tensor(1)?)?;
    context.charge(Some(slopes.len()))?;
    context.push_like(node, Op::PRelu(slopes), x)
}

/// The softmax at the end of a classifier. The graph leaves it out: its output is the softmax's input.
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
        let problem = if over == x.shape.len() {
            format!("a softmax over all places of a map of {}", x.shape)
        } else {
            format!("a softmax over {over} of {} elements", x.shape.len())
        };
        return Err(ImportError::new(problem)
            .attribute("axis")
            .hint("only the softmax over all classes at the end of a classifier is supported"));
    }
    Ok(Value::Act(Act {
        softmax: true,
        ..x.clone()
    }))
}
