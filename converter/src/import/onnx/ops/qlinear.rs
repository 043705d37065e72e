//! Operators on 8-bit codes: QLinearConv and others, of the standard and of onnxruntime (domain
//! com.microsoft). Each is imported as its float operator between a DequantizeLinear and a QuantizeLinear.

use super::super::context::Context;
use super::super::node::Node;
use super::super::quantized::{self, coding};
use super::super::tensor::Tensor;
use super::super::value::{Act, Value};
use super::quantize::{dequantized, unfold};
use super::{Handler, activation, arithmetic, conv, join, linear, pool, product};
use crate::import::ImportError;

/// Runs the float operator on `inputs`, and quantizes the result with the scale and zero point in inputs
/// `at`.
fn between(
    context: &mut Context,
    node: &Node,
    inputs: Vec<Option<Value>>,
    at: [usize; 2],
    float: Handler,
) -> Result<Value, ImportError> {
    if !inputs.iter().any(|v| matches!(v, Some(Value::Act(_)))) {
        return Err(
            ImportError::new("all inputs are constants").hint("simplify the model first (onnxsim)")
        );
    }
    let unsigned = node.inputs.iter().flatten().any(|v| match v {
        Value::Act(a) => a.coding.is_some_and(|c| c.unsigned),
        Value::Const(_) => false,
    });
    let inner = Node {
        name: node.name.clone(),
        attributes: node.attributes,
        inputs,
    };
    let value = float(context, &inner)?;
    if node.optional(at[0]).is_none() {
        return Ok(value);
    }
    let coding = coding(node, at[0], at[1], unsigned)?;
    match value {
        Value::Act(act) if act.softmax => Ok(Value::Act(Act {
            coding: Some(coding),
            ..act
        })),
        Value::Act(act) => quantized::quantize(context, &act, coding).map(Value::Act),
        Value::Const(_) => Err(ImportError::new("the result is a constant")),
    }
}

/// An operator with the inputs `x, scale, zero`, then `scale, zero` of the result.
fn unary(context: &mut Context, node: &Node, float: Handler) -> Result<Value, ImportError> {
    let channels_last = "export the model in NCHW";
    node.attributes.require("channels_last", 0, channels_last)?;
    let x = dequantized(context, node, [0, 1, 2])?;
    between(context, node, vec![Some(x)], [3, 4], float)
}

/// An operator with the inputs `a, scale, zero, b, scale, zero`, then `scale, zero` of the result.
fn binary(context: &mut Context, node: &Node, float: Handler) -> Result<Value, ImportError> {
    let a = dequantized(context, node, [0, 1, 2])?;
    let b = dequantized(context, node, [3, 4, 5])?;
    between(context, node, vec![Some(a), Some(b)], [6, 7], float)
}

/// QLinearAdd.
pub fn add(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, arithmetic::add)
}

/// QLinearMul.
pub fn mul(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, product::mul)
}

/// QLinearMatMul. B may have a scale per column.
pub fn matmul(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    binary(context, node, linear::matmul)
}

/// QLinearGlobalAveragePool.
pub fn global_average(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    unary(context, node, pool::global_average)
}

/// QLinearAveragePool.
pub fn average(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    unary(context, node, pool::average)
}

/// QLinearReduceMean.
pub fn reduce_mean(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    unary(context, node, pool::reduce_mean)
}

/// QLinearSigmoid.
pub fn sigmoid(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    unary(context, node, activation::sigmoid)
}

/// QLinearLeakyRelu.
pub fn leaky_relu(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    unary(context, node, activation::leaky_relu)
}

/// QLinearSoftmax.
pub fn softmax(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    unary(context, node, activation::softmax)
}

/// QLinearConcat. Its inputs are `scale, zero` of the result, then `x, scale, zero` of each part.
pub fn concat(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let inputs = (2..node.inputs.len())
        .step_by(3)
        .map(|i| dequantized(context, node, [i, i + 1, i + 2]).map(Some))
        .collect::<Result<_, _>>()?;
    between(context, node, inputs, [0, 1], join::concat)
}

/// QLinearConv. Its inputs are those of a binary operator, then the bias.
pub fn conv(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = dequantized(context, node, [0, 1, 2])?;
    let w = weights(context, node)?;
    let bias = bias(context, node, 8, &w)?;
    let inputs = vec![Some(x), Some(Value::Const(w)), bias];
    between(context, node, inputs, [6, 7], conv::conv)
}

/// QGemm. Its inputs are those of a binary operator, with the bias before `scale, zero` of the result.
pub fn gemm(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = dequantized(context, node, [0, 1, 2])?;
    let w = weights(context, node)?;
    let bias = bias(context, node, 6, &w)?;
    let inputs = vec![Some(x), Some(Value::Const(w)), bias];
    between(context, node, inputs, [7, 8], linear::gemm)
}

/// The weights in inputs 3 to 5, dequantized. Scales run along the first dimension of a convolution's
/// weights, and along the outputs of a matrix.
fn weights(context: &mut Context, node: &Node) -> Result<Tensor, ImportError> {
    let codes = node.tensor(3)?;
    let axis = match codes.dims.len() {
        2 if !node.attributes.flag("transB") => 1,
        _ => 0,
    };
    unfold(context, node, codes, [4, 5], axis)
}

/// The bias in input `i`, dequantized. Its scale is that of the input times that of the weights.
fn bias(
    context: &mut Context,
    node: &Node,
    i: usize,
    weights: &Tensor,
) -> Result<Option<Value>, ImportError> {
    let Some(codes) = node.optional_tensor(i)? else {
        return Ok(None);
    };
    let factor = node.attributes.float("alpha", 1.0)?;
    let input = f64::from(node.tensor(1)?.scalar().unwrap_or(f32::NAN)) * f64::from(factor);
    let steps = weights.steps.as_ref().map_or(&[][..], |s| &s.scales[..]);
    let codes_of = codes.ints()?;
    let outputs = codes_of.len();
    if steps.len() != 1 && steps.len() != outputs {
        return Err(
            ImportError::new(format!("{outputs} biases for {} scales", steps.len()))
                .hint("the file is damaged"),
        );
    }
    context.charge(Some(outputs))?;
    let number = |(o, code): (usize, &i64)| {
        let step = steps[if steps.len() == 1 { 0 } else { o }];
        (*code as f64 * input * f64::from(step)) as f32
    };
    let numbers = codes_of.iter().enumerate().map(number).collect();
    Ok(Some(Value::Const(Tensor::float(
        codes.dims.clone(),
        numbers,
    ))))
}
