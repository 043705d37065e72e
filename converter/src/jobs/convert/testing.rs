//! A network that is small enough for the tests of every stage.

use crate::graph::{Activation, ConvWeights, Graph, Op, Shape, Window};
use crate::lower::About;
use edge_runtime::model::{
    ChannelOrder, Filter, InputSpec, Manifest, OutputFunction, ResizeRule, WeightsOrigin,
};

/// Pictures of 8x8 RGB pixels.
pub const INPUT: InputSpec = InputSpec {
    height: 8,
    width: 8,
    resize: ResizeRule::Squash,
    filter: Filter::Bilinear,
    order: ChannelOrder::Rgb,
    mean: [127.5; 3],
    std: [63.0; 3],
};

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

/// What the file of a test says of itself.
pub fn about() -> About<'static> {
    About {
        manifest: Manifest {
            name: "test",
            source: "test",
            license: "",
            converter: "test",
            weights: WeightsOrigin::Pretrained { sha256: [0; 32] },
            input: INPUT,
            quantization: None,
            parameters: 0,
            macs: 1_000_000_000,
        },
        labels: "",
        function: OutputFunction::Softmax,
        check: None,
    }
}
