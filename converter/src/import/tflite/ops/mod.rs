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

use super::context::{Context, Node};
use super::schema::BuiltinOperator as Code;
use super::value::Value;
use crate::import::ImportError;

/// The results of an operator.
pub fn run<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Vec<Value<'a>>, ImportError> {
    match node.code {
        Code::SPLIT => part::split(context, node),
        Code::SPLIT_V => part::split_v(context, node),
        _ => Ok(vec![first(context, node)?]),
    }
}

/// The first result.
fn first<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    match node.code {
        Code::CONV_2D => conv::conv_2d(context, node),
        Code::DEPTHWISE_CONV_2D => conv::depthwise_conv_2d(context, node),
        Code::FULLY_CONNECTED => linear::fully_connected(context, node),
        Code::AVERAGE_POOL_2D => pool::average_pool_2d(context, node),
        Code::MAX_POOL_2D => pool::max_pool_2d(context, node),
        Code::MEAN => pool::mean(context, node),
        Code::REDUCE_MAX => pool::reduce_max(context, node),
        Code::ADD => arithmetic::add(context, node),
        Code::SUB => arithmetic::sub(context, node),
        Code::MUL => arithmetic::mul(context, node),
        Code::DIV => arithmetic::div(context, node),
        Code::RELU
        | Code::RELU6
        | Code::RELU_N1_TO_1
        | Code::RELU_0_TO_1
        | Code::LEAKY_RELU
        | Code::LOGISTIC
        | Code::TANH
        | Code::HARD_SWISH => activation::function(context, node),
        Code::MINIMUM | Code::MAXIMUM => activation::bound(context, node),
        Code::PRELU => activation::prelu(context, node),
        Code::SOFTMAX | Code::LOG_SOFTMAX => activation::softmax(context, node),
        Code::LOCAL_RESPONSE_NORMALIZATION => norm::local_response(context, node),
        Code::CONCATENATION => join::concatenation(context, node),
        Code::PAD | Code::PADV2 => part::pad(context, node),
        Code::SLICE => part::slice(context, node),
        Code::STRIDED_SLICE => part::strided_slice(context, node),
        Code::RESHAPE => view::reshape(context, node),
        Code::SQUEEZE => view::squeeze(context, node),
        Code::EXPAND_DIMS => view::expand_dims(context, node),
        Code::TRANSPOSE => view::transpose(context, node),
        Code::SHAPE => list::shape(context, node),
        Code::PACK => list::pack(context, node),
        Code::CAST => list::cast(context, node),
        Code::QUANTIZE => convert::quantize(context, node),
        Code::DEQUANTIZE => convert::dequantize(context, node),
        _ => Err(unsupported(node.code)),
    }
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
        _ => "replace the operator and convert the model again",
    };
    ImportError::new("the operator is not supported").hint(hint)
}
