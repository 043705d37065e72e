//! Layers with parameters, activations, sums and products.

use std::collections::BTreeMap;

use super::conv::Conv;
use super::parameters::{Fill, Mismatch, Parameters, Weights};
use super::spread::{Spread, inside};
use crate::graph::{
    Activation, BatchNorm, ConvWeights, Graph, GraphError, NodeId, Op, Shape, Window,
};

/// The node that was added, or why it could not be added.
pub type Built = Result<NodeId, GraphError>;

/// Slope of random PReLUs: the value with which He et al. (2015) start training.
const PRELU_SLOPE: f32 = 0.25;

/// Smallest variance of a random batch norm.
const LEAST_VARIANCE: f32 = 1e-6;

/// Adds layers to a graph; made by [`Builder::new`], closed by [`Builder::finish`].
pub struct Builder<'a> {
    graph: Graph,
    parameters: Parameters<'a>,
    /// Mean and variance of each node's values, estimated for random weights.
    spreads: Vec<Spread>,
}

impl<'a> Builder<'a> {
    /// A network that has only its input. `pictures` are mean and variance of the input's values.
    pub fn new(input: Shape, pictures: Spread, weights: Weights<'a>) -> Self {
        Self {
            graph: Graph::new(input),
            parameters: Parameters::new(weights),
            spreads: vec![pictures],
        }
    }

    /// Ends the network. The error says how the checkpoint differs from what it needs.
    pub fn finish(self) -> Result<Graph, Mismatch> {
        self.parameters.finish()?;
        Ok(self.graph)
    }

    /// Names and shapes, in PyTorch's order of dimensions, of all parameters of the network so far.
    pub fn parameters(&self) -> &BTreeMap<String, Vec<usize>> {
        self.parameters.taken()
    }

    /// Ignores the parameters of a checkpoint whose names begin with `prefix`: parts that only training
    /// needs.
    pub fn ignore(&mut self, prefix: &str) {
        self.parameters.ignore(prefix);
    }

    /// The network's input.
    pub fn input(&self) -> NodeId {
        0
    }

    /// Shape of a node's result.
    pub fn shape(&self, node: NodeId) -> Shape {
        self.graph.nodes[node].shape
    }

    /// Channels of a node's result.
    pub fn channels(&self, node: NodeId) -> usize {
        self.shape(node).c as usize
    }

    /// Mean and variance of a node's values, estimated for random weights.
    pub fn spread(&self, node: NodeId) -> Spread {
        self.spreads[node]
    }

    /// Adds a convolution with parameters `NAME.weight`, and `NAME.bias` if it has a bias.
    pub fn conv(&mut self, name: &str, input: NodeId, conv: Conv) -> Built {
        const GAIN: f32 = 2.0;
        let shape = self.shape(input);
        let window = conv.window(shape);
        let [rows, columns] = conv.kernel.map(|k| k as usize);
        let per_group = shape.c as usize / conv.groups.max(1);
        let fan_in = rows * columns * per_group;
        let weights = self.parameters.take_filters(
            &format!("{name}.weight"),
            &[conv.out, per_group, rows, columns],
            per_group,
            Fill::He { fan_in, gain: GAIN },
        );
        let bias = if conv.bias {
            let fill = Fill::He { fan_in, gain: 0.1 };
            self.parameters
                .take(&format!("{name}.bias"), &[conv.out], fill)
        } else {
            vec![0.0; conv.out]
        };
        let spread = self
            .spread(input)
            .convolved(GAIN, inside(&window, [shape.h, shape.w]));
        let op = convolution(window, conv.groups, weights, bias);
        self.push(name, op, &[input], spread)
    }

    /// Adds a fully connected layer with bias, on all of its input (in PyTorch's order: channels, rows,
    /// columns), with parameters `NAME.weight` and `NAME.bias`.
    pub fn linear(&mut self, name: &str, input: NodeId, out: usize) -> Built {
        self.linear_part(name, input, out, out)
    }

    /// As [`Builder::linear`], but a checkpoint may have one more class before the others (TensorFlow's
    /// background class), which is left out.
    pub fn linear_without_background(&mut self, name: &str, input: NodeId, out: usize) -> Built {
        let rows = self.parameters.rows(&format!("{name}.bias"));
        let rows = rows.filter(|r| *r == out + 1).unwrap_or(out);
        self.linear_part(name, input, out, rows)
    }

