//! Writes `.edge` files: the layers, the memory plan and the head.
//!
//! [`plan()`](plan::plan) gives every tensor its place in the arena; [`float`] and [`int8`] write the
//! numbers. This module computes none of them: those of an int8 model come from
//! [`quantize`](crate::quantize).

pub mod float;
mod head;
pub mod int8;
pub mod plan;
#[cfg(test)]
pub(crate) mod testing;

use crate::graph::split::Split;
use crate::graph::{Graph, NodeId, Op};
use edge_runtime::model::{
    self, Manifest, Operand, Output, OutputFunction, Pruning, Quant, SelfCheck, write::WriteError,
};
use plan::Plan;

/// Why a graph cannot become a `.edge` file.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// The network has no trunk.
    #[error("the network has no layer before its classifier; there is nothing to put on a device")]
    Empty,
    /// The arena or a section needs more than 32 bits.
    #[error(transparent)]
    TooLarge(#[from] WriteError),
    /// A concatenation has more inputs than the format allows.
    #[error(
        "node '{node}' concatenates {inputs} tensors; the format has room for {}",
        model::MAX_INPUTS
    )]
    Inputs {
        /// Name of the node.
        node: String,
        /// Number of its inputs.
        inputs: usize,
    },
    /// The network has more layers than the format allows.
    #[error("the network has {0} layers; the format has room for {max}", max = model::MAX_LAYERS)]
    Layers(usize),
    /// The file that was written does not pass the reader's checks.
    #[error(
        "the converter wrote a model that its own reader refuses ({0}); please report this network"
    )]
    Check(#[from] model::ModelError),
}

/// What a file says of its network besides the layers.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// Where the network came from and how it was converted.
    pub manifest: Manifest<'a>,
    /// Names of the classes, one a line. The file has them only if there are as many as classes.
    pub labels: &'a str,
    /// What turns the network's output into probabilities.
    pub function: OutputFunction,
    /// What the converter's check of its own work found doubtful.
    pub check: Option<SelfCheck>,
    /// What the network was before it was pruned, if it was.
    pub pruning: Option<Pruning<'a>>,
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

    /// The result of a node as an operand, in the numbering of the file.
    fn operand(&self, id: NodeId, quant: Quant) -> Operand {
        let tensor = self.split.tensor_of(id);
        Operand {
            tensor: tensor as u32,
            shape: self.graph.nodes[id].shape,
            offset: self.plan.offsets[tensor] as u32,
            quant,
        }
    }

    /// What the output of the network means. A head has no activation: the bounds of a classifier's last
    /// layer go here, and its logits are cut to them. Other networks have the activation in their last layer.
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

    /// The name of a node, cut to the length that the format has room for.
    fn name(&self, id: NodeId) -> &'g str {
        let name = &self.graph.nodes[id].name;
        &name[..name.floor_char_boundary(model::MAX_NAME)]
    }

    /// The inputs of a node, in the order of the plan.
    ///
    /// # Errors
    /// If there are more than [`model::MAX_INPUTS`].
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

    /// True if the plan swaps the two inputs of a node.
    fn is_swapped(&self, id: NodeId) -> bool {
        self.plan.swapped[self.split.tensor_of(id)]
    }
}

/// True if an operation is a convolution with one filter per channel.
pub(crate) fn is_depthwise(op: &Op, input_channels: u32) -> bool {
    matches!(op, Op::Conv(c) if c.groups == c.out_channels && c.groups as u32 == input_channels && c.groups > 1)
}

/// Depthwise weights from OHWI (`[channels][area]`) to 1HWC (`[area][channels]`).
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
