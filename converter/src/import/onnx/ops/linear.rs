//! Gemm and MatMul: fully connected layers. In the graph they are convolutions over the whole map.

use super::super::context::Context;
use super::super::node::Node;
use super::super::quantized;
use super::super::tensor::Tensor;
use super::super::value::{Act, Order, Value};
use crate::graph::{Activation, ConvWeights, Op, Window};
use crate::import::ImportError;
use std::rc::Rc;

/// `alpha * A * B + beta * C` with a constant B and C.
pub fn gemm(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let attributes = node.attributes;
    attributes.require(
        "transA",
        0,
        "a fully connected layer takes one row of features",
    )?;
    let x = node.act(0)?;
    let b = node.tensor(1)?;
    let (alpha, beta) = (
        attributes.float("alpha", 1.0)?,
        attributes.float("beta", 1.0)?,
    );
    let transposed = attributes.flag("transB");
    let outputs = if transposed {
        b.dims.first()
    } else {
        b.dims.get(1)
    }
    .copied()
    .unwrap_or(0);
    let bias = match node.optional_tensor(2)? {
        None => vec![0.0; context.charge(Some(outputs))?],
        Some(c) => {
            let values = c.floats()?;
            let wide = c.dims.last().is_some_and(|&d| d == outputs) && values.len() == outputs;
            match values[..] {
                [single] if !wide => vec![beta * single; context.charge(Some(outputs))?],
                _ if wide => values.iter().map(|v| beta * v).collect(),
                _ => {
                    return Err(ImportError::new(format!(
                        "{} biases for {outputs} outputs",
                        values.len()
                    ))
                    .hint("the file is damaged"));
                }
            }
        }
    };
    let [rows, _] = x.dims[..] else {
        return Err(ImportError::new("the input is not a row of features")
            .hint("put a Flatten before the Gemm"));
    };
    let dims = vec![rows, outputs];
    let weights = Matrix {
        values: b.floats()?,
        tensor: b,
        transposed,
        alpha,
    };
    dense(context, node, x, &weights, bias, dims)
}

/// `A * B` with a constant B.
pub fn matmul(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.act(0)?;
    let b = node.tensor(1)?;
    let outputs = b.dims.get(1).copied().unwrap_or(0);
    let bias = vec![0.0; context.charge(Some(outputs))?];
    let mut dims = x.dims.clone();
    if let Some(last) = dims.last_mut() {
        *last = outputs;
    }
    let weights = Matrix {
        values: b.floats()?,
        tensor: b,
        transposed: false,
        alpha: 1.0,
    };
    dense(context, node, x, &weights, bias, dims)
}

struct Matrix<'a> {
    tensor: &'a Tensor,
    values: Rc<Vec<f32>>,
    /// False: `[inputs, outputs]`; true: `[outputs, inputs]`.
    transposed: bool,
    alpha: f32,
}

fn dense(
    context: &mut Context,
    node: &Node,
    x: &Act,
    matrix: &Matrix,
    bias: Vec<f32>,
    dims: Vec<usize>,
) -> Result<Value, ImportError> {
    let (h, w, c) = (x.shape.h as usize, x.shape.w as usize, x.shape.c as usize);
    let inputs = h * w * c;
    let outputs = bias.len();
    let expected = if matrix.transposed {
        [outputs, inputs]
    } else {
        [inputs, outputs]
    };
    if x.dims.last() != Some(&inputs) || matrix.tensor.dims != expected || outputs == 0 {
        return Err(ImportError::new(format!(
            "a fully connected layer of {inputs} features needs one row of them, and a matrix of {inputs} by some outputs"
        ))
        .hint("put a Flatten before it; products of other matrices are not supported"));
    }
    let mut weights = Vec::with_capacity(matrix.values.len());
    for o in 0..outputs {
        for place in 0..h * w {
            for channel in 0..c {
                let k = if x.is_order(Order::Chw) {
                    channel * h * w + place
                } else {
                    place * c + channel
                };
                let at = if matrix.transposed {
                    o * inputs + k
                } else {
                    k * outputs + o
                };
                weights.push(matrix.alpha * matrix.values[at]);
            }
        }
    }
    let window = Window {
        kernel: [x.shape.h, x.shape.w],
        ..Window::POINT
    };
    let axis = usize::from(!matrix.transposed);
    let weight_scales =
        quantized::weight_scales(context, matrix.tensor, axis, matrix.alpha, &weights);
    let conv = ConvWeights {
        window,
        groups: 1,
        out_channels: outputs,
        weights,
        bias,
        activation: Activation::None,
        statistics: None,
        weight_scales,
    };
    let id = context.push(&node.name, Op::Conv(conv), &[x.node])?;
    Ok(Value::Act(Act {
        node: id,
        shape: context.graph.nodes[id].shape,
        order: Order::Chw,
        dims,
        softmax: false,
        coding: None,
    }))
}
