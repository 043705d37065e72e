//! CONV_2D and DEPTHWISE_CONV_2D.

use super::super::context::Context;
use super::super::node::{Node, required};
use super::super::value::Value;
use super::super::weights::{Filters, Outputs};
use super::super::window::window;
use crate::graph::{Activation, ConvWeights, Op};
use crate::import::ImportError;

/// Rows and columns of a kernel.
fn kernel(rows: usize, columns: usize) -> Result<[u32; 2], ImportError> {
    match (u32::try_from(rows), u32::try_from(columns)) {
        (Ok(rows), Ok(columns)) => Ok([rows, columns]),
        _ => Err(ImportError::new("weights too large")),
    }
}

fn wrong_rank(rank: usize) -> ImportError {
    ImportError::new(format!("weights of {rank} dimensions"))
        .hint("only two-dimensional convolutions are supported")
}

/// Convolution. It is grouped if the filters have fewer channels than the input.
pub fn conv_2d<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    let options = required(node.table.builtin_options_as_conv_2_doptions())?;
    let x = node.image(0)?;
    let stored = node.stored(1)?;
    let &[outputs, rows, columns, inputs] = &stored.dims[..] else {
        return Err(wrong_rank(stored.dims.len()));
    };
    let channels = x.shape.c as usize;
    if inputs == 0 || !channels.is_multiple_of(inputs) {
        return Err(ImportError::new(format!(
            "filters of {inputs} channels do not divide the input's {channels}"
        ))
        .hint("the file is damaged"));
    }
    let window = window(
        x.shape,
        options.padding(),
        kernel(rows, columns)?,
        [options.stride_h(), options.stride_w()],
        [options.dilation_h_factor(), options.dilation_w_factor()],
    )?;
    let filters = Filters::read(context, stored, Outputs::First, outputs)?;
    filters.check_input(node)?;
    let weights = ConvWeights {
        window,
        groups: channels / inputs,
        out_channels: outputs,
        bias: filters.bias(context, node, 2, outputs)?,
        weights: filters.values,
        activation: Activation::None,
        statistics: None,
        weight_scales: filters.scales,
    };
    let fused = options.fused_activation_function();
    context.push_image(node, Op::Conv(weights), x, fused)
}

/// Convolution of each channel by itself, with one or more filters per channel.
pub fn depthwise_conv_2d<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Value<'a>, ImportError> {
    let options = required(node.table.builtin_options_as_depthwise_conv_2_doptions())?;
    let x = node.image(0)?;
    let stored = node.stored(1)?;
    let &[1, rows, columns, outputs] = &stored.dims[..] else {
        return Err(wrong_rank(stored.dims.len()));
    };
    let window = window(
        x.shape,
        options.padding(),
        kernel(rows, columns)?,
        [options.stride_h(), options.stride_w()],
        [options.dilation_h_factor(), options.dilation_w_factor()],
    )?;
    let filters = Filters::read(context, stored, Outputs::Last, outputs)?;
    filters.check_input(node)?;
    let weights = ConvWeights {
        window,
        groups: x.shape.c as usize,
        out_channels: outputs,
        bias: filters.bias(context, node, 2, outputs)?,
        weights: filters.values,
        activation: Activation::None,
        statistics: None,
        weight_scales: filters.scales,
    };
    let fused = options.fused_activation_function();
    context.push_image(node, Op::Conv(weights), x, fused)
}
