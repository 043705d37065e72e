//! A network that is small enough for the tests of every stage.

use crate::graph::{Activation, ConvWeights, Graph, Op, Shape, Window};

pub use crate::lower::testing::{INPUT, about};

fn conv(outputs: usize, inputs: usize, seed: f32) -> Op {
    let weights = (0..outputs * inputs).map(|i| (i as f32 * 1.7 + seed).sin());
    Op::Conv(ConvWeights {
        window: Window::POINT,
        groups: 1,
        out_channels: outputs,
        weights: weights.collect(),
        bias: vec![0.1; outputs],
        activation: Activation::None,
        statistics: None,
        weight_scales: None,
    })
}

/// A convolution to four channels, a ReLU, a global pool, and a classifier.
pub fn network(classes: usize) -> Graph {
    let mut g = Graph::new(Shape::new(8, 8, 3));
    let mut push = |name: &str, op: Op, from: usize| g.push(name, op, &[from]).unwrap();
    let stem = push("conv", conv(4, 3, 0.3), 0);
    let relu = push("relu", Op::Activation(Activation::Relu), stem);
    let window = Window {
        kernel: [8; 2],
        ..Window::POINT
    };
    let pool = Op::AvgPool {
        window,
        count_padding: false,
    };
    let pool = push("pool", pool, relu);
    push("dense", conv(classes, 4, 0.9), pool);
    g
}
