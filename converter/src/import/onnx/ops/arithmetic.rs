//! Add, Sum, Sub, Mul, Div: between activations, with a constant per channel, or folded.

use super::super::context::{Context, Node};
use super::super::tensor::{Data, Tensor};
use super::super::value::{Act, Value};
use crate::graph::{Activation, NodeId, Op};
use crate::import::ImportError;

/// More channels than any network has; bounds what a constant for each of them costs.
const MAX_CHANNELS: u32 = 1 << 20;

/// Addition.
pub fn add(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, |context, node, operands| match operands {
        Operands::Acts(a, b) => add_acts(context, node, a, b),
        Operands::ActConst(x, c) | Operands::ConstAct(c, x) => {
            affine(context, node, x, |_| 1.0, |i| c[i])
        }
    })
}

/// Addition of any number of inputs.
pub fn sum(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let mut total = node.input(0)?.clone();
    for i in 1..node.inputs.len() {
        let inputs = vec![Some(total), Some(node.input(i)?.clone())];
        total = add(
            context,
            &Node {
                name: node.name.clone(),
                attributes: node.attributes,
                inputs,
            },
        )?;
    }
    Ok(total)
}

/// Subtraction.
pub fn sub(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, |context, node, operands| match operands {
        Operands::ActConst(x, c) => affine(context, node, x, |_| 1.0, |i| -c[i]),
        Operands::ConstAct(c, x) => affine(context, node, x, |_| -1.0, |i| c[i]),
        Operands::Acts(..) => Err(no_product("a difference")),
    })
}

/// Multiplication; `x * sigmoid(x)` and its kin are activations.
pub fn mul(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, |context, node, operands| match operands {
        Operands::ActConst(x, c) | Operands::ConstAct(c, x) => scale(context, node, x, c),
        Operands::Acts(a, b) => match gate(context, node, a, b)? {
            Some(value) => Ok(value),
            None => gate(context, node, b, a)?.ok_or_else(|| no_product("a product")),
        },
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
        _ => Err(no_product("a division by an activation")),
    })
}

fn no_product(what: &str) -> ImportError {
    ImportError::new(format!("{what} of two activations is not supported")).hint(
        "squeeze-and-excite and attention are not supported; x*sigmoid(x) and x*hardsigmoid(x) are",
    )
}

enum Operands<'a> {
    Acts(&'a Act, &'a Act),
    /// The constant has one number per channel.
    ActConst(&'a Act, &'a [f32]),
    ConstAct(&'a [f32], &'a Act),
}

/// Sorts the operands, or folds if both are constants.
fn binary(
    context: &mut Context,
    node: &Node,
    act: impl Fn(&mut Context, &Node, Operands) -> Result<Value, ImportError>,
) -> Result<Value, ImportError> {
    if node.inputs.len() != 2 {
        return Err(
            ImportError::new(format!("{} inputs", node.inputs.len())).hint("the file is damaged")
        );
    }
    match (node.input(0)?, node.input(1)?) {
        (Value::Const(a), Value::Const(b)) => fold(context, node.op(), a, b).map(Value::Const),
        (Value::Act(_), Value::Const(c)) => {
            let x = node.act(0)?;
            let c = per_channel(x, c)?;
            act(context, node, Operands::ActConst(x, &c))
        }
        (Value::Const(c), Value::Act(_)) => {
            let x = node.act(1)?;
            let c = per_channel(x, c)?;
            act(context, node, Operands::ConstAct(&c, x))
        }
        (Value::Act(_), Value::Act(_)) => {
            act(context, node, Operands::Acts(node.act(0)?, node.act(1)?))
        }
    }
}

/// One number per channel of `x` from a constant that broadcasts to it.
fn per_channel(x: &Act, constant: &Tensor) -> Result<Vec<f32>, ImportError> {
    let values = constant.floats()?;
    let channels = x.shape.c.min(MAX_CHANNELS) as usize;
    let lead = x.dims.len().checked_sub(constant.dims.len());
    if let (Some(_), [single], true) = (lead, &values[..], x.shape.c <= MAX_CHANNELS) {
        return Ok(vec![*single; channels]);
    }
    let axis = x.channel_axis();
    let fits = |(i, &d): (usize, &usize)| {
        if Some(i + lead.unwrap_or(0)) == axis {
            d == channels
        } else {
            d == 1
        }
    };
    if lead.is_some() && values.len() == channels && constant.dims.iter().enumerate().all(fits) {
        return Ok(values.to_vec());
    }
    Err(
        ImportError::new("a constant that is neither one number nor one per channel")
            .hint("simplify the model first (onnxsim)"),
    )
}

