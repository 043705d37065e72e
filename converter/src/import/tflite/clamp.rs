//! The activation that is fused into an operator, or that its quantization implies.

use super::schema::ActivationFunctionType;
use crate::graph::{Activation, Op, Quant};
use crate::import::ImportError;

/// The activation after `op`, whose result has quantization `quant`.
pub fn after(
    op: &Op,
    fused: ActivationFunctionType,
    quant: Option<Quant>,
) -> Result<Option<Activation>, ImportError> {
    Ok(Some(match fused {
        ActivationFunctionType::NONE => return Ok(implied(op, quant)),
        ActivationFunctionType::RELU => Activation::Relu,
        ActivationFunctionType::RELU6 => Activation::Relu6,
        ActivationFunctionType::RELU_N1_TO_1 => Activation::Clip(-1.0, 1.0),
        // The range before a tanh is not in the file.
        ActivationFunctionType::TANH if quant.is_none() => Activation::Tanh,
        other => {
            let name = other.variant_name().unwrap_or("unknown");
            return Err(
                ImportError::new(format!("is {name}, which is not supported"))
                    .attribute("fused_activation_function")
                    .hint("NONE, RELU, RELU6, RELU_N1_TO_1 and, in float, TANH are"),
            );
        }
    }))
}

/// ReLU or ReLU6 of a convolution or addition into a range that starts at real zero: what is less becomes
/// zero by being rounded into the range.
fn implied(op: &Op, quant: Option<Quant>) -> Option<Activation> {
    let quant = quant.filter(|q| q.zero_point == i8::MIN)?;
    if !matches!(op, Op::Conv(_) | Op::Add(_)) {
        return None;
    }
    let top = quant.scale * 255.0;
    Some(if (top - 6.0).abs() <= 0.06 {
        Activation::Relu6
    } else {
        Activation::Relu
    })
}
