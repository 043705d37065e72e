//! LOCAL_RESPONSE_NORMALIZATION.

use super::super::context::Context;
use super::super::node::{Node, required};
use super::super::schema::ActivationFunctionType;
use super::super::value::Value;
use crate::graph::{LocalResponseNorm, Op};
use crate::import::ImportError;

/// `x[c] / (bias + alpha * sum(x[i]^2))^beta`, with the sum from `c - radius` to `c + radius`. The graph's
/// alpha multiplies a mean instead of the sum.
pub fn local_response<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Value<'a>, ImportError> {
    let options = required(
        node.table
            .builtin_options_as_local_response_normalization_options(),
    )?;
    let size = u32::try_from(options.radius())
        .ok()
        .and_then(|r| r.checked_mul(2)?.checked_add(1));
    let size = size.ok_or_else(|| {
        ImportError::new(format!("is {}", options.radius()))
            .attribute("radius")
            .hint("the file is damaged")
    })?;
    let norm = LocalResponseNorm {
        size,
        alpha: options.alpha() * size as f32,
        beta: options.beta(),
        bias: options.bias(),
    };
    let fused = ActivationFunctionType::NONE;
    context.push_image(node, Op::LocalResponseNorm(norm), node.image(0)?, fused)
}
