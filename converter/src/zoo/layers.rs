//! The layers that architectures are written in, and where their weights come from.
//!
//! A [`Builder`] adds layers to a [`Graph`]; each takes its parameters by PyTorch's name from a
//! checkpoint, or makes seeded random ones. What is missing, extra or of another shape is collected,
//! so that one error says all. Knows no architecture and no file.

use std::collections::BTreeSet;
use std::fmt;

use crate::dataset::splitmix::SplitMix64;
use crate::graph::{
    Activation, BatchNorm, ConvWeights, Graph, GraphError, NodeId, Op, Shape, Window,
};
use crate::import::StateDict;

/// Where the numbers of a network come from.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// A checkpoint, by parameter name. `num_batches_tracked` entries are passed over.
    StateDict(&'a StateDict),
    /// Seeded random numbers (He et al., 2015), the same on every machine: good for latency and
    /// memory, of no accuracy. Batch norms fit them, so that activations stay in range.
    Random {
        /// The seed.
        seed: u64,
    },
}

/// How a checkpoint differs from what a network needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Parameters that the network needs and the checkpoint lacks.
    pub missing: Vec<String>,
    /// Parameters that the checkpoint has and the network does not.
    pub extra: Vec<String>,
    /// `name: shape, expected shape`.
    pub shapes: Vec<String>,
    /// Parameters with NaN or infinite values.
    pub not_finite: Vec<String>,
}

impl Mismatch {
    fn is_empty(&self) -> bool {
        [&self.missing, &self.extra, &self.shapes, &self.not_finite]
            .iter()
            .all(|l| l.is_empty())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Longest list that is written out.
        const SHOWN: usize = 3;
        let lists = [
            (&self.missing, "missing"),
            (&self.extra, "extra"),
            (&self.shapes, "of another shape"),
            (&self.not_finite, "with NaN or infinity"),
        ];
        let mut separator = "";
        for (list, what) in lists.into_iter().filter(|(l, _)| !l.is_empty()) {
            let first: Vec<&str> = list.iter().take(SHOWN).map(String::as_str).collect();
            let dots = if list.len() > SHOWN { ", ..." } else { "" };
            write!(
                f,
                "{separator}{} {what} ({}{dots})",
                list.len(),
                first.join("; ")
            )?;
            separator = ", ";
        }
        Ok(())
    }
}

/// A convolution to add: 'same' padding, stride 1, one group and no bias unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    out: usize,
    kernel: u32,
    stride: u32,
    groups: usize,
}

impl Conv {
    /// `out` channels through a window of `kernel` by `kernel`.
    pub fn new(out: usize, kernel: u32) -> Self {
        Self {
            out,
            kernel,
            stride: 1,
            groups: 1,
        }
    }

    /// Steps of the window, both ways.
    pub fn stride(self, stride: u32) -> Self {
        Self { stride, ..self }
    }

    /// Channel groups; as many as channels for a depthwise convolution.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }
}

/// Adds layers to a graph; made by [`Builder::new`], closed by [`Builder::finish`].
pub struct Builder<'a> {
    graph: Graph,
    weights: Weights<'a>,
    random: SplitMix64,
    taken: BTreeSet<String>,
    mismatch: Mismatch,
    /// Mean square of each node's values, guessed; what batch norms on random weights need.
    power: Vec<f32>,
}

impl<'a> Builder<'a> {
    /// A network with nothing but its input.
    pub fn new(input: Shape, weights: Weights<'a>) -> Self {
        let seed = if let Weights::Random { seed } = weights {
            seed
        } else {
            0
        };
        Self {
            graph: Graph::new(input),
            weights,
            random: SplitMix64::new(seed),
            taken: BTreeSet::new(),
            mismatch: Mismatch::default(),
            // Normalized pictures: values mostly within -1 to 1.
            power: vec![0.3],
        }
    }

