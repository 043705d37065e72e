//! From a simplified graph to the layers, plan and head of a `.edge` file.
//!
//! [`plan`] gives every tensor its place in the arena, [`float`] and
//! [`int8`] write the numbers. Knows how the file is written, not where ranges come from.

pub mod float;
mod head;
pub mod int8;
pub mod plan;

use crate::graph::split::Split;
use crate::graph::{Graph, NodeId, Op};
use edge_runtime::model::{
    self, Manifest, Operand, Output, OutputFunction, Quant, SelfCheck, write::WriteError,
};
use plan::Plan;

/// Why a graph cannot become a `.edge` file.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// Nothing to run.
    #[error("the network has no layer before its classifier; there is nothing to put on a device")]
    Empty,
    /// The arena or a section needs more than 32 bits.
    #[error(transparent)]
    TooLarge(#[from] WriteError),
    /// A concatenation is wider than the format allows.
    #[error(
        "node '{node}' concatenates {inputs} tensors; the format has room for {}",
        model::MAX_INPUTS
    )]
    Inputs {
        /// The node.
        node: String,
        /// How many.
        inputs: usize,
    },
    /// Too many layers.
    #[error("the network has {0} layers; the format has room for {max}", max = model::MAX_LAYERS)]
    Layers(usize),
    /// The file that was written does not pass the reader's checks.
    #[error(
        "the converter wrote a model that its own reader refuses ({0}); please report this network"
    )]
    Check(#[from] model::ModelError),
}

/// What a file says besides its layers.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// Where it came from and what was done to it.
    pub manifest: Manifest<'a>,
    /// Names of the classes, one a line; kept if there are as many.
    pub labels: &'a str,
    /// What turns the network's last numbers into probabilities.
    pub function: OutputFunction,
    /// What the converter doubts of its own work.
    pub check: Option<SelfCheck>,
}

/// What both writers share: the graph, its split, and the plan for one element size.
struct Lowering<'g> {
    graph: &'g Graph,
    split: Split,
    plan: Plan,
}

impl<'g> Lowering<'g> {
    fn new(graph: &'g Graph, split: Split, element_bytes: usize) -> Result<Self, LowerError> {
        if split.layers.is_empty() {
            return Err(LowerError::Empty);
        }
        if split.layers.len() > model::MAX_LAYERS as usize {
            return Err(LowerError::Layers(split.layers.len()));
        }
        let plan = plan::plan(graph, &split, element_bytes);
        if plan.arena_bytes > u32::MAX as usize {
            return Err(WriteError::TooLarge { section: "arena" }.into());
        }
        Ok(Self { graph, split, plan })
    }

    /// The operand that a node's result is, in the numbering of the file.
    fn operand(&self, id: NodeId, quant: Quant) -> Operand {
        let tensor = self.split.tensor_of(id);
        Operand {
            tensor: tensor as u32,
            shape: self.graph.nodes[id].shape,
            offset: self.plan.offsets[tensor] as u32,
            quant,
        }
    }

    /// What the network's last numbers mean. Those of a classifier are cut to the bounds of its last layer's
    /// activation, which is no part of a head; other networks have it in their last layer.
    fn output(&self, function: OutputFunction) -> Output {
        let bounds = self
            .split
            .head
            .and_then(|h| match &self.graph.nodes[h.dense].op {
                Op::Conv(dense) => dense.activation.clamp_bounds(),
                _ => None,
            });
        let clamp = bounds.filter(|(low, high)| low.is_finite() || high.is_finite());
        Output::new(function, clamp.map(|(low, high)| [low, high]))
    }

    /// A node's name, cut to what the format has room for.
    fn name(&self, id: NodeId) -> &'g str {
        let name = &self.graph.nodes[id].name;
        &name[..name.floor_char_boundary(model::MAX_NAME)]
    }

    /// The inputs of a node in the order in which the plan wants them, at most [`model::MAX_INPUTS`].
    fn inputs(&self, id: NodeId) -> Result<Vec<NodeId>, LowerError> {
        let node = &self.graph.nodes[id];
        if node.inputs.len() > model::MAX_INPUTS {
            return Err(LowerError::Inputs {
                node: node.name.clone(),
                inputs: node.inputs.len(),
            });
        }
        let mut inputs = node.inputs.clone();
        if self.is_swapped(id) {
            inputs.swap(0, 1);
        }
        Ok(inputs)
    }

    /// True if the plan has a node's two inputs change places.
    fn is_swapped(&self, id: NodeId) -> bool {
        self.plan.swapped[self.split.tensor_of(id)]
    }
}

/// True if a convolution has one filter per channel.
pub(crate) fn is_depthwise(op: &Op, input_channels: u32) -> bool {
    matches!(op, Op::Conv(c) if c.groups == c.out_channels && c.groups as u32 == input_channels && c.groups > 1)
}

/// OHWI with one input channel (`[c][area]`) to 1HWC (`[area][c]`).
fn depthwise_layout<T: Copy + Default>(weights: &[T], channels: usize) -> Vec<T> {
    let area = weights.len() / channels;
    let mut out = vec![T::default(); weights.len()];
    for (c, filter) in weights.chunks_exact(area).enumerate() {
        for (tap, w) in filter.iter().enumerate() {
            out[tap * channels + c] = *w;
        }
    }
    out
}
