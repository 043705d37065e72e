//! One handler per TensorFlow Lite operator, one file per family.

mod activation;
mod arithmetic;
mod conv;
mod convert;
mod join;
mod linear;
mod list;
mod norm;
mod part;
mod pool;
mod view;

use super::context::Context;
use super::node::Node;
use super::schema::BuiltinOperator as Code;
use super::value::Value;
use crate::import::ImportError;

/// Computes an operator's first result.
type Handler = for<'a> fn(&mut Context<'a>, &Node<'a>) -> Result<Value<'a>, ImportError>;

/// Fails if the operator is not supported.
pub fn check(code: Code) -> Result<(), ImportError> {
    match code {
        Code::SPLIT | Code::SPLIT_V => Ok(()),
        _ => handler(code).map(|_| ()),
    }
}

/// Computes the results of an operator.
pub fn run<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Vec<Value<'a>>, ImportError> {
    match node.code {
        Code::SPLIT => part::split(context, node),
        Code::SPLIT_V => part::split_v(context, node),
        _ => Ok(vec![handler(node.code)?(context, node)?]),
    }
}

fn handler(code: Code) -> Result<Handler, ImportError> {
    Ok(match code {
        Code::CONV_2D => conv::conv_2d,
        Code::DEPTHWISE_CONV_2D => conv::depthwise_conv_2d,
        Code::FULLY_CONNECTED => linear::fully_connected,
        Code::AVERAGE_POOL_2D => pool::average_pool_2d,
        Code::MAX_POOL_2D => pool::max_pool_2d,
        Code::MEAN => pool::mean,
        Code::REDUCE_MAX => pool::reduce_max,
        Code::ADD => arithmetic::add,
        Code::SUB => arithmetic::sub,
        Code::NEG => arithmetic::neg,
        Code::MUL => arithmetic::mul,
        Code::DIV => arithmetic::div,
        Code::RELU
        | Code::RELU6
        | Code::RELU_N1_TO_1
        | Code::RELU_0_TO_1
        | Code::LEAKY_RELU
        | Code::LOGISTIC
        | Code::TANH
        | Code::HARD_SWISH => activation::function,
        Code::MINIMUM | Code::MAXIMUM => activation::bound,
        Code::PRELU => activation::prelu,
        Code::SOFTMAX | Code::LOG_SOFTMAX => activation::softmax,
        Code::LOCAL_RESPONSE_NORMALIZATION => norm::local_response,
        Code::CONCATENATION => join::concatenation,
        Code::PAD | Code::PADV2 => part::pad,
        Code::SLICE => part::slice,
        Code::STRIDED_SLICE => part::strided_slice,
        Code::RESHAPE => view::reshape,
        Code::SQUEEZE => view::squeeze,
        Code::EXPAND_DIMS => view::expand_dims,
        Code::TRANSPOSE => view::transpose,
        Code::SHAPE => list::shape,
        Code::PACK => list::pack,
        Code::CAST => list::cast,
        Code::QUANTIZE => convert::quantize,
        Code::DEQUANTIZE => convert::dequantize,
        _ => return Err(unsupported(code)),
    })
}

fn unsupported(code: Code) -> ImportError {
    let hint = match code {
        Code::CUSTOM => {
            "it is a custom operator, which only its author's runtime knows; convert the model with built-in operators only"
        }
        Code::IF | Code::WHILE | Code::CALL => "convert the model for fixed input sizes",
        Code::LSTM | Code::UNIDIRECTIONAL_SEQUENCE_LSTM | Code::RNN | Code::BATCH_MATMUL => {
            "only convolutional networks are supported"
        }
        Code::TRANSPOSE_CONV | Code::RESIZE_BILINEAR | Code::RESIZE_NEAREST_NEIGHBOR => {
            "networks for classification are supported, without layers that enlarge maps"
        }
        Code::SPACE_TO_BATCH_ND | Code::BATCH_TO_SPACE_ND => {
            "it comes from a dilated convolution and an open batch; convert the model with a fixed batch of 1, which leaves the convolution whole"
        }
        _ => "replace the operator and convert the model again",
    };
    ImportError::new("the operator is not supported").hint(hint)
}
