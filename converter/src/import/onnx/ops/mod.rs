//! One handler per ONNX operator, one file per family.

mod activation;
mod arithmetic;
mod constant;
mod conv;
mod join;
mod linear;
mod norm;
mod part;
mod pool;
mod view;

use super::context::{Context, Node};
use super::value::Value;
use crate::import::ImportError;
use crate::import::dims::normalize_axis;

/// Gives a node's first output.
pub type Handler = fn(&mut Context, &Node) -> Result<Value, ImportError>;

/// The handler of an operator of the standard domain.
pub fn handler(op: &str) -> Handler {
    match op {
        "Conv" => conv::conv,
        "Gemm" => linear::gemm,
        "MatMul" => linear::matmul,
        "BatchNormalization" => norm::batch_norm,
        "Relu" => activation::relu,
        "Clip" => activation::clip,
        "LeakyRelu" => activation::leaky_relu,
        "Sigmoid" => activation::sigmoid,
        "HardSigmoid" => activation::hard_sigmoid,
        "HardSwish" => activation::hard_swish,
        "Tanh" => activation::tanh,
        "Softmax" | "LogSoftmax" => activation::softmax,
        "MaxPool" => pool::max,
        "AveragePool" => pool::average,
        "GlobalMaxPool" => pool::global_max,
        "GlobalAveragePool" => pool::global_average,
        "ReduceMean" => pool::reduce_mean,
        "Add" => arithmetic::add,
        "Sum" => arithmetic::sum,
        "Sub" => arithmetic::sub,
        "Mul" => arithmetic::mul,
        "Div" => arithmetic::div,
        "Concat" => join::concat,
        "Slice" => part::slice,
        "Pad" => part::pad,
        "Flatten" => view::flatten,
        "Reshape" => view::reshape,
        "Squeeze" => view::squeeze,
        "Unsqueeze" => view::unsqueeze,
        "Transpose" => view::transpose,
        "Identity" | "Dropout" => view::identity,
        "Cast" => view::cast,
        "Constant" => constant::constant,
        "ConstantOfShape" => constant::constant_of_shape,
        "Shape" => constant::shape,
        "Gather" => constant::gather,
        _ => unsupported,
    }
}

fn unsupported(_: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let hint = match node.op() {
        "LRN" => {
            "retrain with batch normalization, or use a model without local response normalization"
        }
        "QuantizeLinear"
        | "DequantizeLinear"
        | "QLinearConv"
        | "ConvInteger"
        | "DynamicQuantizeLinear" => "import the float model; graft quantizes it itself",
        "If" | "Loop" | "Scan" => {
            "export the model for fixed input sizes, or simplify it first (onnxsim)"
        }
        "LSTM" | "GRU" | "RNN" | "Einsum" | "LayerNormalization" => {
            "only convolutional networks are supported"
        }
        _ => "simplify the model first (onnxsim), or replace the operator and export again",
    };
    Err(ImportError::new("the operator is not supported").hint(hint))
}