    /// The network, or how the checkpoint differs from it.
    pub fn finish(mut self) -> Result<Graph, Mismatch> {
        if let Weights::StateDict(dict) = self.weights {
            let unused = dict
                .keys()
                .filter(|k| !self.taken.contains(*k) && !k.ends_with("num_batches_tracked"));
            self.mismatch.extra = unused.cloned().collect();
        }
        if self.mismatch.is_empty() {
            Ok(self.graph)
        } else {
            Err(self.mismatch)
        }
    }

    /// The network's input.
    pub fn input(&self) -> NodeId {
        0
    }

    /// Channels of a node's result.
    pub fn channels(&self, node: NodeId) -> usize {
        self.graph.nodes[node].shape.c as usize
    }

    /// A convolution without bias, padded as TensorFlow's 'same' does; parameter `NAME.weight`.
    pub fn conv(&mut self, name: &str, input: NodeId, conv: Conv) -> Result<NodeId, GraphError> {
        let shape = self.graph.nodes[input].shape;
        let same = [
            same_padding(shape.h, conv.kernel, conv.stride),
            same_padding(shape.w, conv.kernel, conv.stride),
        ];
        let window = Window {
            kernel: [conv.kernel; 2],
            stride: [conv.stride; 2],
            dilation: [1, 1],
            pad_before: same.map(|p| p.0),
            pad_after: same.map(|p| p.1),
        };
        let (k, per_group) = (conv.kernel as usize, shape.c as usize / conv.groups.max(1));
        let fan_in = k * k * per_group;
        let oihw = self.take(
            &format!("{name}.weight"),
            &[conv.out, per_group, k, k],
            Fill::He { fan_in, gain: 2.0 },
        );
        let op = Op::Conv(ConvWeights {
            window,
            groups: conv.groups,
            out_channels: conv.out,
            weights: oihw_to_ohwi(&oihw, per_group, k * k),
            bias: vec![0.0; conv.out],
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        });
        let power = 2.0 * self.power[input];
        self.push(name, op, &[input], power)
    }

    /// A fully connected layer with bias on all of its input (in PyTorch's order: channels, rows,
    /// columns); parameters `NAME.weight` and `NAME.bias`.
    pub fn linear(&mut self, name: &str, input: NodeId, out: usize) -> Result<NodeId, GraphError> {
        let shape = self.graph.nodes[input].shape;
        let fan_in = shape.len();
        let weights = self.take(
            &format!("{name}.weight"),
            &[out, fan_in],
            Fill::He { fan_in, gain: 1.0 },
        );
        let bias = self.take(
            &format!("{name}.bias"),
            &[out],
            Fill::He { fan_in, gain: 0.1 },
        );
        let op = Op::Conv(ConvWeights {
            window: Window {
                kernel: [shape.h, shape.w],
                ..Window::POINT
            },
            groups: 1,
            out_channels: out,
            weights: oihw_to_ohwi(
                &weights,
                shape.c as usize,
                shape.h as usize * shape.w as usize,
            ),
            bias,
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        });
        let power = self.power[input];
        self.push(name, op, &[input], power)
    }

    /// Batch normalization; parameters `NAME.weight`, `.bias`, `.running_mean`, `.running_var`.
    pub fn batch_norm(
        &mut self,
        name: &str,
        input: NodeId,
        epsilon: f32,
    ) -> Result<NodeId, GraphError> {
        let c = self.channels(input);
        let power = self.power[input];
        let mut take =
            |what: &str, value| self.take(&format!("{name}.{what}"), &[c], Fill::Constant(value));
        let op = Op::BatchNorm(BatchNorm {
            gamma: take("weight", 1.0),
            beta: take("bias", 0.0),
            mean: take("running_mean", 0.0),
            variance: take("running_var", power),
            epsilon,
        });
        self.push(name, op, &[input], 1.0)
    }

    /// `min(max(x, 0), 6)`, named after its input.
    pub fn relu6(&mut self, input: NodeId) -> Result<NodeId, GraphError> {
        let name = format!("{}.relu6", self.graph.nodes[input].name);
        let power = 0.5 * self.power[input];
        self.push(&name, Op::Activation(Activation::Relu6), &[input], power)
    }

