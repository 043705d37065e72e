//! What the tests share: a small network with every operator, and generated pictures to feed it.

pub mod device;
pub mod fuzz;
pub mod fuzz_load;
pub mod machine;
pub mod tiny;

use converter::dataset::{Picture, dead_leaves, image_file};
use converter::graph::{
    BatchNorm, ConvWeights, Graph, LocalResponseNorm, NodeId, Op, Shape, Window,
};
use converter::jobs::convert::{CalibrationSource, Int8Options, Source, convert};
use converter::quantize::range::RangeRule;
use converter::util::progress::Silent;
use edge_runtime::backend::{BackendKind, Observer};
use edge_runtime::model::header::{self, Header};
use edge_runtime::model::{
    Activation, AlignedBytes, ChannelOrder, Filter, InputSpec, Model, OutputFunction, ResizeRule,
    WeightsOrigin,
};
use edge_runtime::random::Random;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Side of the small network's pictures.
pub const SIDE: u32 = 32;

/// An observer of `model` on every backend of this host.
pub fn observers<'m>(model: &Model<'m>) -> Vec<Box<dyn Observer + 'm>> {
    let observer = |kind: &BackendKind| kind.runtime().prepare(model)?.observer();
    let observers = BackendKind::ALL.iter().map(observer);
    observers
        .collect::<Result<_, _>>()
        .expect("every backend runs it")
}

struct Net {
    graph: Graph,
    random: Random,
}

