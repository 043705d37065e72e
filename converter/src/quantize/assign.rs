//! Scale and zero point of every tensor.

use super::range::Range;
use crate::graph::bounds::Interval;
use crate::graph::{Graph, NodeId, Op};
use edge_runtime::model::{InputSpec, Quant};

/// Quantization of every node's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Quants(Vec<Quant>);

impl Quants {
    /// Entry `id` is that of node `id`.
    pub fn new(by_node: Vec<Quant>) -> Self {
        Self(by_node)
    }

    /// Of a node's result.
    ///
    /// # Panics
    /// If the graph has no such node.
    pub fn of(&self, id: NodeId) -> Quant {
        self.0[id]
    }
}

/// The quantization of a range: code -128 is its minimum, code 127 its maximum, and zero is exact.
pub fn quant(range: Range) -> Quant {
    // A tensor that is always zero needs a scale too; any will do.
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

/// The quantization of the network's input: it covers all that the input rule makes of the pixel values 0 to
/// 255.
///
/// If all channels have the same mean and std, and the mean is a whole number, the code is exactly `pixel -
/// 128`.
pub fn input_quant(spec: &InputSpec) -> Quant {
    let Interval { min, max } = input_values(spec);
    quant(Range::new(min, max))
}

/// Bounds of what the input rule makes of the pixel values 0 to 255.
pub fn input_values(spec: &InputSpec) -> Interval {
    let channels = 0..spec.channels() as usize;
    Interval::of(channels.flat_map(|c| [0.0, 255.0].map(|x| (x - spec.mean[c]) / spec.std[c])))
}

/// True if an operator only picks elements of its input: its result has the quantization of its input.
fn picks(op: &Op) -> bool {
    matches!(
        op,
        Op::MaxPool(_) | Op::Slice { .. } | Op::Pad { .. } | Op::Shuffle { .. }
    )
}

/// The quantization that the source network gives each node's result; `None` where it says nothing.
///
/// If it is known on one side of an operator that only picks elements, it is known on the other side too. A
/// node that only a clamp reads has the quantization of the clamp, as its codes saturate in the same way.
pub fn given(graph: &Graph) -> Vec<Option<Quant>> {
    let mut given: Vec<Option<Quant>> = graph.nodes.iter().map(|n| n.quant).collect();
    let uses = graph.uses();
    for (id, node) in graph.nodes.iter().enumerate().rev() {
        let clamps = matches!(&node.op, Op::Activation(f) if f.clamp_bounds().is_some());
        let Some(&before) = node.inputs.first().filter(|&&i| uses[i] == 1) else {
            continue;
        };
        if given[before].is_none() && (picks(&node.op) || (clamps && before != 0)) {
            given[before] = given[id];
        }
    }
    for (id, node) in graph.nodes.iter().enumerate() {
        if picks(&node.op) {
            given[id] = given[node.inputs[0]].or(given[id]);
        }
    }
    given
}

/// Gives the result of every node its quantization: that of the source network where it has one, else from
/// the node's range. `input` is the input rule; `ranges` has one entry per node.
///
/// Operators that only pick elements (max pool, slice, pad, shuffle) keep the quantization of their input.
/// The inputs of a concatenation that nothing else reads get that of its result, so that they are rounded
/// only once.
pub fn assign(graph: &Graph, input: &InputSpec, ranges: &[Range]) -> Quants {
    let given = given(graph);
    let mut by_node: Vec<Quant> = ranges.iter().map(|r| quant(*r)).collect();
    by_node[0] = input_quant(input);
    for (quant, given) in by_node.iter_mut().zip(&given) {
        *quant = given.unwrap_or(*quant);
    }
    let uses = graph.uses();
    for (id, node) in graph.nodes.iter().enumerate() {
        for &part in node.inputs.iter().filter(|_| node.op == Op::Concat) {
            if part != 0 && uses[part] == 1 && given[part].is_none() {
                by_node[part] = by_node[id];
            }
        }
    }
    for (id, node) in graph.nodes.iter().enumerate() {
        if picks(&node.op) {
            by_node[id] = by_node[node.inputs[0]];
        }
    }
    Quants(by_node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, Shape, Window};
    use edge_runtime::model::{ChannelOrder, Filter, ResizeRule};

    fn spec(mean: [f32; 3]) -> InputSpec {
        InputSpec {
            height: 1,
            width: 1,
            resize: ResizeRule::Squash,
            filter: Filter::Bicubic,
            order: ChannelOrder::Rgb,
            mean,
            std: [128.0; 3],
        }
    }

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
    fn what_the_source_says_goes_both_ways_through_operators_that_pick() {
        let quant = |scale| Quant {
            scale,
            zero_point: 3,
        };
        let mut g = Graph::new(Shape::new(4, 4, 2));
        let relu = || Op::Activation(Activation::Relu);
        let a = g.push("a", relu(), &[0]).unwrap();
        let pool = g.push("pool", Op::MaxPool(Window::POINT), &[a]).unwrap();
        let b = g.push("b", relu(), &[pool]).unwrap();
        let shuffle = g.push("shuffle", Op::Shuffle { groups: 2 }, &[b]).unwrap();
        let c = g.push("c", relu(), &[shuffle]).unwrap();
        (g.nodes[pool].quant, g.nodes[b].quant) = (Some(quant(0.5)), Some(quant(0.25)));
        let known = given(&g);
        assert_eq!(
            (known[a], known[pool]),
            (Some(quant(0.5)), Some(quant(0.5)))
        );
        assert_eq!(known[shuffle], Some(quant(0.25)));
        assert_eq!((known[0], known[c]), (None, None));
        let ranges = vec![Range::new(0.0, 1.0); g.nodes.len()];
        let all = assign(&g, &spec([127.0; 3]), &ranges);
        assert_eq!(
            (all.of(shuffle), all.of(c).scale),
            (quant(0.25), 1.0 / 255.0)
        );
    }

    #[test]
    fn efficientnets_pixels_are_exact() {
        assert_eq!(
            input_quant(&spec([127.0; 3])),
            Quant {
                scale: 1.0 / 128.0,
                zero_point: -1
            }
        );
    }
}