    /// Sum of two nodes of one shape.
    pub fn add(&mut self, name: &str, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let power = self.power[a] + self.power[b];
        self.push(name, Op::Add(Activation::None), &[a, b], power)
    }

    /// Mean over all rows and columns.
    pub fn global_avg_pool(&mut self, name: &str, input: NodeId) -> Result<NodeId, GraphError> {
        let shape = self.graph.nodes[input].shape;
        let window = Window {
            kernel: [shape.h, shape.w],
            ..Window::POINT
        };
        let power = self.power[input];
        self.push(
            name,
            Op::AvgPool {
                window,
                count_padding: false,
            },
            &[input],
            power,
        )
    }

    fn push(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[NodeId],
        power: f32,
    ) -> Result<NodeId, GraphError> {
        let node = self.graph.push(name, op, inputs)?;
        self.power.push(power);
        Ok(node)
    }

    /// The values of a parameter. Zeros stand in for one that does not fit; `finish` reports it.
    fn take(&mut self, name: &str, shape: &[usize], fill: Fill) -> Vec<f32> {
        let len = shape.iter().product();
        let Weights::StateDict(dict) = self.weights else {
            return fill.values(len, &mut self.random);
        };
        self.taken.insert(name.into());
        match dict.get(name) {
            None => self.mismatch.missing.push(name.into()),
            Some(t) if t.shape != shape || t.data.len() != len => {
                let found = dimensions(&t.shape);
                self.mismatch
                    .shapes
                    .push(format!("{name}: {found}, expected {}", dimensions(shape)));
            }
            Some(t) if !t.data.iter().all(|v| v.is_finite()) => {
                self.mismatch.not_finite.push(name.into())
            }
            Some(t) => return t.data.clone(),
        }
        vec![0.0; len]
    }
}

/// How random weights are made.
enum Fill {
    /// Uniform, variance `gain / fan_in`.
    He { fan_in: usize, gain: f32 },
    /// All alike.
    Constant(f32),
}

impl Fill {
    fn values(self, len: usize, random: &mut SplitMix64) -> Vec<f32> {
        match self {
            Fill::Constant(v) => vec![v; len],
            Fill::He { fan_in, gain } => {
                let bound = (3.0 * gain / fan_in.max(1) as f32).sqrt();
                (0..len).map(|_| random.range(-bound, bound)).collect()
            }
        }
    }
}

fn dimensions(shape: &[usize]) -> String {
    let parts: Vec<String> = shape.iter().map(usize::to_string).collect();
    if parts.is_empty() {
        "scalar".into()
    } else {
        parts.join("x")
    }
}

/// PyTorch's `[out][in][area]` as `[out][area][in]`.
fn oihw_to_ohwi(weights: &[f32], channels: usize, area: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(weights.len());
    for filter in weights.chunks_exact((channels * area).max(1)) {
        for at in 0..area {
            out.extend((0..channels).map(|c| filter[c * area + at]));
        }
    }
    out
}

