//! The activation fused into an operator, and the clamp that its quantization implies.

use super::schema::ActivationFunctionType;
use crate::graph::bounds::{Interval, both_clamps, saturation};
use crate::graph::{Activation, Quant};
use crate::import::ImportError;

/// The activation after an operator. `values` is the interval of its result before the activation, `quant`
/// the quantization after it.
///
/// Quantizing also clamps, and networks rely on it: a file need not name a clamp that the codes imply. So
/// this adds a clamp where the values can leave the range of the codes.
pub fn after(
    values: Interval,
    fused: ActivationFunctionType,
    quant: Option<Quant>,
) -> Result<Option<Activation>, ImportError> {
    let function = match fused {
        ActivationFunctionType::NONE => Activation::None,
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
    };
    let saturates = quant.filter(|q| !values.through(function).fits(*q));
    let all = saturates
        .and_then(|q| both_clamps(function, saturation(q)))
        .unwrap_or(function);
    Ok((all != Activation::None).then_some(all))
}
