//! What stands for an ONNX value during the import: a constant, or a node of the graph under a view.

use super::quantized::Coding;
use super::tensor::{Tensor, show};
use crate::graph::{NodeId, Shape};

/// A value of the ONNX graph.
#[derive(Clone, Debug)]
pub enum Value {
    /// Known at import.
    Const(Tensor),
    /// Computed from the network's input.
    Act(Act),
}

impl Value {
    /// Dimensions in ONNX's order.
    pub fn dims(&self) -> &[usize] {
        match self {
            Value::Const(t) => &t.dims,
            Value::Act(a) => &a.dims,
        }
    }

    /// For messages.
    pub fn show(&self) -> String {
        show(self.dims())
    }
}

/// How ONNX counts the elements of an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Channel by channel: the usual NCHW, and what a Flatten of it gives.
    Chw,
    /// Row by row, channels innermost, after a Transpose.
    Hwc,
}

/// An activation: a node, and the ONNX tensor it stands for. Reshaping changes only the view.
#[derive(Clone, Debug)]
pub struct Act {
    /// The node; its data is HWC.
    pub node: NodeId,
    /// Shape of the node.
    pub shape: Shape,
    /// Order in which `dims` run through the elements.
    pub order: Order,
    /// Dimensions of the ONNX tensor, batch included; their product is `shape.len()`.
    pub dims: Vec<usize>,
    /// True behind a Softmax that is left out.
    pub softmax: bool,
    /// How the ONNX tensor codes the numbers, between a QuantizeLinear and its DequantizeLinear.
    pub coding: Option<Coding>,
}

impl Act {
    /// The plain view of an image: `[1, C, H, W]`.
    pub fn image(node: NodeId, shape: Shape) -> Self {
        let dims = vec![1, shape.c as usize, shape.h as usize, shape.w as usize];
        Self {
            node,
            shape,
            order: Order::Chw,
            dims,
            softmax: false,
            coding: None,
        }
    }

    /// True if the dimensions are `[1, C, H, W]`.
    pub fn is_image(&self) -> bool {
        let Shape { h, w, c } = self.shape;
        self.is_order(Order::Chw) && self.dims == [1, c as usize, h as usize, w as usize]
    }

    /// True if the elements run in `order`; with one row or one channel both orders may be the same.
    pub fn is_order(&self, order: Order) -> bool {
        self.order == order || self.shape.h * self.shape.w == 1 || self.shape.c == 1
    }

    /// True if the elements of both run in the same order.
    pub fn same_order(&self, other: &Self) -> bool {
        self.is_order(other.order) || other.is_order(self.order)
    }

    /// The dimension of the channels, if one dimension is exactly that.
    pub fn channel_axis(&self) -> Option<usize> {
        let channels = self.shape.c as usize;
        let mut outer = 1;
        for (axis, &d) in self.dims.iter().enumerate() {
            let inner: usize = self.dims[axis + 1..].iter().product();
            let place =
                self.is_order(Order::Chw) && outer == 1 || self.is_order(Order::Hwc) && inner == 1;
            if d == channels && place && (d > 1 || axis > 0) {
                return Some(axis);
            }
            outer *= d;
        }
        None
    }
}