/// TensorFlow's 'same' padding of one axis, before and after: the output has `ceil(len / stride)`
/// elements, and an odd rest goes after.
pub fn same_padding(len: u32, kernel: u32, stride: u32) -> (u32, u32) {
    let needed = len.div_ceil(stride).saturating_sub(1) * stride + kernel;
    let total = needed.saturating_sub(len);
    (total / 2, total - total / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::NamedTensor;

    fn dict(tensors: &[(&str, &[usize], Vec<f32>)]) -> StateDict {
        let one = |(n, s, d): &(&str, &[usize], Vec<f32>)| {
            (
                n.to_string(),
                NamedTensor {
                    shape: s.to_vec(),
                    data: d.clone(),
                },
            )
        };
        tensors.iter().map(one).collect()
    }

    fn counting(n: usize) -> Vec<f32> {
        (0..n).map(|v| v as f32).collect()
    }

    fn conv_of(graph: &Graph, node: usize) -> &ConvWeights {
        match &graph.nodes[node].op {
            Op::Conv(c) => c,
            other => panic!("{}", other.name()),
        }
    }

    #[test]
    fn same_padding_as_tensorflow() {
        assert_eq!(same_padding(224, 3, 2), (0, 1));
        assert_eq!(same_padding(225, 3, 2), (1, 1));
        assert_eq!(same_padding(56, 5, 2), (1, 2));
        assert_eq!(same_padding(14, 5, 1), (2, 2));
        assert_eq!(same_padding(14, 1, 2), (0, 0));
        assert_eq!(same_padding(7, 3, 3), (1, 1));
    }

    #[test]
    fn convolution_weights_become_ohwi() {
        let dict = dict(&[
            ("c.weight", &[2, 3, 2, 2], counting(24)),
            ("d.weight", &[2, 1, 2, 2], counting(8)),
        ]);
        let mut net = Builder::new(Shape::new(4, 4, 3), Weights::StateDict(&dict));
        let x = net.conv("c", 0, Conv::new(2, 2)).unwrap();
        net.conv("d", x, Conv::new(2, 2).groups(2)).unwrap();
        let graph = net.finish().unwrap();
        let c = conv_of(&graph, 1);
        assert_eq!(c.weights[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(c.weights[12..15], [12.0, 16.0, 20.0]);
        assert_eq!(conv_of(&graph, 2).weights, counting(8));
    }

    #[test]
    fn linear_covers_the_map_in_pytorchs_order() {
        // Input 2x1x3: PyTorch counts channel by channel, we pixel by pixel.
        let dict = dict(&[
            ("f.weight", &[1, 6], counting(6)),
            ("f.bias", &[1], vec![7.0]),
        ]);
        let mut net = Builder::new(Shape::new(2, 1, 3), Weights::StateDict(&dict));
        net.linear("f", 0, 1).unwrap();
        let graph = net.finish().unwrap();
        let f = conv_of(&graph, 1);
        assert_eq!(f.weights, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        assert_eq!((f.window.kernel, f.bias[0]), ([2, 1], 7.0));
        assert_eq!(graph.nodes[1].shape, Shape::new(1, 1, 1));
    }

    #[test]
    fn all_kinds_of_mismatch_in_one_error() {
        let dict = dict(&[
            ("a.weight", &[1, 3, 1, 1], vec![0.0, f32::NAN, 0.0]),
            ("b.weight", &[1, 2, 1, 1], vec![0.0; 2]),
            ("n.num_batches_tracked", &[], vec![5.0]),
            ("x", &[], vec![5.0]),
        ]);
        let mut net = Builder::new(Shape::new(1, 1, 3), Weights::StateDict(&dict));
        for name in ["a", "b", "c", "d", "e", "f"] {
            net.conv(name, 0, Conv::new(1, 1)).unwrap();
        }
        let mismatch = net.finish().unwrap_err();
        assert_eq!(
            mismatch.to_string(),
            "4 missing (c.weight; d.weight; e.weight, ...), 1 extra (x), \
             1 of another shape (b.weight: 1x2x1x1, expected 1x3x1x1), 1 with NaN or infinity (a.weight)"
        );
    }

    #[test]
    fn random_weights_are_seeded_and_scaled() {
        let net = |seed| {
            let mut net = Builder::new(Shape::new(8, 8, 16), Weights::Random { seed });
            net.conv("c", 0, Conv::new(64, 3)).unwrap();
            conv_of(&net.finish().unwrap(), 1).weights.clone()
        };
        assert_eq!(net(1), net(1));
        assert_ne!(net(1), net(2));
        let w = net(1);
        let variance = w.iter().map(|v| v * v).sum::<f32>() / w.len() as f32;
        assert!((variance * 144.0 / 2.0 - 1.0).abs() < 0.05, "{variance}");
    }
}