fn affine(
    context: &mut Context,
    node: &Node,
    x: &Act,
    gamma: impl Fn(usize) -> f32,
    beta: impl Fn(usize) -> f32,
) -> Result<Value, ImportError> {
    let channels = x.shape.c as usize;
    context.push_affine(
        node,
        (0..channels).map(gamma).collect(),
        (0..channels).map(beta).collect(),
        x,
    )
}

fn add_acts(context: &mut Context, node: &Node, a: &Act, b: &Act) -> Result<Value, ImportError> {
    if a.dims != b.dims || a.shape != b.shape || (a.order != b.order && a.shape.h * a.shape.w > 1) {
        return Err(ImportError::new("a sum of activations of different shapes")
            .hint("broadcasting of activations is not supported"));
    }
    let id = context.push(&node.name, Op::Add(Activation::None), &[a.node, b.node])?;
    Ok(Value::Act(Act {
        node: id,
        ..a.clone()
    }))
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
    affine(context, node, x, |i| c[i], |_| 0.0)
}

/// `x * g` if `g` is a gate of the same `x`.
fn gate(
    context: &mut Context,
    node: &Node,
    x: &Act,
    g: &Act,
) -> Result<Option<Value>, ImportError> {
    if x.dims != g.dims || x.order != g.order {
        return Ok(None);
    }
    let gate = &context.graph.nodes[g.node];
    let function = match &gate.op {
        _ if inside_hard_gate(context, g.node) == Some(x.node) => {
            // Six times the function; the division by 6 that follows takes the factor back.
            let name = format!("{}/hardswish", node.name);
            let id = context.push(&name, Op::Activation(Activation::HardSwish), &[x.node])?;
            return affine(
                context,
                node,
                &Act {
                    node: id,
                    ..x.clone()
                },
                |_| 6.0,
                |_| 0.0,
            )
            .map(Some);
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

/// Both constant: element by element, broadcasting as numpy does.
fn fold(context: &mut Context, op: &str, a: &Tensor, b: &Tensor) -> Result<Tensor, ImportError> {
    let rank = a.dims.len().max(b.dims.len());
    let padded = |t: &Tensor| [vec![1; rank - t.dims.len()], t.dims.clone()].concat();
    let (da, db) = (padded(a), padded(b));
    let mut dims = vec![];
    for (&x, &y) in da.iter().zip(&db) {
        if x != y && x != 1 && y != 1 {
            return Err(
                ImportError::new("constants of dimensions that do not broadcast")
                    .hint("the file is damaged"),
            );
        }
        dims.push(if x == 1 { y } else { x });
    }
    let place = |own: &[usize], index: &[usize]| {
        own.iter()
            .zip(index)
            .fold(0, |at, (&d, &i)| at * d + if d == 1 { 0 } else { i })
    };
    match (&a.data, &b.data) {
        (Data::Int(x), Data::Int(y)) => {
            let mut overflow = false;
            let values = context.fold(&dims, |i| {
                let (x, y) = (x[place(&da, i)], y[place(&db, i)]);
                let result = match op {
                    "Sub" => x.checked_sub(y),
                    "Mul" => x.checked_mul(y),
                    "Div" => x.checked_div(y),
                    _ => x.checked_add(y),
                };
                overflow |= result.is_none();
                result.unwrap_or(0)
            })?;
            if overflow {
                return Err(ImportError::new(
                    "arithmetic on constants overflows or divides by zero",
                ));
            }
            Ok(Tensor::int(dims, values))
        }
        (Data::Float(x), Data::Float(y)) => {
            let values = context.fold(&dims, |i| {
                let (x, y) = (x[place(&da, i)], y[place(&db, i)]);
                match op {
                    "Sub" => x - y,
                    "Mul" => x * y,
                    "Div" => x / y,
                    _ => x + y,
                }
            })?;
            Ok(Tensor::float(dims, values))
        }
        _ => Err(
            ImportError::new("arithmetic on constants of different types")
                .hint("the file is damaged"),
        ),
    }
}
