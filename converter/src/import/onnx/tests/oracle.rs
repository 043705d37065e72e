//! tract-onnx as a judge from outside: it reads the same files with code of its own. What it computes in
//! floats is compared with what the imported graph computes on the float backend.

use super::super::pb;
use super::super::read_bytes;
use super::build::{Model, With, floats, ints, node, noise};
use crate::import::lowered::{self, to_hwc};
use crate::import::shared_data::shared;
use tract_onnx::prelude::*;

/// What tract-onnx computes for `x`, whose dimensions are `dims`.
fn tract(file: &[u8], dims: &[usize], x: &[f32]) -> TractResult<Vec<f32>> {
    let mut file = file;
    // Shapes that a file notes may name a dimension that is fixed here.
    let model = tract_onnx::onnx()
        .with_ignore_value_info(true)
        .with_ignore_output_shapes(true)
        .model_for_read(&mut file)?
        .with_input_fact(0, f32::fact(dims).into())?
        .into_optimized()?
        .into_runnable()?;
    let output = model.run(tvec!(Tensor::from_shape(dims, x)?.into()))?;
    Ok(output[0]
        .to_plain_array_view::<f32>()?
        .iter()
        .copied()
        .collect())
}

/// What the imported graph computes for `x`, given and returned in ONNX's order of elements.
fn ours(file: &[u8], dims: &[usize], x: &[f32]) -> Vec<f32> {
    let imported = read_bytes(file, "test").unwrap_or_else(|e| panic!("{e}"));
    let (softmax, input) = (imported.ends_in_softmax(), imported.graph.input_shape());
    let is_nchw = dims[1..] == [input.c, input.h, input.w].map(|d| d as usize);
    let x = if is_nchw {
        to_hwc(x, input.c as usize)
    } else {
        x.to_vec()
    };
    let shape = imported.graph.nodes[imported.graph.output].shape;
    let y = lowered::evaluate(imported.graph, &[x]).remove(0);
    let (area, channels) = ((shape.h * shape.w) as usize, shape.c as usize);
    let mut y: Vec<f32> = (0..y.len())
        .map(|i| y[i % area * channels + i / area])
        .collect();
    if softmax {
        let sum: f32 = y.iter().map(|v| v.exp()).sum();
        y.iter_mut().for_each(|v| *v = v.exp() / sum);
    }
    y
}

/// Largest difference in units of the largest magnitude.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-3, |m: f32, v| m.max(v.abs()));
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f32::max) / largest
}

/// Fails unless both agree on `file`.
fn agrees(name: &str, file: &[u8], dims: &[usize]) {
    let x = noise(dims.iter().product());
    let theirs = tract(file, dims, &x).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let apart = difference(&ours(file, dims, &x), &theirs);
    assert!(apart < 2e-5, "{name}: {apart} apart");
}

/// A model of `nodes` after each other, on an input of 6 channels, 9 rows and 7 columns.
fn chain(opset: i64, weights: Vec<pb::TensorProto>, nodes: Vec<pb::NodeProto>) -> Model {
    let mut model = Model::new(opset, &DIMS.map(|d| d as i64));
    model.graph().initializer = weights;
    model.graph().node = nodes;
    model
}

const DIMS: [usize; 4] = [1, 6, 9, 7];

/// A model of one node that reads `x`, then `weights`, and writes `y`.
fn one(node: pb::NodeProto, weights: Vec<pb::TensorProto>) -> Model {
    let mut node = node;
    node.input = std::iter::once("x".to_string())
        .chain(weights.iter().map(|w| w.name.clone()))
        .collect();
    chain(13, weights, vec![node])
}

fn op(name: &str) -> pb::NodeProto {
    node(name, &[], "y")
}

fn weights(dims: &[i64]) -> pb::TensorProto {
    let n = dims.iter().product::<i64>() as usize;
    floats("w", dims, &noise(n))
}

