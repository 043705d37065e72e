//! Tensors during the import: constants, lists of integers, activations.

use super::stored::Stored;
use crate::graph::{NodeId, Shape};
use crate::import::ImportError;
use crate::import::dims::show;

/// The value of a tensor.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// A constant of the file.
    Stored(Stored<'a>),
    /// Integers computed at import: results of operators on shapes.
    List(List),
    /// Computed from the network's input.
    Act(Act),
}

/// A scalar or a one-dimensional list of integers.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// The integers.
    pub values: Vec<i64>,
    /// True if it is a scalar.
    pub scalar: bool,
}

impl List {
    /// Most integers. A shape has a few.
    const MAX: usize = 256;

    /// A list, or a scalar if `scalar` says so.
    pub fn new(values: Vec<i64>, scalar: bool) -> Result<Self, ImportError> {
        if values.len() > Self::MAX {
            return Err(ImportError::new(format!("a list of {}", values.len()))
                .hint("only arithmetic on shapes is supported"));
        }
        Ok(Self { values, scalar })
    }
}

/// An activation: a node of the graph, and the dimensions that the file gives it. The order of elements is
/// the node's.
#[derive(Clone, Debug)]
pub struct Act {
    /// The node.
    pub node: NodeId,
    /// Its shape.
    pub shape: Shape,
    /// Dimensions, batch included; their product is `shape.len()`.
    pub dims: Vec<usize>,
    /// True for the result of the final softmax, which the graph leaves out.
    pub softmax: bool,
}

impl Value<'_> {
    /// Dimensions.
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Value::Stored(s) => s.dims.clone(),
            Value::List(l) if l.scalar => vec![],
            Value::List(l) => vec![l.values.len()],
            Value::Act(a) => a.dims.clone(),
        }
    }

    /// For messages.
    pub fn show(&self) -> String {
        show(&self.dims())
    }
}

impl Act {
    /// The plain view of a map: `[1, H, W, C]`.
    pub fn image(node: NodeId, shape: Shape) -> Self {
        let dims = vec![1, shape.h as usize, shape.w as usize, shape.c as usize];
        Self {
            node,
            shape,
            dims,
            softmax: false,
        }
    }

    /// True if the dimensions are `[1, H, W, C]`.
    pub fn is_image(&self) -> bool {
        self.dims == Self::image(self.node, self.shape).dims
    }

    /// True if the last dimension is the channels, and nothing but them.
    pub fn has_channels_last(&self) -> bool {
        self.dims.last() == Some(&(self.shape.c as usize))
    }
}
