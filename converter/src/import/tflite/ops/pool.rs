//! Poolings, and reductions of whole maps.

use super::super::context::Context;
use super::super::node::{Node, required};
use super::super::schema::ActivationFunctionType;
use super::super::value::{Act, Value};
use super::super::window::window;
use crate::graph::{Op, Window};
use crate::import::ImportError;
use crate::import::dims::normalize_axis;

/// The window of a pooling, and its fused activation.
fn pooling(node: &Node, x: &Act) -> Result<(Window, ActivationFunctionType), ImportError> {
    let options = required(node.table.builtin_options_as_pool_2_doptions())?;
    let size = [options.filter_height(), options.filter_width()];
    let kernel = size.map(|v| u32::try_from(v).unwrap_or(0));
    let stride = [options.stride_h(), options.stride_w()];
    let window = window(x.shape, options.padding(), kernel, stride, [1, 1])?;
    Ok((window, options.fused_activation_function()))
}

/// Mean over a window; the divisor does not count padding.
pub fn average_pool_2d<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Value<'a>, ImportError> {
    let x = node.image(0)?;
    let (window, fused) = pooling(node, x)?;
    let op = Op::AvgPool {
        window,
        count_padding: false,
    };
    context.push_image(node, op, x, fused)
}

/// Maximum over a window.
pub fn max_pool_2d<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Value<'a>, ImportError> {
    let x = node.image(0)?;
    let (window, fused) = pooling(node, x)?;
    context.push_image(node, Op::MaxPool(window), x, fused)
}

/// Mean of each channel over the whole map.
pub fn mean<'a>(context: &mut Context<'a>, node: &Node<'a>) -> Result<Value<'a>, ImportError> {
    reduce(context, node, |window| Op::AvgPool {
        window,
        count_padding: false,
    })
}

/// Maximum of each channel over the whole map.
pub fn reduce_max<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
) -> Result<Value<'a>, ImportError> {
    reduce(context, node, Op::MaxPool)
}

fn reduce<'a>(
    context: &mut Context<'a>,
    node: &Node<'a>,
    op: impl Fn(Window) -> Op,
) -> Result<Value<'a>, ImportError> {
    let options = required(node.table.builtin_options_as_reducer_options())?;
    let x = node.act(0)?;
    let rank = x.dims.len();
    let mut reduced = vec![false; rank];
    for axis in node.list(1)? {
        reduced[normalize_axis(axis, rank)?] = true;
    }
    // The axes must be all places, and not the channels.
    let channels = rank.saturating_sub(1);
    let fits = |axis: usize| x.dims[axis] == 1 || reduced[axis] == (axis != channels);
    if rank == 0 || !x.has_channels_last() || reduced[channels] || !(0..rank).all(fits) {
        return Err(
            ImportError::new("a reduction of other axes than rows and columns")
                .hint("each channel of the whole map can be reduced to one number"),
        );
    }
    let window = Window {
        kernel: [x.shape.h, x.shape.w],
        ..Window::POINT
    };
    let id = context.push(node, op(window), &[x.node])?;
    let id = context.activate(node, id, ActivationFunctionType::NONE)?;
    let kept = (0..rank).filter(|&a| options.keep_dims() || !reduced[a]);
    let dims = kept
        .map(|a| if reduced[a] { 1 } else { x.dims[a] })
        .collect();
    Ok(Value::Act(Act {
        node: id,
        shape: context.graph.nodes[id].shape,
        dims,
        softmax: false,
    }))
}