fn bias(n: i64) -> pb::TensorProto {
    floats("b", &[n], &noise(n as usize))
}

#[test]
fn convolutions() {
    let conv = || op("Conv");
    let cases = [
        ("plain", conv(), vec![weights(&[5, 6, 3, 3]), bias(5)]),
        ("point", conv(), vec![weights(&[8, 6, 1, 1])]),
        (
            "groups, strides, dilations, pads",
            conv()
                .int("group", 2)
                .ints("strides", &[2, 1])
                .ints("dilations", &[1, 2])
                .ints("pads", &[1, 0, 2, 1]),
            vec![weights(&[4, 3, 3, 2]), bias(4)],
        ),
        (
            "depthwise",
            conv().int("group", 6).ints("pads", &[1, 1, 1, 1]),
            vec![weights(&[6, 1, 3, 3]), bias(6)],
        ),
        (
            "depth multiplier",
            conv().int("group", 6).ints("strides", &[2, 2]),
            vec![weights(&[12, 1, 3, 3])],
        ),
        (
            "same, more after",
            conv()
                .text("auto_pad", "SAME_UPPER")
                .ints("strides", &[2, 2]),
            vec![weights(&[4, 6, 4, 3])],
        ),
        (
            "same, more before",
            conv()
                .text("auto_pad", "SAME_LOWER")
                .ints("strides", &[2, 2]),
            vec![weights(&[4, 6, 4, 3])],
        ),
        ("over all", conv(), vec![weights(&[3, 6, 9, 7]), bias(3)]),
    ];
    for (name, node, weights) in cases {
        agrees(name, &one(node, weights).bytes(), &DIMS);
    }
}

#[test]
fn poolings() {
    let square = |op: &str, kernel: i64, stride: i64, pads: [i64; 4]| {
        self::op(op)
            .ints("kernel_shape", &[kernel; 2])
            .ints("strides", &[stride; 2])
            .ints("pads", &pads)
    };
    let cases = [
        ("max", square("MaxPool", 2, 2, [0; 4])),
        ("max, pads", square("MaxPool", 3, 2, [1, 0, 1, 1])),
        (
            "max, ceil",
            square("MaxPool", 3, 2, [0; 4]).int("ceil_mode", 1),
        ),
        ("average", square("AveragePool", 3, 3, [0; 4])),
        ("average, pads out", square("AveragePool", 3, 2, [1; 4])),
        (
            "average, pads in",
            square("AveragePool", 3, 2, [1; 4]).int("count_include_pad", 1),
        ),
        ("global average", op("GlobalAveragePool")),
        ("global maximum", op("GlobalMaxPool")),
        ("mean", op("ReduceMean").ints("axes", &[2, 3])),
        (
            "mean without dimensions",
            op("ReduceMean").ints("axes", &[-1, -2]).int("keepdims", 0),
        ),
    ];
    for (name, node) in cases {
        agrees(name, &one(node, vec![]).bytes(), &DIMS);
    }
}

#[test]
fn activations_and_norms() {
    let per_channel = |name: &str, offset: f32| {
        let values: Vec<f32> = noise(6).iter().map(|v| v + offset).collect();
        floats(name, &[6], &values)
    };
    let clip = vec![floats("low", &[], &[-0.25]), floats("high", &[], &[0.5])];
    let norm = vec![
        per_channel("scale", 0.0),
        per_channel("offset", 0.5),
        per_channel("mean", 0.0),
        per_channel("variance", 1.5),
    ];
    let cases = [
        ("relu", op("Relu"), vec![]),
        ("clip", op("Clip"), clip),
        ("leaky relu", op("LeakyRelu").float("alpha", 0.2), vec![]),
        (
            "prelu",
            op("PRelu"),
            vec![floats("s", &[6, 1, 1], &noise(6))],
        ),
        ("sigmoid", op("Sigmoid"), vec![]),
        (
            "hard sigmoid",
            op("HardSigmoid").float("alpha", 0.75).float("beta", 0.25),
            vec![],
        ),
        ("tanh", op("Tanh"), vec![]),
        (
            "batch norm",
            op("BatchNormalization").float("epsilon", 1e-2),
            norm,
        ),
        (
            "response norm",
            op("LRN")
                .int("size", 3)
                .float("alpha", 0.5)
                .float("beta", 0.75)
                .float("bias", 1.5),
            vec![],
        ),
    ];
    for (name, node, weights) in cases {
        agrees(name, &one(node, weights).bytes(), &DIMS);
    }
    let swish = chain(14, vec![], vec![node("HardSwish", &["x"], "y")]);
    agrees("hard swish", &swish.bytes(), &DIMS);
}

