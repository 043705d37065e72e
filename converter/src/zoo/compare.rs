//! Tells whether the graph of a file is a network of the catalog: whether it has the same layers, which
//! different files can write in different ways.

use super::{CatalogEntry, Weights, ZooError, build, has_architecture};
use crate::graph::{Activation, Graph, Node, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Largest relative difference of the multiply-accumulates that different ways of padding can make.
const NEAR: f64 = 0.02;

/// What is the same of a convolution or fully connected layer, in whatever way a file writes the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Layer {
    kernel: [u32; 2],
    stride: [u32; 2],
    inputs: usize,
    outputs: usize,
    depthwise: bool,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rows, columns] = self.kernel;
        let kind = if self.depthwise { "depthwise " } else { "" };
        write!(
            f,
            "{kind}{rows}x{columns} with stride {} from {} to {} channels",
            self.stride[0], self.inputs, self.outputs
        )
    }
}

/// Compares with the figures of the catalog.
fn size_difference(entry: &CatalogEntry, graph: &Graph) -> Option<String> {
    let figures = [
        ("parameters", graph.parameters(), entry.parameters),
        ("multiply-accumulates", graph.macs(), entry.macs),
    ];
    let far =
        |(_, own, known): &(&str, u64, u64)| own.abs_diff(*known) as f64 > NEAR * *known as f64;
    let (what, own, known) = figures.into_iter().find(far)?;
    Some(format!("it has {own} {what}, '{}' has {known}", entry.name))
}

/// What `graph` has otherwise than the network that the catalog builds; `None` if it has nothing. Of a
/// network whose layers the catalog does not know, its parameters and multiply-accumulates are compared.
pub fn difference(entry: &CatalogEntry, graph: &Graph) -> Result<Option<String>, ZooError> {
    if !has_architecture(entry) {
        return Ok(size_difference(entry, graph));
    }
    let known = build(entry, Weights::Shapes)?;
    let name = &entry.name;
    let (own, wanted) = (layers(graph), layers(&known));
    let (has, needs) = (count(&own), count(&wanted));
    let of = |counts: &BTreeMap<Layer, usize>, layer| counts.get(layer).copied().unwrap_or(0);
    if has != needs && convolutions(graph) != convolutions(&known) {
        return Ok(Some(format!(
            "it has {} convolutions and fully connected layers, '{name}' has {}",
            convolutions(graph),
            convolutions(&known)
        )));
    }
    let mut all = wanted.iter().chain(&own);
    if let Some(layer) = all.find(|l| of(&has, l) != of(&needs, l)) {
        return Ok(Some(format!(
            "it has {} layers of {layer}, '{name}' has {}",
            of(&has, layer),
            of(&needs, layer)
        )));
    }
    if sums(graph) != sums(&known) {
        return Ok(Some(format!(
            "it has {} sums of two branches, '{name}' has {}",
            sums(graph),
            sums(&known)
        )));
    }
    if let Some(kind) = kinds(graph).difference(&kinds(&known)).next() {
        return Ok(Some(format!("it has layers of {kind}, '{name}' has none")));
    }
    if max_pools(graph) != max_pools(&known) {
        return Ok(Some(format!(
            "it has {} max poolings, '{name}' has {}",
            max_pools(graph),
            max_pools(&known)
        )));
    }
    let (macs, wanted) = (graph.macs(), known.macs());
    if (macs as f64 - wanted as f64).abs() > NEAR * wanted as f64 {
        return Ok(Some(format!(
            "its layers take {macs} multiply-accumulates, those of '{name}' {wanted}: its maps have other sizes"
        )));
    }
    Ok(None)
}

fn count(layers: &[Layer]) -> BTreeMap<Layer, usize> {
    let mut counts = BTreeMap::new();
    for layer in layers {
        *counts.entry(*layer).or_insert(0) += 1;
    }
    counts
}

fn convolutions(graph: &Graph) -> usize {
    let conv = |n: &&Node| matches!(n.op, Op::Conv(_));
    graph.nodes.iter().filter(conv).count()
}

fn sums(graph: &Graph) -> usize {
    let sum = |n: &&Node| matches!(n.op, Op::Add(_));
    graph.nodes.iter().filter(sum).count()
}

fn max_pools(graph: &Graph) -> usize {
    let pool = |n: &&Node| matches!(n.op, Op::MaxPool(_));
    graph.nodes.iter().filter(pool).count()
}

/// Number of activations that are no clamp; clamps are written in different ways.
fn kinds(graph: &Graph) -> BTreeSet<&'static str> {
    let kind = |n: &Node| match n.op {
        Op::PRelu(_) => Some("PReLU"),
        Op::Activation(Activation::LeakyRelu(_)) => Some("LeakyReLU"),
        Op::Activation(Activation::Sigmoid) => Some("sigmoid"),
        Op::Activation(Activation::HardSigmoid) => Some("hard sigmoid"),
        Op::Activation(Activation::Silu) => Some("SiLU"),
        Op::Activation(Activation::HardSwish) => Some("hard swish"),
        Op::Activation(Activation::Tanh) => Some("tanh"),
        _ => None,
    };
    graph.nodes.iter().filter_map(kind).collect()
}

