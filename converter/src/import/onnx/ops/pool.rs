//! Poolings, global poolings, ReduceMean and ReduceMax.

use super::super::context::Context;
use super::super::node::Node;
use super::super::quantized::keep_coding;
use super::super::value::{Act, Order, Value};
use super::super::window;
use super::normalize_axis;
use crate::graph::window::ceil_extra;
use crate::graph::{Op, Window};
use crate::import::ImportError;

/// The window of a pooling, and the padding that `ceil_mode` adds at the end of rows and columns.
fn pooling(node: &Node, x: &Act) -> Result<(Window, [u32; 2]), ImportError> {
    if node.attributes.ints("kernel_shape").is_none() {
        return Err(ImportError::new("is missing")
            .attribute("kernel_shape")
            .hint("the file is damaged"));
    }
    let kernel = node.attributes.sizes("kernel_shape", [1, 1])?;
    let window = window::read(node.attributes, kernel, x.shape)?;
    if window.dilation != [1, 1] {
        return Err(ImportError::new(format!("is {:?}", window.dilation))
            .attribute("dilations")
            .hint("poolings with holes are not supported"));
    }
    let ceil = node.attributes.flag("ceil_mode");
    let extra = if ceil {
        ceil_extra(&window, x.shape)
    } else {
        [0, 0]
    };
    Ok((window, extra))
}

fn grow(window: &mut Window, extra: [u32; 2]) -> Result<(), ImportError> {
    for (pad, more) in window.pad_after.iter_mut().zip(extra) {
        *pad = pad
            .checked_add(more)
            .ok_or_else(|| ImportError::new("is too large").attribute("pads"))?;
    }
    Ok(())
}

/// MaxPool.
pub fn max(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.stored_image(0)?;
    let (mut window, extra) = pooling(node, x)?;
    grow(&mut window, extra)?;
    let pooled = context.push_image(node, Op::MaxPool(window), x)?;
    Ok(keep_coding(context, pooled, x))
}

/// AveragePool. The divisor never counts what `ceil_mode` adds. If it counts the padding, the padding becomes
/// a node of its own.
pub fn average(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.image(0)?;
    let (mut window, extra) = pooling(node, x)?;
    let count_padding = node.attributes.flag("count_include_pad") && !window.is_unpadded();
    if !count_padding || extra == [0, 0] {
        grow(&mut window, extra)?;
        return context.push_image(
            node,
            Op::AvgPool {
                window,
                count_padding,
            },
            x,
        );
    }
    let side = |p: [u32; 2]| [p[0], p[1], 0];
    let pad = Op::Pad {
        before: side(window.pad_before),
        after: side(window.pad_after),
    };
    let padded = context.push(&format!("{}/pad", node.name), pad, &[x.node])?;
    let x = Act::image(padded, context.graph.nodes[padded].shape);
    let window = Window {
        pad_before: [0, 0],
        pad_after: extra,
        ..window
    };
    context.push_image(
        node,
        Op::AvgPool {
            window,
            count_padding: false,
        },
        &x,
    )
}

fn whole(x: &Act) -> Window {
    Window {
        kernel: [x.shape.h, x.shape.w],
        ..Window::POINT
    }
}

/// GlobalMaxPool.
pub fn global_max(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.stored_image(0)?;
    let pooled = context.push_image(node, Op::MaxPool(whole(x)), x)?;
    Ok(keep_coding(context, pooled, x))
}

/// GlobalAveragePool.
pub fn global_average(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let x = node.image(0)?;
    context.push_image(
        node,
        Op::AvgPool {
            window: whole(x),
            count_padding: false,
        },
        x,
    )
}

/// ReduceMean over rows and columns.
pub fn reduce_mean(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    let pool = |x: &Act| Op::AvgPool {
        window: whole(x),
        count_padding: false,
    };
    reduce(context, node, "mean", pool)
}

/// ReduceMax over rows and columns.
pub fn reduce_max(context: &mut Context, node: &Node) -> Result<Value, ImportError> {
    reduce(context, node, "maximum", |x| Op::MaxPool(whole(x)))
}

fn reduce(
    context: &mut Context,
    node: &Node,
    what: &str,
    pool: impl Fn(&Act) -> Op,
) -> Result<Value, ImportError> {
    let x = node.act(0)?;
    let axes = match node.optional_tensor(1)? {
        Some(t) => Some(t.ints()?.to_vec()),
        None => node.attributes.ints("axes").map(<[i64]>::to_vec),
    };
    let rank = x.dims.len();
    let mut reduced = vec![axes.is_none() && !node.attributes.flag("noop_with_empty_axes"); rank];
    for axis in axes.unwrap_or_default() {
        reduced[normalize_axis(axis, rank)?] = true;
    }
    let channel = x.channel_axis();
    let fits = |axis: usize| x.dims[axis] == 1 || reduced[axis] != (Some(axis) == channel);
    if channel.is_none() || !(0..rank).all(fits) || channel.is_some_and(|c| reduced[c]) {
        return Err(
            ImportError::new(format!("a {what} over other axes than rows and columns")).hint(
                format!("only the {what} of each channel over the whole map is supported"),
            ),
        );
    }
    let id = context.push(&node.name, pool(x), &[x.node])?;
    let keep = node.attributes.int("keepdims", 1) != 0;
    let kept = (0..rank).filter(|&a| keep || !reduced[a]);
    let dims = kept
        .map(|a| if reduced[a] { 1 } else { x.dims[a] })
        .collect();
    let shape = context.graph.nodes[id].shape;
    Ok(Value::Act(Act {
        node: id,
        shape,
        order: Order::Chw,
        dims,
        softmax: false,
        coding: None,
    }))
}