#[test]
fn arithmetic() {
    let map = |name: &str| floats(name, &[1, 6, 1, 1], &noise(6));
    for name in ["Add", "Sub", "Mul", "Div"] {
        agrees(name, &one(op(name), vec![map("c")]).bytes(), &DIMS);
        let reversed = chain(13, vec![map("c")], vec![node(name, &["c", "x"], "y")]);
        if name != "Div" {
            agrees(name, &reversed.bytes(), &DIMS);
        }
        let alone = one(op(name), vec![floats("c", &[], &[0.75])]);
        agrees(name, &alone.bytes(), &DIMS);
    }
    for name in ["Add", "Sub", "Mul"] {
        let two = vec![node("Tanh", &["x"], "t"), node(name, &["x", "t"], "y")];
        agrees(name, &chain(13, vec![], two).bytes(), &DIMS);
    }
}

#[test]
fn views_and_parts() {
    let cases: [(&str, Vec<pb::TensorProto>, Vec<pb::NodeProto>); 8] = [
        (
            "concat",
            vec![],
            vec![
                node("Relu", &["x"], "r"),
                node("Concat", &["x", "r", "x"], "y").int("axis", 1),
            ],
        ),
        (
            "slice",
            vec![
                ints("from", &[1, 2]),
                ints("to", &[-1, 9]),
                ints("axes", &[1, 2]),
            ],
            vec![node("Slice", &["x", "from", "to", "axes"], "y")],
        ),
        (
            "pad",
            vec![ints("pads", &[0, 0, 1, 2, 0, 0, 3, 0])],
            vec![node("Pad", &["x", "pads"], "y")],
        ),
        (
            "channel shuffle",
            vec![ints("apart", &[1, 2, 3, 9, 7]), ints("back", &[1, 6, 9, 7])],
            vec![
                node("Reshape", &["x", "apart"], "a"),
                node("Transpose", &["a"], "t").ints("perm", &[0, 2, 1, 3, 4]),
                node("Reshape", &["t", "back"], "y"),
            ],
        ),
        (
            "flatten and gemm",
            vec![weights(&[4, 378]), bias(4)],
            vec![
                node("Flatten", &["x"], "f"),
                node("Gemm", &["f", "w", "b"], "y")
                    .int("transB", 1)
                    .float("alpha", 0.5)
                    .float("beta", 2.0),
            ],
        ),
        (
            "reshape and matmul",
            vec![ints("flat", &[1, -1]), weights(&[378, 4]), bias(4)],
            vec![
                node("Reshape", &["x", "flat"], "f"),
                node("MatMul", &["f", "w"], "m"),
                node("Add", &["m", "b"], "y"),
            ],
        ),
        (
            "squeeze",
            vec![ints("axes", &[2, 3]), weights(&[6, 4])],
            vec![
                node("GlobalAveragePool", &["x"], "p"),
                node("Squeeze", &["p", "axes"], "s"),
                node("MatMul", &["s", "w"], "y"),
            ],
        ),
        (
            "softmax",
            vec![weights(&[5, 6, 9, 7])],
            vec![
                node("Conv", &["x", "w"], "c"),
                node("Flatten", &["c"], "f"),
                node("Softmax", &["f"], "y").int("axis", 1),
            ],
        ),
    ];
    for (name, weights, nodes) in cases {
        agrees(name, &chain(13, weights, nodes).bytes(), &DIMS);
    }
    let mut split = node("Split", &["x", "sizes"], "a").int("axis", 1);
    split.output.push("b".into());
    let swapped = node("Concat", &["b", "a"], "y").int("axis", 1);
    let split = chain(13, vec![ints("sizes", &[2, 4])], vec![split, swapped]);
    agrees("split", &split.bytes(), &DIMS);
}

