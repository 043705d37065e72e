//! BatchNormalization.

use super::super::context::{Context, Node};
use super::super::value::Value;
use crate::graph::{BatchNorm, Op};
use crate::import::ImportError;

/// Batch normalization in inference: with the statistics that training gathered.
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
