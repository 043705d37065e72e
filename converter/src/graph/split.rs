//! Where the trunk ends and the head begins.

use super::{Graph, NodeId, Op};
use edge_runtime::head::file::MAX_SIDE;

/// The parts of a graph: the trunk, which stays as it is on a device, and the head, which can be trained
/// there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The nodes of the trunk in order, without the input: layer `i` of the file is node `layers[i]`.
    pub layers: Vec<NodeId>,
    /// The head, if the network ends in a classifier.
    pub head: Option<HeadNodes>,
}

/// The nodes of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadNodes {
    /// The global average pool before the classifier, if there is one.
    pub pool: Option<NodeId>,
    /// The fully connected layer.
    pub dense: NodeId,
}

impl Split {
    /// Number that the file gives the result of a node of the trunk: 0 for the input, else the number of its
    /// layer plus one.
    ///
    /// # Panics
    /// If the node is not in the trunk.
    pub fn tensor_of(&self, id: NodeId) -> usize {
        match id {
            0 => 0,
            _ => self.layers.binary_search(&id).expect("node of the trunk") + 1,
        }
    }

    /// The last node of the trunk.
    pub fn output(&self) -> NodeId {
        *self.layers.last().unwrap_or(&0)
    }
}

/// Splits a network. A head is a fully connected last layer, with no activation or a clamp, and the global
/// average pool before it if there is one.
pub fn split(graph: &Graph) -> Split {
    let head = find_head(graph);
    let end = match head {
        Some(HeadNodes {
            pool: Some(pool), ..
        }) => graph.nodes[pool].inputs[0],
        Some(HeadNodes { pool: None, dense }) => graph.nodes[dense].inputs[0],
        None => graph.output,
    };
    let mut needed = vec![false; graph.nodes.len()];
    needed[end] = true;
    for id in (1..=end).rev() {
        if needed[id] {
            graph.nodes[id]
                .inputs
                .iter()
                .for_each(|&i| needed[i] = true);
        }
    }
    let layers = (1..graph.nodes.len()).filter(|&id| needed[id]).collect();
    Split { layers, head }
}

fn find_head(graph: &Graph) -> Option<HeadNodes> {
    let dense = graph.output;
    let Op::Conv(conv) = &graph.nodes[dense].op else {
        return None;
    };
    let from = graph.nodes[dense].inputs[0];
    let map = graph.nodes[from].shape;
    let whole = conv.window.kernel == [map.h, map.w] && conv.window.is_unpadded();
    let sides = [map.len(), conv.out_channels];
    if sides.iter().any(|n| *n > MAX_SIDE as usize) {
        return None;
    }
    // The last layer of a quantized network clamps its logits. The file has the bounds beside the output
    // function.
    if !whole || conv.groups != 1 || conv.activation.clamp_bounds().is_none() {
        return None;
    }
    let uses = graph.uses();
    let pool = match &graph.nodes[from].op {
        Op::AvgPool { window, .. } if uses[from] == 1 => {
            let map = graph.nodes[graph.nodes[from].inputs[0]].shape;
            (window.kernel == [map.h, map.w] && window.is_unpadded()).then_some(from)
        }
        _ => None,
    };
    let end = pool.map_or(from, |p| graph.nodes[p].inputs[0]);
    // A network that is only a classifier has no trunk, and nothing to put on a device.
    (end != 0).then_some(HeadNodes { pool, dense })
}
