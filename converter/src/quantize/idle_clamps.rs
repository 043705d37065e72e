//! Clamps that saturation makes idle.

use super::activation::clamp;
use super::assign::Quants;
use crate::graph::{Graph, Op};

/// The graph without clamps that change no code: what they read has their quantization, and saturates there
/// by itself. Nodes keep their numbers; those that are left out read nothing, and nothing reads them.
pub fn remove(mut graph: Graph, quants: &Quants) -> Graph {
    for id in 1..graph.nodes.len() {
        let Op::Activation(function) = graph.nodes[id].op else {
            continue;
        };
        let (before, quant) = (graph.nodes[id].inputs[0], quants.of(id));
        let is_idle = function.clamp_bounds().is_some()
            && quants.of(before) == quant
            && clamp(function, quant) == [i8::MIN, i8::MAX];
        // A network is more than its input.
        if is_idle && (before, graph.output) != (0, id) {
            graph.redirect(id, before);
            graph.nodes[id].inputs.clear();
        }
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, NodeId, Quant, Shape};

    /// A sum and a clamp behind it that nothing but the clamp reads.
    fn clamped(bounds: (f32, f32), quants: [Quant; 3]) -> (Graph, Quants, [NodeId; 2]) {
        let mut g = Graph::new(Shape::new(1, 1, 1));
        let sum = g.push("sum", Op::Add(Activation::None), &[0, 0]).unwrap();
        let clip = Op::Activation(Activation::Clip(bounds.0, bounds.1));
        let clip = g.push("clip", clip, &[sum]).unwrap();
        (g, Quants::new(quants.into()), [sum, clip])
    }

    #[test]
    fn only_clamps_that_change_no_code_go() {
        let quant = |scale| Quant {
            scale,
            zero_point: 0,
        };
        let same = [quant(1.0), quant(0.5), quant(0.5)];
        let (graph, quants, [sum, clip]) = clamped((-64.0, 63.5), same);
        let without = remove(graph, &quants);
        assert_eq!(
            (without.output, &without.nodes[clip].inputs[..]),
            (sum, &[][..])
        );

        for (bounds, quants) in [
            ((-63.0, 63.5), same),
            ((-64.0, 63.5), [quant(1.0), quant(1.0), quant(0.5)]),
        ] {
            let (graph, quants, [_, clip]) = clamped(bounds, quants);
            assert_eq!(remove(graph, &quants).output, clip, "{bounds:?}");
        }
    }

    #[test]
    fn a_network_of_one_clamp_keeps_it() {
        let mut graph = Graph::new(Shape::new(1, 1, 1));
        let clip = Op::Activation(Activation::Clip(-128.0, 127.0));
        let clip = graph.push("clip", clip, &[0]).unwrap();
        let quant = Quant {
            scale: 1.0,
            zero_point: 0,
        };
        assert_eq!(remove(graph, &Quants::new(vec![quant; 2])).output, clip);
    }
}
