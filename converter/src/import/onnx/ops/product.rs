//! Mul and Div: by a constant, gates of squeeze-and-excitation, and the spellings of swish functions.

use super::super::context::Context;
use super::super::node::Node;
use super::super::value::{Act, Value};
use super::arithmetic::{Operands, affine, alike, binary};
use crate::graph::{Activation, NodeId, Op};
use crate::import::ImportError;

/// Multiplication; `x * sigmoid(x)` and its kin are activations, other products of two activations an
/// operator of the graph.
pub fn mul(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, |context, node, operands| match operands {
        Operands::ActConst(x, c) | Operands::ConstAct(c, x) => scale(context, node, x, c),
        Operands::Acts(a, b) => {
            if let Some(value) = swish(context, node, a, b)? {
                return Ok(value);
            }
            match swish(context, node, b, a)? {
                Some(value) => Ok(value),
                None => mul_acts(context, node, a, b),
            }
        }
    })
}

/// Division by a constant.
pub fn div(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, |context, node, operands| match operands {
        Operands::ActConst(x, c) => {
            if c.contains(&0.0) {
                return Err(ImportError::new("a division by zero"));
            }
            let inverse: Vec<f32> = c.iter().map(|v| 1.0 / v).collect();
            scale(context, node, x, &inverse)
        }
        _ => Err(ImportError::new("a division by an activation")
            .hint("only divisions by constants are supported")),
    })
}

/// Product of two activations of one shape, or of a map and a gate of one number per channel.
fn mul_acts(context: &mut Context, node: &Node, a: &Act, b: &Act) -> Result<Value, ImportError> {
    let (x, by) = if alike(a, b) || is_gate(a, b) {
        (a, b)
    } else if is_gate(b, a) {
        (b, a)
    } else {
        return Err(
            ImportError::new("a product of activations of different shapes").hint(
                "activations of one shape, and one number per channel by a map, are supported",
            ),
        );
    };
    let id = context.push(&node.name, Op::Mul, &[x.node, by.node])?;
    Ok(Value::Act(Act {
        node: id,
        ..x.clone()
    }))
}

/// True if `gate` has one number per channel of `x` and broadcasts to it.
fn is_gate(x: &Act, gate: &Act) -> bool {
    let Some(lead) = x.dims.len().checked_sub(gate.dims.len()) else {
        return false;
    };
    let channel = x.channel_axis();
    let fits = |(i, &d): (usize, &usize)| {
        if Some(i + lead) == channel {
            d == x.dims[i + lead]
        } else {
            d == 1
        }
    };
    gate.shape.h * gate.shape.w == 1
        && gate.shape.c == x.shape.c
        && gate.dims.iter().enumerate().all(fits)
}

/// True if all of `values` are within a rounding of `wanted`.
fn all_near(values: &[f32], wanted: f32) -> bool {
    values
        .iter()
        .all(|v| (v - wanted).abs() <= 1e-5 * wanted.abs())
}

/// `x` if the node is `relu6(x + 3)`.
fn inside_hard_gate(context: &Context, id: NodeId) -> Option<NodeId> {
    let node = &context.graph.nodes[id];
    let (Op::Activation(Activation::Relu6), &[inner]) = (&node.op, &node.inputs[..]) else {
        return None;
    };
    let (gamma, beta) = context.affine(inner)?;
    let plain = all_near(gamma, 1.0) && all_near(beta, 3.0);
    context.graph.nodes[inner]
        .inputs
        .first()
        .copied()
        .filter(|_| plain)
}

/// `c * x`; recognises `relu6(x + 3) / 6`, and takes back a scale that it undoes.
fn scale(context: &mut Context, node: &Node, x: &Act, c: &[f32]) -> Result<Value, ImportError> {
    if all_near(c, 1.0 / 6.0)
        && let Some(inner) = inside_hard_gate(context, x.node)
    {
        let of = Act {
            node: inner,
            ..x.clone()
        };
        return context.push_like(node, Op::Activation(Activation::HardSigmoid), &of);
    }
    if let Some((gamma, beta)) = context.affine(x.node)
        && beta.iter().all(|&b| b == 0.0)
        && gamma.iter().zip(c).all(|(g, c)| (g * c - 1.0).abs() < 1e-6)
        && let &[inner] = &context.graph.nodes[x.node].inputs[..]
    {
        return Ok(Value::Act(Act {
            node: inner,
            ..x.clone()
        }));
    }
    affine(context, node, x, |i| c[i], |_| 0.0).map(Value::Act)
}

/// `x * g` if `g` is a gate of the same `x`.
fn swish(
    context: &mut Context,
    node: &Node,
    x: &Act,
    g: &Act,
) -> Result<Option<Value>, ImportError> {
    if x.dims != g.dims || !x.same_order(g) {
        return Ok(None);
    }
    let gate = &context.graph.nodes[g.node];
    let function = match &gate.op {
        _ if inside_hard_gate(context, g.node) == Some(x.node) => {
            // Six times the function; the division by 6 that follows takes the factor back.
            let name = format!("{}/hardswish", node.name);
            let id = context.push(&name, Op::Activation(Activation::HardSwish), &[x.node])?;
            let sixth = Act {
                node: id,
                ..x.clone()
            };
            return affine(context, node, &sixth, |_| 6.0, |_| 0.0).map(|x| Some(Value::Act(x)));
        }
        _ if gate.inputs != [x.node] => return Ok(None),
        Op::Activation(Activation::Sigmoid) => Activation::Silu,
        Op::Activation(Activation::HardSigmoid) => Activation::HardSwish,
        _ => return Ok(None),
    };
    context
        .push_like(node, Op::Activation(function), x)
        .map(Some)
}
