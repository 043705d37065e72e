//! The memory plan: which bytes of the arena each tensor has.
//!
//! Layers run in the order of the file. The largest tensor is placed first; each gets the lowest offset where
//! no tensor lies that is needed at the same time (the greedy-by-size rule of TensorFlow Lite's planner).
//! Additions, products and element-wise functions write over an input that no later layer reads.

use crate::graph::split::Split;
use crate::graph::{Graph, NodeId, Op};
use edge_runtime::model::align;

/// The places of all tensors. Tensor 0 is the input, tensor `i + 1` the output of layer `i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Offset of each tensor in the arena, in bytes.
    pub offsets: Vec<usize>,
    /// Size of the arena in bytes, a multiple of 16.
    pub arena_bytes: usize,
    /// Per tensor, true if the file swaps the two inputs of its layer: a layer can only write over its first
    /// input.
    pub swapped: Vec<bool>,
}

/// Bytes that one tensor uses, or several one after another.
struct Buffer {
    len: usize,
    first: usize,
    last: usize,
}

/// Plans the trunk for elements of `element_bytes` bytes.
pub fn plan(graph: &Graph, split: &Split, element_bytes: usize) -> Plan {
    let node_of = |tensor: usize| {
        if tensor == 0 {
            0
        } else {
            split.layers[tensor - 1]
        }
    };
    let count = split.layers.len() + 1;
    let last_use = last_uses(graph, split);

    let mut buffers: Vec<Buffer> = Vec::new();
    let mut buffer_of = vec![0; count];
    let mut swapped = vec![false; count];
    for tensor in 0..count {
        let node = &graph.nodes[node_of(tensor)];
        let dying = |id: &NodeId| last_use[split.tensor_of(*id)] == tensor;
        let reused = match node.op {
            Op::Activation(_) | Op::PRelu(_) => node.inputs.iter().position(dying),
            // Only the map can be written over, not the gate; and neither if both are one tensor.
            Op::Mul if node.inputs[0] != node.inputs[1] => node.inputs[..1].iter().position(dying),
            // A tensor that is added to itself cannot be written over.
            Op::Add(_) if node.inputs[0] != node.inputs[1] => node.inputs.iter().position(dying),
            _ => None,
        };
        buffer_of[tensor] = match reused {
            Some(i) => {
                swapped[tensor] = i == 1;
                let buffer = buffer_of[split.tensor_of(node.inputs[i])];
                buffers[buffer].last = last_use[tensor];
                buffer
            }
            None => {
                let len = align(node.shape.len() * element_bytes);
                buffers.push(Buffer {
                    len,
                    first: tensor,
                    last: last_use[tensor],
                });
                buffers.len() - 1
            }
        };
    }
    let places = place(&buffers);
    let arena_bytes = buffers
        .iter()
        .zip(&places)
        .map(|(b, at)| at + b.len)
        .max()
        .unwrap_or(0);
    let offsets = buffer_of.iter().map(|&b| places[b]).collect();
    Plan {
        offsets,
        arena_bytes,
        swapped,
    }
}

/// Per tensor, the output of the last layer that reads it; `usize::MAX` for the output of the trunk.
fn last_uses(graph: &Graph, split: &Split) -> Vec<usize> {
    let mut last: Vec<usize> = (0..=split.layers.len()).collect();
    for (layer, &id) in split.layers.iter().enumerate() {
        for &input in &graph.nodes[id].inputs {
            last[split.tensor_of(input)] = layer + 1;
        }
    }
    last[split.layers.len()] = usize::MAX;
    last
}

fn place(buffers: &[Buffer]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&b| (std::cmp::Reverse(buffers[b].len), buffers[b].first));
    let mut places = vec![0; buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    for b in order {
        let alive_with = |o: &&usize| {
            buffers[**o].first <= buffers[b].last && buffers[b].first <= buffers[**o].last
        };
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(alive_with)
            .map(|&o| (places[o], places[o] + buffers[o].len))
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        for (start, end) in taken {
            if at + buffers[b].len <= start {
                break;
            }
            at = at.max(end);
        }
        places[b] = at;
        placed.push(b);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_lives_together_does_not_overlap(
            sizes in proptest::collection::vec((1usize..20, 0usize..12, 0usize..6), 1..40),
        ) {
            let buffer = |(len, first, life): &(usize, usize, usize)| Buffer { len: 16 * len, first: *first, last: first + life };
            let buffers: Vec<Buffer> = sizes.iter().map(buffer).collect();
            let places = place(&buffers);
            for (i, a) in buffers.iter().enumerate() {
                for (j, b) in buffers.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = places[i] + a.len <= places[j] || places[j] + b.len <= places[i];
                    prop_assert!(!together || apart, "buffers {} and {}", i, j);
                }
            }
            prop_assert!(places.iter().all(|p| p.is_multiple_of(16)));
        }

        #[test]
        fn buffers_that_never_meet_share_their_bytes(sizes in proptest::collection::vec(1usize..50, 1..20)) {
            let alone = |(i, len): (usize, &usize)| Buffer { len: 16 * len, first: i, last: i };
            let buffers: Vec<Buffer> = sizes.iter().enumerate().map(alone).collect();
            prop_assert!(place(&buffers).iter().all(|p| *p == 0));
        }
    }
}
