//! Elementwise activation functions, and the final softmax.

use super::super::context::Context;
use super::super::node::{Node, required};
use super::super::schema::{ActivationFunctionType, BuiltinOperator as Code};
use super::super::value::{Act, Value};
use super::arithmetic::per_channel;
use crate::graph::{Activation, Op};
use crate::import::ImportError;

fn apply<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
    op: Op,
    x: &Act,
) -> Result<Value<'a>, ImportError> {
    context.push_like(node, op, &[x.node], x, ActivationFunctionType::NONE)
}

/// RELU and its variants, LOGISTIC, TANH, HARD_SWISH.
pub fn function<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let function = match node.code {
        Code::RELU6 => Activation::Relu6,
        Code::RELU_N1_TO_1 => Activation::Clip(-1.0, 1.0),
        Code::RELU_0_TO_1 => Activation::Clip(0.0, 1.0),
        Code::LOGISTIC => Activation::Sigmoid,
        Code::TANH => Activation::Tanh,
        Code::HARD_SWISH => Activation::HardSwish,
        Code::LEAKY_RELU => {
            let options = required(node.table.builtin_options_as_leaky_relu_options())?;
            Activation::LeakyRelu(finite("alpha", options.alpha())?)
        }
        _ => Activation::Relu,
    };
    apply(context, node, Op::Activation(function), node.act(0)?)
}

fn finite(name: &str, value: f32) -> Result<f32, ImportError> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(ImportError::new(format!("is {value}"))
        .attribute(name)
        .hint("the file is damaged"))
}

/// MINIMUM and MAXIMUM with one constant.
pub fn bound<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let constant = usize::from(matches!(node.input(0)?.value, Value::Act(_)));
    let x = node.act(1 - constant)?;
    let &[bound] = &node.stored(constant)?.reals()?[..] else {
        return Err(ImportError::new("a bound that is no single number")
            .hint("activations are compared with one constant only"));
    };
    let function = if node.code == Code::MAXIMUM {
        Activation::Clip(bound, f32::INFINITY)
    } else {
        Activation::Clip(f32::NEG_INFINITY, bound)
    };
    apply(context, node, Op::Activation(function), x)
}

/// PRELU: `x` if positive, else the channel's slope times `x`.
pub fn prelu<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = node.act(0)?;
    let slopes = per_channel(context, x, node.stored(1)?)?;
    apply(context, node, Op::PRelu(slopes), x)
}

/// The softmax at the end of a classifier. The graph leaves it out: its output is the softmax's input.
pub fn softmax<'a>(_: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = node.act(0)?;
    if let Some(options) = node.table.builtin_options_as_softmax_options()
        && options.beta() != 1.0
    {
        return Err(ImportError::new(format!("is {}", options.beta()))
            .attribute("beta")
            .hint("only the plain softmax, of beta 1, is supported"));
    }
    if x.dims.last() != Some(&x.shape.len()) {
        return Err(ImportError::new(format!(
            "a softmax over {} of {} elements",
            x.dims.last().copied().unwrap_or(1),
            x.shape.len()
        ))
        .hint("only the softmax over all classes at the end of a classifier is supported"));
    }
    Ok(Value::Act(Act {
        softmax: true,
        ..x.clone()
    }))
}
