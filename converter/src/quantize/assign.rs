//! Scale and zero point of every tensor.

use super::range::Range;
use crate::graph::{Graph, NodeId, Op};
use edge_runtime::model::{InputSpec, Quant};

/// Quantization of every node's result, and of the pooled features.
#[derive(Clone, Debug, PartialEq)]
pub struct Quants {
    by_node: Vec<Quant>,
    means: Vec<Vec<f32>>,
}

impl Quants {
    /// Of a node's result.
    pub fn of(&self, id: NodeId) -> Quant {
        self.by_node[id]
    }

    /// Mean of each channel of a node's result, as calibration saw it; empty if it did not.
    pub fn means(&self, id: NodeId) -> &[f32] {
        &self.means[id]
    }
}

/// int8 over a range: `-128` is its minimum, `127` its maximum, zero exact.
pub fn quant(range: Range) -> Quant {
    // A tensor that is always zero needs some scale; any will do.
    let width = (range.max as f64 - range.min as f64).max(1e-6);
    let scale = (width / 255.0) as f32;
    let zero_point = (-128.0 - range.min as f64 / scale as f64)
        .round()
        .clamp(-128.0, 127.0);
    Quant {
        scale,
        zero_point: zero_point as i8,
    }
}

/// The input's quantization covers what the input rule makes of the pixel values 0 to 255.
///
/// Where all channels share mean and std and the mean is a whole number, `q = pixel - 128` exactly.
pub fn input_quant(spec: &InputSpec) -> Quant {
    let channels = 0..spec.channels() as usize;
    let ends = channels.flat_map(|c| [0.0, 255.0].map(|x: f32| (x - spec.mean[c]) / spec.std[c]));
    let (min, max) = ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), v| {
        (lo.min(v), hi.max(v))
    });
    quant(Range::new(min, max))
}

/// Gives every node its quantization from its range.
///
/// Operators that only pick elements (max pool, slice, pad) keep their input's; the parts of a
/// concatenation that nothing else reads take the whole's, so that they are rounded once. `means` are
/// those of every node's channels.
pub fn assign(graph: &Graph, input: &InputSpec, ranges: &[Range], means: Vec<Vec<f32>>) -> Quants {
    let mut by_node: Vec<Quant> = ranges.iter().map(|r| quant(*r)).collect();
    by_node[0] = input_quant(input);
    let uses = graph.uses();
    for (id, node) in graph.nodes.iter().enumerate() {
        for &part in node.inputs.iter().filter(|_| node.op == Op::Concat) {
            if part != 0 && uses[part] == 1 {
                by_node[part] = by_node[id];
            }
        }
    }
    for (id, node) in graph.nodes.iter().enumerate() {
        if matches!(node.op, Op::MaxPool(_) | Op::Slice { .. } | Op::Pad { .. }) {
            by_node[id] = by_node[node.inputs[0]];
        }
    }
    Quants { by_node, means }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::model::{ChannelOrder, Filter, ResizeRule};

    #[test]
    fn ranges_keep_zero_exact() {
        assert_eq!(
            quant(Range::new(0.0, 6.0)),
            Quant {
                scale: 6.0 / 255.0,
                zero_point: -128
            }
        );
        assert_eq!(
            quant(Range::new(-128.0, 127.0)),
            Quant {
                scale: 1.0,
                zero_point: 0
            }
        );
        assert_eq!(quant(Range::new(-3.0, -1.0)).zero_point, 127);
        assert!(quant(Range::new(0.0, 0.0)).scale > 0.0);
    }

    #[test]
    fn efficientnets_pixels_are_exact() {
        let spec = InputSpec {
            height: 1,
            width: 1,
            resize: ResizeRule::Squash,
            filter: Filter::Bicubic,
            order: ChannelOrder::Rgb,
            mean: [127.0; 3],
            std: [128.0; 3],
        };
        assert_eq!(
            input_quant(&spec),
            Quant {
                scale: 1.0 / 128.0,
                zero_point: -1
            }
        );
    }
}
