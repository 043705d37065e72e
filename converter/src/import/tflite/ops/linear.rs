//! FULLY_CONNECTED. In the graph it is a convolution over the whole map.

use super::super::context::Context;
use super::super::node::{Node, required};
use super::super::schema::FullyConnectedOptionsWeightsFormat as Format;
use super::super::value::{Act, Value};
use super::super::weights::{Filters, Outputs};
use crate::graph::{Activation, ConvWeights, Op, Window};
use crate::import::ImportError;

/// One row of features times a matrix `[outputs, features]`. If the channels of a map are the features, this
/// runs at each place of the map.
pub fn fully_connected<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Value<'a>, ImportError> {
    let options = required(node.table.builtin_options_as_fully_connected_options())?;
    if options.weights_format() != Format::DEFAULT {
        return Err(ImportError::new("is not the default one")
            .attribute("weights_format")
            .hint("convert the model again without shuffled weights"));
    }
    let x = node.act(0)?;
    let stored = node.stored(1)?;
    let wrong = || {
        ImportError::new(format!(
            "a fully connected layer of {} features needs a matrix of some outputs by them",
            x.shape.len()
        ))
        .hint("the file is damaged, or made for another input size or batch")
    };
    let &[outputs, features] = &stored.dims[..] else {
        return Err(wrong());
    };
    let kernel = if features == x.shape.len() {
        [x.shape.h, x.shape.w]
    } else if features == x.shape.c as usize && x.has_channels_last() {
        [1, 1]
    } else {
        return Err(wrong());
    };
    let filters = Filters::read(context, stored, Outputs::First, outputs)?;
    filters.check_input(node)?;
    let weights = ConvWeights {
        window: Window {
            kernel,
            ..Window::POINT
        },
        groups: 1,
        out_channels: outputs,
        bias: filters.bias(context, node, 2, outputs)?,
        weights: filters.values,
        activation: Activation::None,
        statistics: None,
        weight_scales: filters.scales,
    };
    let fused = options.fused_activation_function();
    let result = context.push_image(node, Op::Conv(weights), x, fused)?;
    let Value::Act(act) = result else {
        return Ok(result);
    };
    let mut dims = vec![x.shape.len() / features];
    if options.keep_num_dims() && x.dims.last() == Some(&features) {
        dims = x.dims[..x.dims.len() - 1].to_vec();
    }
    dims.push(outputs);
    Ok(Value::Act(Act { dims, ..act }))
}
