//! QuantizeLinear and DequantizeLinear. On activations they set the graph's quantization; constants they
//! fold.

use super::super::context::Context;
use super::super::node::Node;
use super::super::pb::tensor_proto::DataType;
use super::super::quantized::{self, Coding};
use super::super::tensor::{Steps, Tensor};
use super::super::value::{Act, Value};
use super::normalize_axis;
use crate::import::ImportError;
use std::rc::Rc;

/// Quantizes to 8-bit codes.
pub fn quantize(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let kind = match node.attributes.int("output_dtype", 0) {
        0 => DataType::Uint8,
        k => i32::try_from(k)
            .ok()
            .and_then(|k| DataType::try_from(k).ok())
            .unwrap_or(DataType::Undefined),
    };
    if let Value::Const(t) = node.input(0)? {
        return fold(context, node, t, kind).map(Value::Const);
    }
    if !matches!(kind, DataType::Uint8 | DataType::Int8) {
        return Err(quantized::other_type(kind));
    }
    let coding = quantized::coding(node, 1, 2, kind == DataType::Uint8)?;
    let x = node.numbers(0)?;
    if x.softmax {
        // The codes stand for probabilities, and the graph ends before the softmax.
        return Ok(Value::Act(Act {
            coding: Some(coding),
            ..x.clone()
        }));
    }
    quantized::quantize(context, x, coding).map(Value::Act)
}

/// Dequantizes 8-bit codes.
pub fn dequantize(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    dequantized(context, node, [0, 1, 2])
}

/// Dequantizes an input. `at` holds the numbers of three inputs: the codes, their scale, their zero point.
pub fn dequantized(
    context: &mut Context,
    node: &Node,
    at: [usize; 3],
) -> Result<Value, ImportError> {
    let [x, scale, zero] = at;
    match node.input(x)? {
        Value::Const(t) => {
            let axis = node.attributes.int("axis", 1);
            unfold(context, node, t, [scale, zero], axis).map(Value::Const)
        }
        Value::Act(act) => {
            let unsigned = act.coding.is_some_and(|c| c.unsigned);
            let said: Coding = quantized::coding(node, scale, zero, unsigned)?;
            quantized::dequantize(context, act, said).map(Value::Act)
        }
    }
}

/// The scales of a constant of `dims`, and its zero points: none, one, or one per scale. Several scales run
/// along `axis`.
fn steps(
    node: &Node,
    dims: &[usize],
    [scale, zero]: [usize; 2],
    axis: i64,
) -> Result<(Steps, Vec<i64>), ImportError> {
    node.attributes
        .require("block_size", 0, "quantize per tensor or per channel")?;
    let scales = node.tensor(scale)?;
    let axis = match scales.data.len() {
        1 => 0,
        n => {
            let axis = normalize_axis(axis, dims.len())?;
            if scales.dims != [dims[axis]] {
                return Err(ImportError::new(format!(
                    "{n} scales for axis {axis} of {} elements",
                    dims[axis]
                ))
                .hint("the file is damaged"));
            }
            axis
        }
    };
    let scales = scales.floats()?.to_vec();
    if let Some(bad) = scales.iter().find(|s| **s <= 0.0) {
        return Err(ImportError::new(format!("a scale of {bad}")).hint("the file is damaged"));
    }
    let zeros = match node.optional_tensor(zero)? {
        None => vec![],
        Some(t) => t.ints()?.to_vec(),
    };
    if zeros.len() > 1 && zeros.len() != scales.len() {
        return Err(ImportError::new(format!(
            "{} zero points for {} scales",
            zeros.len(),
            scales.len()
        ))
        .hint("the file is damaged"));
    }
    Ok((Steps { axis, scales }, zeros))
}

/// Calls `f` with the scale and zero point of each of the `n` elements, in order.
fn each<T>(
    dims: &[usize],
    steps: &Steps,
    zeros: &[i64],
    n: usize,
    mut f: impl FnMut(usize, f32, i64) -> T,
) -> Vec<T> {
    let inner: usize = dims.iter().skip(steps.axis + 1).product();
    let pick = |i: usize, count: usize| if count == 1 { 0 } else { i / inner % count };
    let one = |i: usize| {
        let zero = match zeros {
            [] => 0,
            zeros => zeros[pick(i, zeros.len())],
        };
        f(i, steps.scales[pick(i, steps.scales.len())], zero)
    };
    (0..n).map(one).collect()
}

/// Dequantizes a constant with the scales and zero points in inputs `at`. Several scales run along `axis`.
pub fn unfold(
    context: &mut Context,
    node: &Node,
    t: &Tensor,
    at: [usize; 2],
    axis: i64,
) -> Result<Tensor, ImportError> {
    let codes = t.ints()?;
    let (steps, zeros) = steps(node, &t.dims, at, axis)?;
    context.charge(Some(codes.len()))?;
    let value = |i: usize, scale: f32, zero: i64| {
        // Codes and scales are exact in f64. So the product is rounded once, as it is in f32.
        (codes[i].saturating_sub(zero) as f64 * f64::from(scale)) as f32
    };
    let numbers = each(&t.dims, &steps, &zeros, codes.len(), value);
    let mut out = Tensor::float(t.dims.clone(), numbers);
    out.steps = Some(Rc::new(steps));
    Ok(out)
}

fn fold(
    context: &mut Context,
    node: &Node,
    t: &Tensor,
    default: DataType,
) -> Result<Tensor, ImportError> {
    let values = t.floats()?;
    let axis = node.attributes.int("axis", 1);
    let (steps, zeros) = steps(node, &t.dims, [1, 2], axis)?;
    let kind = node.optional_tensor(2)?.map_or(default, |z| z.kind);
    let (low, high) = match kind {
        DataType::Uint8 => (0.0, 255.0),
        DataType::Int8 => (-128.0, 127.0),
        DataType::Int32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        other => {
            return Err(
                ImportError::new(format!("weights quantized to {}", other.as_str_name()))
                    .hint("8-bit weights are supported"),
            );
        }
    };
    context.charge(Some(values.len()))?;
    let code = |i: usize, scale: f32, zero: i64| {
        let steps = f64::from(values[i] / scale).round_ties_even();
        (steps + zero as f64).clamp(low, high) as i64
    };
    let codes = each(&t.dims, &steps, &zeros, values.len(), code);
    let mut out = Tensor::int(t.dims.clone(), codes);
    out.kind = kind;
    Ok(out)
}
