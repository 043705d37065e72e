//! ONNX values during the import: constants, and activations.

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

    /// The dimensions for messages.
    pub fn show(&self) -> String {
        show(self.dims())
    }
}

/// The order of an activation's elements in the ONNX tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Channel by channel: NCHW, or a Flatten of it.
    Chw,
    /// Row by row with the channels innermost, after a Transpose: NHWC.
    Hwc,
}

/// An activation: a node of the graph, and the dimensions of the ONNX tensor. Reshaping changes only those.
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
    /// True for the result of the final Softmax, which the graph leaves out.
    pub softmax: bool,
    /// The 8-bit codes, between a QuantizeLinear and its DequantizeLinear.
    pub coding: Option<Coding>,
}

impl Act {
    /// A feature map of dimensions `[1, C, H, W]`.
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

    /// True if the elements are in `order`. With one channel or one place both orders are the same.
    pub fn is_order(&self, order: Order) -> bool {
        self.order == order || self.shape.h * self.shape.w == 1 || self.shape.c == 1
    }

    /// True if the elements of both are in the same order.
    pub fn same_order(&self, other: &Self) -> bool {
        self.is_order(other.order) || other.is_order(self.order)
    }

    /// The dimension of the channels, if one dimension is exactly the channels.
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