    /// The last `out` of `rows` neurons.
    fn linear_part(&mut self, name: &str, input: NodeId, out: usize, rows: usize) -> Built {
        const GAIN: f32 = 1.0;
        let shape = self.shape(input);
        let fan_in = shape.len();
        let mut weights = self.parameters.take_filters(
            &format!("{name}.weight"),
            &[rows, fan_in],
            shape.c as usize,
            Fill::He { fan_in, gain: GAIN },
        );
        let fill = Fill::He { fan_in, gain: 0.1 };
        let mut bias = self.parameters.take(&format!("{name}.bias"), &[rows], fill);
        weights.drain(..(rows - out) * fan_in);
        bias.drain(..rows - out);
        let window = Window {
            kernel: [shape.h, shape.w],
            ..Window::POINT
        };
        let spread = self.spread(input).convolved(GAIN, 1.0);
        self.push(
            name,
            convolution(window, 1, weights, bias),
            &[input],
            spread,
        )
    }

    /// Adds a batch normalization with parameters `NAME.weight`, `.bias`, `.running_mean` and `.running_var`.
    pub fn batch_norm(&mut self, name: &str, input: NodeId, epsilon: f32) -> Built {
        let c = self.channels(input);
        let Spread { mean, variance } = self.spread(input);
        let mut take = |what: &str, value| {
            let name = format!("{name}.{what}");
            self.parameters.take(&name, &[c], Fill::Constant(value))
        };
        let op = Op::BatchNorm(BatchNorm {
            gamma: take("weight", 1.0),
            beta: take("bias", 0.0),
            mean: take("running_mean", mean),
            variance: take("running_var", variance.max(LEAST_VARIANCE)),
            epsilon,
        });
        self.push(name, op, &[input], Spread::UNIT)
    }

    /// Adds a function of every element, named after its input.
    pub fn activation(&mut self, input: NodeId, activation: Activation) -> Built {
        let what = match activation {
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
            Activation::HardSwish => "hardswish",
            Activation::HardSigmoid => "hardsigmoid",
            Activation::Sigmoid => "sigmoid",
            Activation::Silu => "silu",
            Activation::Tanh => "tanh",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Clip(..) => "clip",
            Activation::None => "identity",
        };
        let name = format!("{}.{what}", self.graph.nodes[input].name);
        let spread = self.spread(input).activated(activation);
        self.push(&name, Op::Activation(activation), &[input], spread)
    }

    /// Adds `max(x, 0)`, named after its input.
    pub fn relu(&mut self, input: NodeId) -> Built {
        self.activation(input, Activation::Relu)
    }

    /// Adds `min(max(x, 0), 6)`, named after its input.
    pub fn relu6(&mut self, input: NodeId) -> Built {
        self.activation(input, Activation::Relu6)
    }

    /// Adds `x` if positive, else the channel's slope times `x`, with parameter `NAME.weight`.
    pub fn prelu(&mut self, name: &str, input: NodeId) -> Built {
        let slopes = self.parameters.take(
            &format!("{name}.weight"),
            &[self.graph.nodes[input].shape.c as usize],
            Fill::Constant(PRELU_SLOPE),
        );
        let spread = self
            .spread(input)
            .activated(Activation::LeakyRelu(PRELU_SLOPE));
        self.push(name, Op::PRelu(slopes), &[input], spread)
    }

    /// Adds the sum of two nodes of one shape.
    pub fn add(&mut self, name: &str, a: NodeId, b: NodeId) -> Built {
        let spread = self.spread(a).sum(self.spread(b));
        self.push(name, Op::Add(Activation::None), &[a, b], spread)
    }

    /// Adds the product of a map and one number per channel (1x1xC).
    pub fn gate(&mut self, name: &str, map: NodeId, gate: NodeId) -> Built {
        let spread = self.spread(map).product(self.spread(gate));
        self.push(name, Op::Mul, &[map, gate], spread)
    }

    pub(super) fn push(&mut self, name: &str, op: Op, inputs: &[NodeId], spread: Spread) -> Built {
        let node = self.graph.push(name, op, inputs)?;
        self.spreads.push(spread);
        Ok(node)
    }
}

