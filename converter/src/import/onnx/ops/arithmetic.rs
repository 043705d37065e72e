//! Add, Sum, Sub and Neg: of two activations, of an activation and a constant per channel, or folded.
//! `product` shares the helpers.

use super::super::context::Context;
use super::super::node::Node;
use super::super::tensor::{Data, Tensor};
use super::super::value::{Act, Value};
use crate::graph::{Activation, Op};
use crate::import::ImportError;

/// Most channels that get a constant each. No network has as many; it bounds the memory for the constants.
const MAX_CHANNELS: u32 = 1 << 20;

/// Addition.
pub fn add(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, |context, node, operands| match operands {
        Operands::Acts(a, b) => add_acts(context, node, a, b),
        Operands::ActConst(x, c) | Operands::ConstAct(c, x) => {
            affine(context, node, x, |_| 1.0, |i| c[i]).map(Value::Act)
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
        Operands::ActConst(x, c) => affine(context, node, x, |_| 1.0, |i| -c[i]).map(Value::Act),
        Operands::ConstAct(c, x) => affine(context, node, x, |_| -1.0, |i| c[i]).map(Value::Act),
        Operands::Acts(a, b) => {
            let negative = affine(context, node, b, |_| -1.0, |_| 0.0)?;
            add_acts(context, node, a, &negative)
        }
    })
}

/// `-x`
pub fn neg(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    affine(context, node, node.act(0)?, |_| -1.0, |_| 0.0).map(Value::Act)
}

/// The inputs of a binary operator; at least one is an activation.
pub enum Operands<'a> {
    /// Two activations.
    Acts(&'a Act, &'a Act),
    /// An activation and a constant: one number per channel.
    ActConst(&'a Act, &'a [f32]),
    /// The same in reverse order.
    ConstAct(&'a [f32], &'a Act),
}

/// Sorts the operands. Calls `fold` if both are constants.
pub fn binary(
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

/// The constant, which broadcasts to `x`, as one number per channel of `x`.
pub fn per_channel(x: &Act, constant: &Tensor) -> Result<Vec<f32>, ImportError> {
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

/// `gamma(c) * x + beta(c)` for each channel `c`.
pub fn affine(
    context: &mut Context,
    node: &Node,
    x: &Act,
    gamma: impl Fn(usize) -> f32,
    beta: impl Fn(usize) -> f32,
) -> Result<Act, ImportError> {
    if x.shape.c > MAX_CHANNELS {
        return Err(ImportError::new(format!("{} channels", x.shape.c)));
    }
    let channels = x.shape.c as usize;
    // A batch norm takes four numbers per channel.
    context.charge(channels.checked_mul(4))?;
    context.push_affine(
        &node.name,
        (0..channels).map(gamma).collect(),
        (0..channels).map(beta).collect(),
        x,
    )
}

/// True if both have the same dimensions and order of elements.
pub fn alike(a: &Act, b: &Act) -> bool {
    a.dims == b.dims && a.shape == b.shape && a.same_order(b)
}

fn add_acts(context: &mut Context, node: &Node, a: &Act, b: &Act) -> Result<Value, ImportError> {
    if !alike(a, b) {
        return Err(ImportError::new("a sum of activations of different shapes")
            .hint("broadcasting of activations is not supported"));
    }
    let id = context.push(&node.name, Op::Add(Activation::None), &[a.node, b.node])?;
    Ok(Value::Act(Act {
        node: id,
        ..a.clone()
    }))
}

/// Folds two constants elementwise, with numpy's broadcasting.
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
