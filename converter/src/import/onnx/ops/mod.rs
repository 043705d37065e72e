//! One handler per ONNX operator, one file per family.

mod activation;
mod arithmetic;
mod clip;
mod constant;
mod conv;
mod join;
mod linear;
mod norm;
mod part;
mod pool;
mod product;
mod qlinear;
mod quantize;
mod split;
mod transpose;
mod view;

use super::context::Context;
use super::node::Node;
use super::value::Value;
use crate::import::ImportError;
use crate::import::dims::normalize_axis;

/// Computes a node's first output, the only one that is supported.
pub type Handler = fn(&mut Context, &Node) -> Result<Value, ImportError>;

/// The values of a node's outputs, in order. Unsupported outputs at the end are left out.
pub fn run(context: &mut Context, op: &str, node: &Node) -> Result<Vec<Value>, ImportError> {
    match op {
        "Split" => split::split(context, node),
        _ => handler(op)(context, node).map(|value| vec![value]),
    }
}

/// The handler of an operator with one output. `op` starts with the domain if that is not the standard one.
fn handler(op: &str) -> Handler {
    match op {
        "Conv" => conv::conv,
        "Gemm" => linear::gemm,
        "MatMul" => linear::matmul,
        "BatchNormalization" => norm::batch_norm,
        "LRN" => norm::local_response_norm,
        "Relu" => clip::relu,
        "Clip" => clip::clip,
        "Min" => clip::min,
        "Max" => clip::max,
        "PRelu" => activation::prelu,
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
        "ReduceMax" => pool::reduce_max,
        "Add" => arithmetic::add,
        "Sum" => arithmetic::sum,
        "Sub" => arithmetic::sub,
        "Neg" => arithmetic::neg,
        "Mul" => product::mul,
        "Div" => product::div,
        "Concat" => join::concat,
        "Slice" => part::slice,
        "Pad" => part::pad,
        "Flatten" => view::flatten,
        "Reshape" => view::reshape,
        "Squeeze" => view::squeeze,
        "Unsqueeze" => view::unsqueeze,
        "Transpose" => transpose::transpose,
        "Identity" | "Dropout" => view::identity,
        "Cast" => view::cast,
        "Constant" => constant::constant,
        "ConstantOfShape" => constant::constant_of_shape,
        "Shape" => constant::shape,
        "Gather" => constant::gather,
        "QuantizeLinear" | "com.microsoft.QuantizeLinear" => quantize::quantize,
        "DequantizeLinear" | "com.microsoft.DequantizeLinear" => quantize::dequantize,
        "QLinearConv" => qlinear::conv,
        "QLinearMatMul" => qlinear::matmul,
        "com.microsoft.QGemm" => qlinear::gemm,
        "com.microsoft.QLinearAdd" => qlinear::add,
        "com.microsoft.QLinearMul" => qlinear::mul,
        "com.microsoft.QLinearConcat" => qlinear::concat,
        "com.microsoft.QLinearAveragePool" => qlinear::average,
        "com.microsoft.QLinearGlobalAveragePool" => qlinear::global_average,
        "com.microsoft.QLinearReduceMean" => qlinear::reduce_mean,
        "com.microsoft.QLinearSigmoid" => qlinear::sigmoid,
        "com.microsoft.QLinearLeakyRelu" => qlinear::leaky_relu,
        "com.microsoft.QLinearSoftmax" => qlinear::softmax,
        _ => unsupported,
    }
}

fn unsupported(_: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let hint = match node.op() {
        "ConvInteger" | "MatMulInteger" | "DynamicQuantizeLinear" => {
            "quantize statically (onnxruntime's quantize_static), or import the float model"
        }
        "Elu" | "Selu" | "Celu" | "Gelu" | "Mish" | "Softplus" | "Exp" | "Erf" => {
            "retrain with ReLU, LeakyReLU, PReLU, SiLU or hard-swish"
        }
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