impl Net {
    fn push(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> NodeId {
        self.graph
            .push(name, op, inputs)
            .expect("the test network fits together")
    }

    fn conv(
        &mut self,
        name: &str,
        from: NodeId,
        out: usize,
        window: Window,
        groups: usize,
    ) -> NodeId {
        let per = (window.kernel[0] * window.kernel[1]) as usize
            * self.graph.nodes[from].shape.c as usize
            / groups;
        let gain = (3.0 / per as f32).sqrt();
        let weights = (0..per * out)
            .map(|_| gain * self.random.between(-1.0, 1.0))
            .collect();
        let bias = (0..out)
            .map(|_| 0.1 * self.random.between(-1.0, 1.0))
            .collect();
        let op = ConvWeights {
            window,
            groups,
            out_channels: out,
            weights,
            bias,
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        };
        self.push(name, Op::Conv(op), &[from])
    }

    fn norm(&mut self, name: &str, from: NodeId) -> NodeId {
        let c = self.graph.nodes[from].shape.c as usize;
        let mut around = |middle: f32| {
            (0..c)
                .map(|_| middle + 0.3 * self.random.between(-1.0, 1.0))
                .collect::<Vec<_>>()
        };
        let op = BatchNorm {
            gamma: around(1.0),
            beta: around(0.2),
            mean: around(0.0),
            variance: around(0.6),
            epsilon: 1e-3,
        };
        self.push(name, Op::BatchNorm(op), &[from])
    }

    /// Squeeze and excitation: every channel times a number that follows from all channels' means.
    fn gate(&mut self, name: &str, from: NodeId) -> NodeId {
        let shape = self.graph.nodes[from].shape;
        let whole = Window {
            kernel: [shape.h, shape.w],
            ..Window::POINT
        };
        let mean = Op::AvgPool {
            window: whole,
            count_padding: false,
        };
        let squeezed = self.push(&format!("{name}.mean"), mean, &[from]);
        let channels = shape.c as usize;
        let gate = self.conv(&format!("{name}.fc"), squeezed, channels, Window::POINT, 1);
        let gate = self.act(&format!("{name}.sigmoid"), gate, Activation::HardSigmoid);
        self.push(name, Op::Mul, &[from, gate])
    }

    fn act(&mut self, name: &str, from: NodeId, activation: Activation) -> NodeId {
        self.push(name, Op::Activation(activation), &[from])
    }
}

fn window(k: u32, stride: u32, before: u32, after: u32) -> Window {
    Window {
        kernel: [k; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pad_before: [before; 2],
        pad_after: [after; 2],
    }
}

/// A network of 32x32 RGB pictures and four classes, with every operator of the format and TensorFlow's
/// asymmetric padding.
pub fn small_net(seed: u64) -> Graph {
    let mut n = Net {
        graph: Graph::new(Shape::new(SIDE, SIDE, 3)),
        random: Random::new(seed),
    };
    let stem = n.conv("stem", 0, 16, window(3, 2, 0, 1), 1);
    let stem = n.norm("stem.bn", stem);
    let stem = n.act("stem.relu6", stem, Activation::Relu6);
    let expand = n.conv("expand", stem, 48, Window::POINT, 1);
    let expand = n.act("expand.hswish", expand, Activation::HardSwish);
    let depth = n.conv("depthwise", expand, 48, window(5, 1, 2, 2), 48);
    let depth = n.norm("depthwise.bn", depth);
    let depth = n.act("depthwise.relu", depth, Activation::Relu);
    let depth = n.gate("gate", depth);
    let depth = n.push("shuffle", Op::Shuffle { groups: 4 }, &[depth]);
    let project = n.conv("project", depth, 16, Window::POINT, 1);
    let add = n.push("residual", Op::Add(Activation::None), &[stem, project]);
    let pool = n.push("maxpool", Op::MaxPool(window(3, 2, 1, 1)), &[add]);
    let average = n.push(
        "avgpool",
        Op::AvgPool {
            window: window(3, 2, 1, 1),
            count_padding: false,
        },
        &[add],
    );
    let grouped = n.conv("grouped", pool, 24, window(3, 1, 1, 1), 2);
    let grouped = n.act("grouped.sigmoid", grouped, Activation::Sigmoid);
    let norm = LocalResponseNorm {
        size: 5,
        alpha: 0.5,
        beta: 0.75,
        bias: 1.0,
    };
    let average = n.push("norm", Op::LocalResponseNorm(norm), &[average]);
    let slopes = (0..16).map(|c| 0.05 * c as f32 - 0.1).collect();
    let average = n.push("prelu", Op::PRelu(slopes), &[average]);
    let concat = n.push("concat", Op::Concat, &[grouped, average]);
    let shape = Shape::new(4, 4, 40);
    let slice = n.push(
        "slice",
        Op::Slice {
            start: [0; 3],
            step: [2; 2],
            shape,
        },
        &[concat],
    );
    let pad = n.push(
        "pad",
        Op::Pad {
            before: [0, 0, 4],
            after: [0, 0, 4],
        },
        &[slice],
    );
    let dilated = Window {
        dilation: [2; 2],
        ..window(3, 1, 2, 2)
    };
    let last = n.conv("dilated", pad, 64, dilated, 1);
    let last = n.norm("dilated.bn", last);
    let last = n.act("dilated.relu", last, Activation::Relu);
    let whole = Op::AvgPool {
        window: Window {
            kernel: [4; 2],
            ..Window::POINT
        },
        count_padding: false,
    };
    let features = n.push("pool", whole, &[last]);
    n.conv("classifier", features, 4, Window::POINT, 1);
    n.graph
}

/// The input rule of [`small_net`].
pub const INPUT: InputSpec = InputSpec {
    height: SIDE,
    width: SIDE,
    resize: ResizeRule::ShortSide(36),
    filter: Filter::Bilinear,
    order: ChannelOrder::Rgb,
    mean: [127.0; 3],
    std: [128.0; 3],
};

/// [`small_net`] as the converter takes it.
pub fn source(seed: u64) -> Source {
    Source {
        name: "small".into(),
        graph: small_net(seed),
        origin: "tests".into(),
        license: String::new(),
        weights: WeightsOrigin::Pretrained { sha256: [0; 32] },
        input: INPUT,
        labels: "east\nnorth\nsouth\nwest".into(),
        output: OutputFunction::Softmax,
        pruned: None,
    }
}

/// An int8 model of 2.4 MB of weights and small activations.
pub fn dense_model() -> AlignedBytes {
    let mut n = Net {
        graph: Graph::new(Shape::new(4, 4, 3)),
        random: Random::new(9),
    };
    let mut last = 0;
    for i in 0..5 {
        last = n.conv(&format!("conv{i}"), last, 256, window(3, 1, 1, 1), 1);
        last = n.act(&format!("relu{i}"), last, Activation::Relu);
    }
    let source = Source {
        graph: n.graph,
        input: InputSpec {
            height: 4,
            width: 4,
            ..INPUT
        },
        labels: String::new(),
        ..source(9)
    };
    let converted = convert(source, Some(&int8()), &Silent);
    converted.expect("the dense network converts").bytes
}

/// int8 without pictures.
pub fn int8() -> Int8Options {
    Int8Options {
        calibration: CalibrationSource::DataFree { images: 8 },
        rule: Some(RangeRule::MinMax),
    }
}

/// A picture of a class that a linear head can tell: dead leaves, tinted and lit from one side.
pub fn picture(class: usize, seed: u64) -> Picture {
    let leaves = dead_leaves::picture(SIDE, SIDE, seed * 31 + class as u64);
    let tint = [
        [1.0, 0.3, 0.3],
        [0.3, 1.0, 0.3],
        [0.3, 0.3, 1.0],
        [0.9, 0.9, 0.2],
    ][class % 4];
    let rgb = leaves
        .rgb()
        .iter()
        .enumerate()
        .map(|(i, v)| (*v as f32 * tint[i % 3]) as u8)
        .collect();
    Picture::new(SIDE, SIDE, rgb).expect("as many bytes as before")
}

/// Writes class folders of PNG pictures.
pub fn class_folders(dir: &Path, classes: &[&str], each: usize, seed: u64) {
    for (class, name) in classes.iter().enumerate() {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for i in 0..each {
            let png = image_file::encode_png(&picture(class, seed + i as u64));
            std::fs::write(folder.join(format!("{i:03}.png")), png).expect("a picture");
        }
    }
}

/// Makes the trunk's and the head's checksums right again, as far as the sections can be found.
pub fn reseal(bytes: &mut [u8]) {
    let Ok(header) = Header::read(bytes) else {
        return;
    };
    if header.sections(bytes).is_err() {
        return;
    }
    let head_at = header.head_offset() as usize;
    let sha = Sha256::digest(&bytes[header::LEN..head_at]);
    bytes[32..64].copy_from_slice(&sha);
    let identity = Model::peek_packing(bytes).map_or(sha.into(), |p| p.trunk_sha256);
    let head = &mut bytes[head_at..];
    if head.len() >= 96 {
        head[32..64].copy_from_slice(&identity);
        let mut own = Sha256::new();
        own.update(&head[..64]);
        own.update(&head[96..]);
        head[64..96].copy_from_slice(&own.finalize());
    }
}