/// A network as TensorFlow exports it: the input is NHWC, a Transpose comes first.
#[test]
fn an_input_in_nhwc() {
    let nodes = vec![
        node("Transpose", &["x"], "t").ints("perm", &[0, 3, 1, 2]),
        node("Conv", &["t", "w", "b"], "y").text("auto_pad", "SAME_UPPER"),
    ];
    let model = chain(13, vec![weights(&[4, 7, 3, 3]), bias(4)], nodes);
    agrees("nhwc", &model.bytes(), &DIMS);
}

/// Depthwise convolutions, a gate over the channels and a residual path.
fn network(epsilon: f32) -> Model {
    let norm = |name: &str, offset: f32| {
        let values: Vec<f32> = noise(8).iter().map(|v| 0.5 * v + offset).collect();
        floats(name, &[8], &values)
    };
    let conv = |name: &str, dims: &[i64]| pb::TensorProto {
        name: name.into(),
        ..weights(dims)
    };
    let weights = vec![
        conv("stem", &[8, 6, 3, 3]),
        norm("scale", 1.0),
        norm("offset", 0.0),
        norm("mean", 0.0),
        norm("variance", 0.75),
        conv("depth", &[8, 1, 3, 3]),
        conv("gate", &[8, 8, 1, 1]),
        conv("classes", &[5, 8]),
        bias(5),
    ];
    let around = [1, 1, 1, 1];
    let norm = ["s", "scale", "offset", "mean", "variance"];
    chain(
        13,
        weights,
        vec![
            node("Conv", &["x", "stem"], "s").ints("pads", &around),
            node("BatchNormalization", &norm, "n").float("epsilon", epsilon),
            node("Relu", &["n"], "r"),
            node("Conv", &["r", "depth"], "d")
                .int("group", 8)
                .ints("pads", &around),
            node("GlobalAveragePool", &["d"], "p"),
            node("Conv", &["p", "gate"], "g"),
            node("Sigmoid", &["g"], "q"),
            node("Mul", &["d", "q"], "m"),
            node("Add", &["m", "r"], "a"),
            node("GlobalAveragePool", &["a"], "o"),
            node("Flatten", &["o"], "f"),
            node("Gemm", &["f", "classes", "b"], "y").int("transB", 1),
        ],
    )
}

#[test]
fn a_network() {
    agrees("network", &network(1e-5).bytes(), &DIMS);
}

/// What is compared is fine enough to notice an attribute that is read a little wrong.
#[test]
fn a_difference_is_noticed() {
    let x = noise(DIMS.iter().product());
    let theirs = tract(&network(1e-5).bytes(), &DIMS, &x).unwrap();
    assert!(difference(&ours(&network(1e-3).bytes(), &DIMS, &x), &theirs) > 1e-4);
}

#[test]
fn the_shared_float_models() {
    let Some(folder) = shared() else { return };
    for (name, dims) in [
        ("resnet20_cifar10.onnx", [1, 3, 32, 32]),
        ("mlperf-tiny/resnet8.onnx", [1, 3, 32, 32]),
        ("mlperf-tiny/vww_mobilenet_v1_025_96.onnx", [1, 3, 96, 96]),
    ] {
        let file = std::fs::read(folder.join("models").join(name)).unwrap();
        agrees(name, &file, &dims);
    }
}