/// The layers with weights, in the graph's order.
fn layers(graph: &Graph) -> Vec<Layer> {
    let mut layers = vec![];
    for node in &graph.nodes {
        let Op::Conv(conv) = &node.op else { continue };
        let from = graph.nodes[node.inputs[0]].shape;
        let (inputs, outputs) = (from.c as usize, conv.out_channels);
        let depthwise = conv.groups > 1 && conv.groups == inputs;
        let kernel = conv.window.kernel;
        if depthwise && kernel == [1, 1] && inputs == outputs {
            // A factor and an offset per channel, as a batch norm is.
            continue;
        }
        // A window that covers the whole input does not move.
        let once = (node.shape.h, node.shape.w) == (1, 1);
        let layer = Layer {
            kernel,
            stride: if once { [1, 1] } else { conv.window.stride },
            inputs,
            outputs,
            depthwise,
        };
        // A format without groups has one convolution for each group.
        match conv.groups {
            groups if depthwise || groups <= 1 => layers.push(layer),
            groups => layers.extend((0..groups).map(|_| Layer {
                inputs: inputs / groups,
                outputs: outputs / groups,
                ..layer
            })),
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::super::catalog;
    use super::*;
    use crate::graph::{ConvWeights, Shape, Window};
    use crate::passes::simplify;

    fn built(name: &str) -> (&'static CatalogEntry, Graph) {
        let entry = catalog::all().iter().find(|e| e.name == name).unwrap();
        (entry, build(entry, Weights::Shapes).unwrap())
    }

    #[test]
    fn a_network_is_itself_with_and_without_batch_norms() {
        for name in ["mlperf-tiny-resnet8", "mobilenet-v2", "resnet20-cifar10"] {
            let (entry, graph) = built(name);
            assert_eq!(difference(entry, &graph).unwrap(), None, "{name}");
            let folded = simplify(graph);
            assert!(
                !folded
                    .nodes
                    .iter()
                    .any(|n| matches!(n.op, Op::BatchNorm(_)))
            );
            assert_eq!(difference(entry, &folded).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn other_networks() {
        let said = |name, other| difference(built(name).0, &built(other).1).unwrap();
        let deeper = said("resnet20-cifar10", "resnet32-cifar10").unwrap();
        assert_eq!(
            deeper,
            "it has 32 convolutions and fully connected layers, 'resnet20-cifar10' has 20"
        );
        let wider = said("squeezenet1.0", "squeezenet1.1").unwrap();
        assert_eq!(
            wider,
            "it has 0 layers of 7x7 with stride 2 from 3 to 96 channels, 'squeezenet1.0' has 1"
        );
        // The same layers but for the batch norms, which a file may have folded.
        assert_eq!(said("vgg11", "vgg11-bn"), None);
    }

    #[test]
    fn the_same_layers_with_other_functions() {
        let (entry, graph) = built("resnet20-cifar10");
        let mut leaky = graph.clone();
        let relu = |op: &Op| matches!(op, Op::Activation(Activation::Relu));
        let node = leaky.nodes.iter_mut().find(|n| relu(&n.op)).unwrap();
        node.op = Op::Activation(Activation::LeakyRelu(0.1));
        let said = difference(entry, &leaky).unwrap().unwrap();
        assert!(said.contains("LeakyReLU"), "{said}");
        let mut pooled = graph;
        let average = |n: &&mut Node| matches!(n.op, Op::AvgPool { .. });
        let node = pooled.nodes.iter_mut().find(average).unwrap();
        let Op::AvgPool { window, .. } = node.op else {
            panic!()
        };
        node.op = Op::MaxPool(window);
        let said = difference(entry, &pooled).unwrap().unwrap();
        assert!(said.contains("1 max poolings"), "{said}");
    }

    #[test]
    fn the_same_layers_otherwise_connected() {
        let (entry, mut graph) = built("mlperf-tiny-resnet8");
        let output = graph.output;
        let sum = Op::Add(Activation::None);
        graph.push("twice", sum, &[output, output]).unwrap();
        let said = difference(entry, &graph).unwrap().unwrap();
        assert!(said.contains("4 sums") && said.contains("has 3"), "{said}");
    }

    /// AlexNet's convolutions in two groups, as a format without groups has them.
    #[test]
    fn groups_taken_apart() {
        let conv = |inputs: usize, outputs: usize, groups: usize| {
            Op::Conv(ConvWeights {
                window: Window::POINT,
                groups,
                out_channels: outputs,
                weights: vec![1.0; inputs / groups * outputs],
                bias: vec![0.0; outputs],
                activation: Activation::None,
                statistics: None,
                weight_scales: None,
            })
        };
        let mut whole = Graph::new(Shape::new(2, 2, 8));
        whole.push("a", conv(8, 6, 2), &[0]).unwrap();
        let mut parts = Graph::new(Shape::new(2, 2, 8));
        let half = |c| Op::Slice {
            start: [0, 0, c],
            step: [1, 1],
            shape: Shape::new(2, 2, 4),
        };
        let ids: Vec<_> = [0, 4]
            .map(|c| {
                let part = parts.push(format!("part {c}"), half(c), &[0]).unwrap();
                parts
                    .push(format!("a {c}"), conv(4, 3, 1), &[part])
                    .unwrap()
            })
            .into();
        parts.push("joined", Op::Concat, &ids).unwrap();
        assert!(layers(&whole) == layers(&parts));
    }
}
