//! Mul and Div: by a constant, gates of squeeze-and-excitation, and the forms in which exporters write swish.

use super::super::context::Context;
use super::super::node::Node;
use super::super::value::{Act, Value};
use super::arithmetic::{Operands, affine, alike, binary};
use super::clip;
use crate::graph::bounds::both_clamps;
use crate::graph::{Activation, NodeId, Op};
use crate::import::ImportError;

/// Multiplication. `x * sigmoid(x)` and `x * hard_sigmoid(x)` become activation functions; other products of
/// two activations are an operator of the graph.
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

/// Multiplies two activations of one shape, or a map and a gate of one number per channel.
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

/// True if all `values` are `wanted`, up to rounding.
fn all_near(values: &[f32], wanted: f32) -> bool {
    values
        .iter()
        .all(|v| (v - wanted).abs() <= 1e-5 * wanted.abs())
}

/// Combines the clamp `id` with the clamps before it. Returns the clamp and the node that it reads.
fn clamps(context: &Context, mut id: NodeId) -> (Activation, NodeId) {
    let mut all = Activation::None;
    while let (Op::Activation(function), &[source]) = (
        &context.graph.nodes[id].op,
        &context.graph.nodes[id].inputs[..],
    ) && let Some(both) = both_clamps(*function, all)
    {
        (all, id) = (both, source);
    }
    (all, id)
}

/// Two functions of a gate count as equal if they differ by less than this many steps of the gate's codes.
/// The ranges that a quantizer measures before and after a function do not match exactly.
const STEPS: f32 = 2.0;

/// True if the clamp `clamp` of node `id` and the clamp `wanted` give the same for all values of `source`,
/// within the precision of the codes of `id`.
fn acts_as(
    context: &mut Context,
    id: NodeId,
    source: NodeId,
    clamp: Activation,
    wanted: Activation,
) -> bool {
    let tolerance = context.graph.nodes[id]
        .quant
        .map_or(0.0, |q| STEPS * q.scale);
    let values = context.interval(source);
    values
        .through(clamp)
        .is_near(values.through(wanted), tolerance)
}

/// `x` if the node is `relu6(x + 3)`.
fn inside_hard_gate(context: &mut Context, id: NodeId) -> Option<NodeId> {
    let (clamp, inner) = clamps(context, id);
    let (gamma, beta) = context.affine(inner)?;
    let plain = all_near(gamma, 1.0) && all_near(beta, 3.0);
    let x = *context.graph.nodes[inner].inputs.first()?;
    (plain && acts_as(context, id, inner, clamp, Activation::Relu6)).then_some(x)
}

/// If `id` only quantizes another node: that node.
fn without_codes(context: &mut Context, id: NodeId) -> NodeId {
    let (clamp, inner) = clamps(context, id);
    let same = acts_as(context, id, inner, clamp, Activation::None);
    if same { inner } else { id }
}

/// `c * x`. Recognizes `relu6(x + 3) / 6`, and cancels an earlier scale that it undoes.
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
    if let Some(value) = unscaled(context, node, x, c)? {
        return Ok(value);
    }
    affine(context, node, x, |i| c[i], |_| 0.0).map(Value::Act)
}

/// `c * x` if `x` is a scaled value, perhaps clamped, and `c` undoes the scale.
fn unscaled(
    context: &mut Context,
    node: &Node,
    x: &Act,
    c: &[f32],
) -> Result<Option<Value>, ImportError> {
    let (clamp, inner) = clamps(context, x.node);
    let Some((gamma, beta)) = context.affine(inner) else {
        return Ok(None);
    };
    let undoes = beta.iter().all(|&b| b == 0.0)
        && gamma.iter().zip(c).all(|(g, c)| (g * c - 1.0).abs() < 1e-6);
    let &[source] = &context.graph.nodes[inner].inputs[..] else {
        return Ok(None);
    };
    let of = Act {
        node: source,
        ..x.clone()
    };
    match (clamp.clamp_bounds(), c) {
        _ if !undoes => Ok(None),
        _ if clamp == Activation::None => Ok(Some(Value::Act(of))),
        (Some((low, high)), &[by, ref others @ ..])
            if by > 0.0 && others.iter().all(|c| *c == by) =>
        {
            clip::clamp(context, node, &of, low * by, high * by).map(Some)
        }
        _ => Ok(None),
    }
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
    let is_hard = inside_hard_gate(context, g.node) == Some(x.node);
    let gate = without_codes(context, g.node);
    let gate = &context.graph.nodes[gate];
    let function = match &gate.op {
        _ if is_hard => {
            // This is six times hard-swish; the division by 6 that follows cancels the factor.
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
