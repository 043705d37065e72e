//! Rewrites of the float graph that keep its function: the device gets fewer and simpler layers.
//!
//! Each pass takes a graph and returns another; [`simplify`] runs them in order. What changes the function of
//! a network, to make it smaller, is in [`compress`](crate::compress). This module knows nothing of int8 and of
//! files.

mod clamp_input;
mod fold;
mod fuse;
mod remove_dead;
mod two_classes;

pub use clamp_input::run as clamp_input;

use crate::graph::{Graph, NodeId};
use edge_runtime::model::OutputFunction;

/// Folds batch norms and paddings into convolutions, fuses activations, and removes nodes that nothing reads.
pub fn simplify(graph: Graph) -> Graph {
    let passes = [fold::batch_norms, fold::paddings, fuse::activations];
    passes
        .into_iter()
        .fold(graph, |graph, pass| remove_dead::run(pass(graph)))
}

/// Makes a classifier of one sigmoid one of two classes, where that is possible, and returns whether it did.
/// `function` is what turns the network's output into probabilities.
pub fn two_classes(graph: &mut Graph, function: OutputFunction) -> bool {
    two_classes::run(graph, function)
}

/// Puts `to` in the place of `from`, because it computes the same: nodes that read `from` read `to`, and `to`
/// gets the quantization of `from`.
fn replace(graph: &mut Graph, from: NodeId, to: NodeId) {
    graph.nodes[to].quant = graph.nodes[from].quant;
    graph.redirect(from, to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{BatchNorm, ConvWeights, Op, Shape, Window, reference};
    use edge_runtime::model::Activation;

    fn conv(out: usize, inputs: usize, kernel: u32, seed: f32) -> Op {
        let count = out * inputs * (kernel * kernel) as usize;
        Op::Conv(ConvWeights {
            window: Window {
                kernel: [kernel; 2],
                ..Window::POINT
            },
            groups: 1,
            out_channels: out,
            weights: (0..count).map(|i| (i as f32 * 0.7 + seed).sin()).collect(),
            bias: (0..out).map(|i| i as f32 * 0.1).collect(),
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        })
    }

    fn norm(channels: usize, epsilon: f32) -> Op {
        let around = |middle: f32| {
            (0..channels)
                .map(|i| middle + 0.2 * (i as f32).sin())
                .collect()
        };
        Op::BatchNorm(BatchNorm {
            gamma: around(-1.5),
            beta: around(0.3),
            mean: around(0.1),
            variance: around(1.0),
            epsilon,
        })
    }

    fn names(graph: &Graph) -> Vec<&str> {
        graph.nodes.iter().map(|n| n.name.as_str()).collect()
    }

    /// Everything that a pass may touch, and what it must not: readers of a value before its norm or ReLU.
    fn network() -> Graph {
        let mut g = Graph::new(Shape::new(5, 5, 2));
        let mut push = |name: &str, op: Op, inputs: &[NodeId]| g.push(name, op, inputs).unwrap();
        let first_norm = push("first.norm", norm(2, 1e-3), &[0]);
        let pad = push(
            "pad",
            Op::Pad {
                before: [1, 0, 0],
                after: [1, 2, 0],
            },
            &[first_norm],
        );
        let a = push("a", conv(3, 2, 3, 0.1), &[pad]);
        let a_norm = push("a.norm", norm(3, 1e-3), &[a]);
        let a_more = push("a.more", norm(3, 0.0), &[a_norm]);
        let a_relu = push("a.relu", Op::Activation(Activation::Relu6), &[a_more]);
        let b = push("b", conv(3, 3, 1, 0.5), &[a_relu]);
        let b_relu = push("b.relu", Op::Activation(Activation::Relu), &[b]);
        let sum = push("sum", Op::Add(Activation::None), &[b, b_relu]);
        let _dead = push("dead", conv(1, 3, 1, 0.9), &[sum]);
        let sum_relu = push("sum.relu", Op::Activation(Activation::Relu), &[sum]);
        let tanh = push("tanh", Op::Activation(Activation::Tanh), &[sum_relu]);
        g.output = tanh;
        g
    }

    #[test]
    fn simplifying_keeps_the_function() {
        let before = network();
        let after = simplify(before.clone());
        assert_eq!(
            names(&after),
            ["input", "first.norm", "a", "b", "b.relu", "sum", "tanh"]
        );
        let input: Vec<f32> = (0..50).map(|i| (i as f32 * 1.3).cos()).collect();
        let (want, got) = (
            reference::evaluate(&before, &input),
            reference::evaluate(&after, &input),
        );
        assert!(
            want.iter().any(|v| *v > 0.1),
            "the test network must not be dead"
        );
        for (w, g) in want.iter().zip(&got) {
            assert!((w - g).abs() < 1e-5, "{w} became {g}");
        }
    }

    #[test]
    fn a_norm_that_two_nodes_read_is_not_changed_for_one_of_them() {
        let mut g = Graph::new(Shape::new(2, 2, 3));
        let conv = g.push("conv", conv(3, 3, 1, 0.2), &[0]).unwrap();
        let first = g.push("first", norm(3, 1e-3), &[conv]).unwrap();
        let second = g.push("second", norm(3, 1e-3), &[first]).unwrap();
        g.push("sum", Op::Add(Activation::None), &[first, second])
            .unwrap();
        let after = simplify(g.clone());
        let input: Vec<f32> = (0..12).map(|i| (i as f32).sin()).collect();
        let (want, got) = (
            reference::evaluate(&g, &input),
            reference::evaluate(&after, &input),
        );
        for (w, g) in want.iter().zip(&got) {
            assert!((w - g).abs() < 1e-5, "{w} became {g}");
        }
    }

    #[test]
    fn statistics_follow_the_last_factor() {
        let graph = simplify(network());
        let node = graph.nodes.iter().find(|n| n.name == "a").unwrap();
        let Op::Conv(a) = &node.op else { panic!() };
        assert_eq!(
            (a.activation, a.window.pad_before, a.window.pad_after),
            (Activation::Relu6, [1, 0], [1, 2])
        );
        // a.norm says mean 0.3, std 1.5 for channel 0; a.more is y = -1.5 * (x - 0.1) + 0.3.
        let s = a.statistics.as_ref().unwrap()[0];
        assert!(
            (s.mean - (-1.5 * (0.3 - 0.1) + 0.3)).abs() < 1e-6 && (s.std - 2.25).abs() < 1e-6,
            "{s:?}"
        );
        let Op::Conv(b) = &graph.nodes.iter().find(|n| n.name == "b").unwrap().op else {
            panic!()
        };
        assert_eq!(
            (b.activation, b.statistics.is_none()),
            (Activation::None, true)
        );
    }
}
