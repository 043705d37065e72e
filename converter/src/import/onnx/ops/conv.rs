//! Conv.

use super::super::context::Context;
use super::super::node::Node;
use super::super::quantized;
use super::super::value::Value;
use super::super::window;
use crate::graph::{Activation, ConvWeights, Op};
use crate::import::ImportError;

/// Two-dimensional convolution, grouped and dilated ones included.
pub fn conv(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.image(0)?;
    let tensor = node.tensor(1)?;
    let &[outputs, per_group, rows, columns] = &tensor.dims[..] else {
        return Err(
            ImportError::new(format!("weights of {} dimensions", tensor.dims.len()))
                .hint("only two-dimensional convolutions are supported"),
        );
    };
    let attributes = node.attributes;
    let narrow = |n: usize| u32::try_from(n).map_err(|_| ImportError::new("weights too large"));
    let kernel = [narrow(rows)?, narrow(columns)?];
    if attributes.sizes("kernel_shape", kernel)? != kernel {
        return Err(
            ImportError::new(format!("differs from the weights' {rows}x{columns}"))
                .attribute("kernel_shape")
                .hint("the file is damaged"),
        );
    }
    let window = window::read(attributes, kernel, x.shape)?;
    let groups = usize::try_from(attributes.int("group", 1)).unwrap_or(0);
    if groups.checked_mul(per_group) != Some(x.shape.c as usize) {
        return Err(ImportError::new(format!(
            "{groups} groups of {per_group} channels do not make the input's {}",
            x.shape.c
        ))
        .hint("the file is damaged"));
    }
    let bias = match node.optional_tensor(2)? {
        Some(t) if t.dims == [outputs] => t.floats()?.to_vec(),
        Some(_) => {
            return Err(ImportError::new(format!(
                "the bias is not of dimension {outputs}"
            )));
        }
        None => vec![0.0; context.charge(Some(outputs))?],
    };
    let weights = to_ohwi(&tensor.floats()?, per_group, rows * columns);
    let weight_scales = quantized::weight_scales(context, tensor, 0, 1.0, &weights);
    let weights = ConvWeights {
        window,
        groups,
        out_channels: outputs,
        weights,
        bias,
        activation: Activation::None,
        statistics: None,
        weight_scales,
    };
    context.push_image(node, Op::Conv(weights), x)
}

/// OIHW to OHWI, for `area` = H*W.
fn to_ohwi(weights: &[f32], inputs: usize, area: usize) -> Vec<f32> {
    if inputs == 0 || area == 0 {
        return vec![];
    }
    let mut out = Vec::with_capacity(weights.len());
    for filter in weights.chunks_exact(inputs * area) {
        for tap in 0..area {
            out.extend((0..inputs).map(|i| filter[i * area + tap]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn channels_become_innermost() {
        // Two filters of 3 channels and 2 taps; an element is filter, channel, tap in decimal.
        let oihw: Vec<f32> = (0..12)
            .map(|i| (100 * (i / 6) + 10 * (i / 2 % 3) + i % 2) as f32)
            .collect();
        let ohwi = super::to_ohwi(&oihw, 3, 2);
        assert_eq!(
            ohwi,
            [
                0., 10., 20., 1., 11., 21., 100., 110., 120., 101., 111., 121.
            ]
        );
    }
}
