//! ADD, SUB, MUL and DIV of two activations, or of an activation and a constant per channel.

use super::super::context::Context;
use super::super::node::Node;
use super::super::schema::ActivationFunctionType;
use super::super::stored::Stored;
use super::super::value::{Act, Value};
use crate::graph::{Activation, NodeId, Op};
use crate::import::ImportError;

type Fused = ActivationFunctionType;

enum Operands<'n> {
    Acts(&'n Act, &'n Act),
    /// The constant has one number per channel.
    ActConst(&'n Act, Vec<f32>),
    ConstAct(Vec<f32>, &'n Act),
}

/// Sorts the operands.
fn operands<'n>(context: &mut Context, node: &'n Node) -> Result<Operands<'n>, ImportError> {
    Ok(match (&node.input(0)?.value, &node.input(1)?.value) {
        (Value::Act(_), Value::Stored(c)) => {
            let x = node.act(0)?;
            Operands::ActConst(x, per_channel(context, x, c)?)
        }
        (Value::Stored(c), Value::Act(_)) => {
            let x = node.act(1)?;
            Operands::ConstAct(per_channel(context, x, c)?, x)
        }
        _ => Operands::Acts(node.act(0)?, node.act(1)?),
    })
}

/// The constant, which broadcasts to `x`, as one number per channel of `x`.
pub fn per_channel(
    context: &mut Context,
    x: &Act,
    constant: &Stored,
) -> Result<Vec<f32>, ImportError> {
    let channels = x.shape.c as usize;
    let outer = constant.dims.iter().rev().skip(1).all(|&d| d == 1);
    let fits = constant.dims.len() <= x.dims.len() && outer && x.has_channels_last();
    if constant.len() != 1 && !(constant.len() == channels && fits) {
        return Err(
            ImportError::new("a constant that is neither one number nor one per channel")
                .hint("replace the operator and convert the model again"),
        );
    }
    context.charge(channels)?;
    match constant.reals()?[..] {
        [one] => Ok(vec![one; channels]),
        ref all => Ok(all.to_vec()),
    }
}

/// Addition.
pub fn add<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let fused = node
        .table
        .builtin_options_as_add_options()
        .map_or(Fused::NONE, |o| o.fused_activation_function());
    match operands(context, node)? {
        Operands::ActConst(x, c) | Operands::ConstAct(c, x) => {
            context.push_affine(node, vec![1.0; c.len()], c, x, fused)
        }
        Operands::Acts(a, b) => {
            if a.dims != b.dims || a.shape != b.shape {
                return Err(ImportError::new("a sum of activations of different shapes")
                    .hint("broadcasting of activations is not supported"));
            }
            let op = Op::Add(Activation::None);
            context.push_like(node, op, &[a.node, b.node], a, fused)
        }
    }
}

/// Subtraction of a constant, or from a constant.
pub fn sub<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let fused = node
        .table
        .builtin_options_as_sub_options()
        .map_or(Fused::NONE, |o| o.fused_activation_function());
    match operands(context, node)? {
        Operands::ActConst(x, c) => {
            let beta = c.iter().map(|v| -v).collect();
            context.push_affine(node, vec![1.0; c.len()], beta, x, fused)
        }
        Operands::ConstAct(c, x) => context.push_affine(node, vec![-1.0; c.len()], c, x, fused),
        Operands::Acts(..) => Err(ImportError::new(
            "a difference of two activations is not supported",
        )
        .hint("sums of activations are")),
    }
}

/// `-x` of floats. Converters leave it in the PReLU of a quantized network.
pub fn neg<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let x = node.act(0)?;
    if node.quant.is_some() {
        return Err(ImportError::new("negates 8-bit integers")
            .hint("only floats can be negated; convert the model again"));
    }
    let channels = context.charge(x.shape.c as usize)?;
    let (gamma, beta) = (vec![-1.0; channels], vec![0.0; channels]);
    context.push_affine(node, gamma, beta, x, Fused::NONE)
}

/// Multiplication. In float, `x * sigmoid(x)` becomes one activation function.
pub fn mul<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let fused = node
        .table
        .builtin_options_as_mul_options()
        .map_or(Fused::NONE, |o| o.fused_activation_function());
    match operands(context, node)? {
        Operands::ActConst(x, c) | Operands::ConstAct(c, x) => {
            let beta = vec![0.0; c.len()];
            context.push_affine(node, c, beta, x, fused)
        }
        Operands::Acts(a, b) => {
            let silu = |x: &Act, gate: &Act| {
                let gate = &context.graph.nodes[gate.node];
                node.quant.is_none()
                    && gate.inputs == [x.node]
                    && gate.op == Op::Activation(Activation::Sigmoid)
            };
            if a.dims == b.dims && a.shape == b.shape {
                let (op, inputs): (Op, Vec<NodeId>) = if silu(a, b) {
                    (Op::Activation(Activation::Silu), vec![a.node])
                } else if silu(b, a) {
                    (Op::Activation(Activation::Silu), vec![b.node])
                } else {
                    (Op::Mul, vec![a.node, b.node])
                };
                return context.push_like(node, op, &inputs, a, fused);
            }
            let (map, gate) = if gates(b, a) { (a, b) } else { (b, a) };
            if !gates(gate, map) {
                return Err(
                    ImportError::new("a product of activations of different shapes")
                        .hint("activations of one shape, or a map and one number per channel, can be multiplied"),
                );
            }
            context.push_like(node, Op::Mul, &[map.node, gate.node], map, fused)
        }
    }
}

/// True if `gate` has one number per channel of `map`.
fn gates(gate: &Act, map: &Act) -> bool {
    (gate.shape.h, gate.shape.w, gate.shape.c) == (1, 1, map.shape.c)
        && gate.has_channels_last()
        && map.has_channels_last()
        && gate.dims.len() <= map.dims.len()
}

/// Division by a constant.
pub fn div<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let fused = node
        .table
        .builtin_options_as_div_options()
        .map_or(Fused::NONE, |o| o.fused_activation_function());
    match operands(context, node)? {
        Operands::ActConst(x, c) => {
            let gamma: Vec<f32> = c.iter().map(|v| 1.0 / v).collect();
            if !gamma.iter().all(|g| g.is_finite()) {
                return Err(ImportError::new("a division by zero"));
            }
            context.push_affine(node, gamma, vec![0.0; c.len()], x, fused)
        }
        _ => Err(
            ImportError::new("a division by an activation is not supported")
                .hint("divisions by constants are"),
        ),
    }
}
