//! BatchNormalization, and LRN.

use super::super::context::Context;
use super::super::node::Node;
use super::super::value::Value;
use crate::graph::{BatchNorm, LocalResponseNorm, Op};
use crate::import::ImportError;

/// Batch normalization with the running statistics of training.
pub fn batch_norm(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let hint = "export the model in inference mode (model.eval())";
    node.attributes.require("training_mode", 0, hint)?;
    if context.opset < 9 {
        node.attributes
            .require("spatial", 1, "export the model with opset 9 or newer")?;
    }
    let x = node.act(0)?;
    let channels = x.shape.c as usize;
    if x.channel_axis() != Some(1) {
        return Err(ImportError::new("axis 1 of the input is not its channels")
            .hint("normalize before flattening"));
    }
    let vector = |i: usize| -> Result<Vec<f32>, ImportError> {
        let t = node.tensor(i)?;
        if t.dims != [channels] {
            return Err(
                ImportError::new(format!("input {i} does not have {channels} numbers"))
                    .hint("the file is damaged"),
            );
        }
        Ok(t.floats()?.to_vec())
    };
    let norm = BatchNorm {
        gamma: vector(1)?,
        beta: vector(2)?,
        mean: vector(3)?,
        variance: vector(4)?,
        epsilon: node.attributes.float("epsilon", 1e-5)?,
    };
    if norm.variance.iter().any(|v| v + norm.epsilon <= 0.0) {
        return Err(ImportError::new("a variance that is not positive").hint("the file is damaged"));
    }
    context.push_like(node, Op::BatchNorm(norm), x)
}

/// Local response normalization across channels.
pub fn local_response_norm(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.act(0)?;
    if x.channel_axis() != Some(1) {
        return Err(ImportError::new("axis 1 of the input is not its channels")
            .hint("normalize before flattening"));
    }
    let size = node.attributes.int("size", 0);
    let norm = LocalResponseNorm {
        size: u32::try_from(size)
            .map_err(|_| ImportError::new(format!("is {size}")).attribute("size"))?,
        alpha: node.attributes.float("alpha", 1e-4)?,
        beta: node.attributes.float("beta", 0.75)?,
        bias: node.attributes.float("bias", 1.0)?,
    };
    context.push_like(node, Op::LocalResponseNorm(norm), x)
}