fn convolution(window: Window, groups: usize, weights: Vec<f32>, bias: Vec<f32>) -> Op {
    Op::Conv(ConvWeights {
        window,
        groups,
        out_channels: bias.len(),
        weights,
        bias,
        activation: Activation::None,
        statistics: None,
        weight_scales: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{NamedTensor, StateDict};

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
    fn convolution_weights_become_ohwi() {
        let dict = dict(&[
            ("c.weight", &[2, 3, 2, 2], counting(24)),
            ("d.weight", &[2, 1, 2, 2], counting(8)),
        ]);
        let mut net = Builder::new(Shape::new(4, 4, 3), Spread::UNIT, Weights::StateDict(&dict));
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
        let mut net = Builder::new(Shape::new(2, 1, 3), Spread::UNIT, Weights::StateDict(&dict));
        net.linear("f", 0, 1).unwrap();
        let graph = net.finish().unwrap();
        let f = conv_of(&graph, 1);
        assert_eq!(f.weights, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        assert_eq!((f.window.kernel, f.bias[0]), ([2, 1], 7.0));
        assert_eq!(graph.nodes[1].shape, Shape::new(1, 1, 1));
    }

    #[test]
    fn a_background_class_is_left_out() {
        let input = Shape::new(1, 1, 2);
        let logits = |classes: usize| {
            let dict = dict(&[
                ("f.weight", &[classes, 2], counting(2 * classes)),
                ("f.bias", &[classes], counting(classes)),
            ]);
            let mut net = Builder::new(input, Spread::UNIT, Weights::StateDict(&dict));
            net.linear_without_background("f", 0, 3).unwrap();
            net.finish().map(|graph| {
                let f = conv_of(&graph, 1);
                (f.weights.clone(), f.bias.clone())
            })
        };
        assert_eq!(logits(3).unwrap(), (counting(6), counting(3)));
        let (weights, bias) = logits(4).unwrap();
        assert_eq!((weights[0], bias[0], bias.len()), (2.0, 1.0, 3));
        let error = logits(5).unwrap_err().to_string();
        assert!(error.contains("f.bias: 5, expected 3"), "{error}");
    }

    #[test]
    fn windows_of_every_padding() {
        let mut net = Builder::new(Shape::new(8, 9, 4), Spread::UNIT, Weights::Shapes);
        let mut shape = |conv: Conv| {
            let node = net.conv("c", 0, conv).unwrap();
            let s = net.shape(node);
            let window = conv_of(&net.graph, node).window;
            ((s.h, s.w, s.c), window.pad_before, window.pad_after)
        };
        assert_eq!(shape(Conv::new(2, 3)), ((8, 9, 2), [1, 1], [1, 1]));
        assert_eq!(shape(Conv::rect(2, [1, 7])), ((8, 9, 2), [0, 3], [0, 3]));
        assert_eq!(shape(Conv::new(2, 3).valid()), ((6, 7, 2), [0, 0], [0, 0]));
        assert_eq!(
            shape(Conv::new(2, 3).dilation(4)),
            ((8, 9, 2), [4, 4], [4, 4])
        );
        let strided = Conv::new(4, 3).stride(2).groups(4);
        assert_eq!(shape(strided), ((4, 5, 4), [1, 1], [1, 1]));
        assert_eq!(shape(strided.same()), ((4, 5, 4), [0, 1], [1, 1]));
        assert_eq!(shape(strided.pad(2)), ((5, 6, 4), [2, 2], [2, 2]));
    }

    #[test]
    fn all_kinds_of_mismatch_in_one_error() {
        let dict = dict(&[
            ("a.weight", &[1, 3, 1, 1], vec![0.0, f32::NAN, 0.0]),
            ("b.weight", &[1, 2, 1, 1], vec![0.0; 2]),
            ("n.num_batches_tracked", &[], vec![5.0]),
            ("x", &[], vec![5.0]),
        ]);
        let mut net = Builder::new(Shape::new(1, 1, 3), Spread::UNIT, Weights::StateDict(&dict));
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
            let mut net =
                Builder::new(Shape::new(8, 8, 16), Spread::UNIT, Weights::Random { seed });
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
