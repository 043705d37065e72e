//! What ONNX files say of their pixels, and what comes out for pixels that enter so. The logits are
//! onnxruntime 1.32.0's, which was given the pixels as each file wants them: this network behind the nodes
//! that a case names, with these weights, for the picture of [`picture`].

use super::super::pb::{
    NodeProto, StringStringEntryProto, TensorProto,
    tensor_proto::DataType::{self, Float, Int8, Uint8},
    type_proto,
};
use super::build::{Model, With, codes, floats, import, ints, node, run};
use crate::import::pixels::{Derived, PixelRule};

/// Red, green and blue of 8x8 pixels, channel by channel.
fn picture() -> Vec<f32> {
    let pixel = |i: usize| {
        let (c, y, x) = (i / 64, i / 8 % 8, i % 8);
        ((x * 31 + y * 17 + c * 59 + x * y * 7) % 256) as f32
    };
    (0..192).map(pixel).collect()
}

fn weights(name: &str, dims: &[i64], divisor: f32) -> TensorProto {
    let count = dims.iter().product::<i64>();
    let values = (0..count).map(|i| (i * 37 % 101 - 50) as f32 / divisor);
    floats(name, dims, &values.collect::<Vec<_>>())
}

/// A network of an input of type `kind`; `start` makes `v` of it.
fn network(kind: DataType, input: &[i64], start: &[NodeProto], constants: &[TensorProto]) -> Model {
    let mut model = Model::new(17, input);
    let info = model.graph().input[0].r#type.as_mut().unwrap();
    if let Some(type_proto::Value::TensorType(t)) = &mut info.value {
        t.elem_type = kind as i32;
    }
    model = constants.iter().cloned().fold(model, Model::weight);
    model = start.iter().cloned().fold(model, Model::node);
    model
        .weight(weights("conv.w", &[4, 3, 3, 3], 200.0))
        .weight(weights("conv.b", &[4], 100.0))
        .weight(weights("fc.w", &[3, 4], 50.0))
        .weight(weights("fc.b", &[3], 100.0))
        .node(
            node("Conv", &["v", "conv.w", "conv.b"], "c")
                .ints("strides", &[2, 2])
                .ints("pads", &[1; 4]),
        )
        .node(node("Relu", &["c"], "r"))
        .node(node("GlobalAveragePool", &["r"], "g"))
        .node(node("Flatten", &["g"], "f"))
        .node(node("Gemm", &["f", "fc.w", "fc.b"], "y").int("transB", 1))
}

const NCHW: [i64; 4] = [1, 3, 8, 8];

/// Fails unless the file says `rule`, and pixels that enter so give `logits`.
fn check(what: &str, model: &Model, rule: PixelRule, logits: [f32; 3]) {
    let imported = import(model);
    let derived = imported.pixels.derived.clone();
    let derived: Derived = derived.unwrap_or_else(|| panic!("{what}: nothing derived"));
    assert!(
        derived.rule.is_near(&rule, 3, 1e-5) && derived.certain,
        "{what}: {derived:?}"
    );
    let enters = |(i, p): (usize, f32)| (p - derived.rule.mean[i / 64]) / derived.rule.std[i / 64];
    let x: Vec<f32> = picture().into_iter().enumerate().map(enters).collect();
    let found = run(&imported, &x);
    for (a, b) in found.iter().zip(logits) {
        let close = (a - b).abs() < 2e-4 * b.abs().max(1.0);
        assert!(close, "{what}: {found:?}, not {logits:?}");
    }
}

fn scalar(name: &str, v: f32) -> TensorProto {
    floats(name, &[], &[v])
}

fn channels(name: &str, v: [f32; 3]) -> TensorProto {
    floats(name, &[1, 3, 1, 1], &v)
}

const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const STD: [f32; 3] = [58.395, 57.12, 57.375];
const UNIT_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const UNIT_STD: [f32; 3] = [0.229, 0.224, 0.225];
const CAFFE: [f32; 3] = [123.68, 116.779, 103.939];

#[test]
fn inputs_of_8_bits() {
    let dequantized = |kind, scale: f32, zero| {
        let constants = [scalar("s", scale), codes("z", kind, &[], &[zero])];
        let start = [node("DequantizeLinear", &["x", "s", "z"], "v")];
        network(kind, &NCHW, &start, &constants)
    };
    check(
        "uint8, 1/255",
        &dequantized(Uint8, 1.0 / 255.0, 0),
        PixelRule::UNIT,
        [-0.344_197_84, -0.296_975_67, 0.333_471_95],
    );
    check(
        "uint8, 1/127.5 from 128",
        &dequantized(Uint8, 1.0 / 127.5, 128),
        PixelRule::uniform(128.0, 127.5),
        [-0.522_443_8, -0.220_274_48, 0.291_247_04],
    );
    check(
        "int8: pixels less 128",
        &dequantized(Int8, 1.0 / 128.0, 0),
        PixelRule::uniform(128.0, 128.0),
        [-0.521_168_3, -0.220_498_6, 0.291_299_55],
    );
    let start = [
        node("Cast", &["x"], "f32").int("to", 1),
        node("Mul", &["f32", "s"], "v"),
    ];
    check(
        "cast, and a factor that says nothing",
        &network(Uint8, &NCHW, &start, &[scalar("s", 1.0 / 50.0)]),
        PixelRule::RAW,
        [-0.473_978_85, -0.334_566_6, 0.385_292_14],
    );
    let constants = [
        scalar("s", 255.0),
        channels("mean", UNIT_MEAN),
        channels("std", UNIT_STD),
    ];
    let start = [
        node("Cast", &["x"], "f32").int("to", 1),
        node("Div", &["f32", "s"], "unit"),
        node("Sub", &["unit", "mean"], "less"),
        node("Div", &["less", "std"], "v"),
    ];
    check(
        "cast and normalized",
        &network(Uint8, &NCHW, &start, &constants),
        PixelRule::RAW,
        [-0.895_874_74, -0.188_734_11, 0.323_234_62],
    );
    let start = [
        node("Transpose", &["x"], "t").ints("perm", &[0, 3, 1, 2]),
        node("Cast", &["t"], "f32").int("to", 1),
        node("Mul", &["f32", "s"], "v"),
    ];
    check(
        "NHWC, cast behind the Transpose",
        &network(Uint8, &[1, 8, 8, 3], &start, &[scalar("s", 1.0 / 255.0)]),
        PixelRule::RAW,
        [-0.344_197_84, -0.296_975_67, 0.333_471_95],
    );
}

/// A case of [`floats_that_are_normalized_inside`].
type Case = (
    &'static str,
    Vec<NodeProto>,
    Vec<TensorProto>,
    PixelRule,
    [f32; 3],
);

#[test]
fn floats_that_are_normalized_inside() {
    let pair = |a: &str, b: &str| vec![node(a, &["x", "a"], "1"), node(b, &["1", "b"], "v")];
    let imagenet = [-0.895_874_74, -0.188_734_11, 0.323_234_62];
    let tf = [-0.521_580_3, -0.220_588_2, 0.291_439_38];
    let less_mean = [-43.408_165, 3.151_718_6, 1.909_104_1];
    let norm = |gamma: [f32; 3], beta: [f32; 3], mean: [f32; 3], variance: [f32; 3]| {
        vec![
            floats("a", &[3], &gamma),
            floats("b", &[3], &beta),
            floats("c", &[3], &mean),
            floats("d", &[3], &variance),
        ]
    };
    let batch_norm = |epsilon| {
        vec![node("BatchNormalization", &["x", "a", "b", "c", "d"], "v").float("epsilon", epsilon)]
    };
    let slice = |from: &str, to: &str, out: &str| node("Slice", &["x", from, to, "one"], out);
    let cases: Vec<Case> = vec![
        (
            "x / 255",
            vec![node("Div", &["x", "a"], "v")],
            vec![scalar("a", 255.0)],
            PixelRule::RAW,
            [-0.344_197_87, -0.296_975_67, 0.333_471_95],
        ),
        (
            "(x - 127.5) / 127.5",
            pair("Sub", "Mul"),
            vec![scalar("a", 127.5), scalar("b", 1.0 / 127.5)],
            PixelRule::RAW,
            tf,
        ),
        (
            "ImageNet's statistics on 0 to 255, behind Identity and Cast",
            vec![
                node("Identity", &["x"], "i"),
                node("Sub", &["i", "a"], "1"),
                node("Cast", &["1"], "2").int("to", 1),
                node("Div", &["2", "b"], "v"),
            ],
            vec![channels("a", MEAN), channels("b", STD)],
            PixelRule::RAW,
            imagenet,
        ),
        (
            "Caffe's mean and 0.017",
            pair("Sub", "Mul"),
            vec![channels("a", CAFFE), scalar("b", 0.017)],
            PixelRule::RAW,
            [-0.882_482_5, -0.189_920_66, 0.322_981_24],
        ),
        (
            "Caffe's mean",
            vec![node("Sub", &["x", "a"], "v")],
            vec![channels("a", CAFFE)],
            PixelRule::RAW,
            less_mean,
        ),
        (
            "ImageNet's statistics on 0 to 1",
            pair("Sub", "Div"),
            vec![channels("a", UNIT_MEAN), channels("b", UNIT_STD)],
            PixelRule::UNIT,
            imagenet,
        ),
        (
            "ImageNet's mean on 0 to 1, and no division",
            vec![node("Sub", &["x", "a"], "v")],
            vec![channels("a", UNIT_MEAN)],
            PixelRule::UNIT,
            [-0.392_610_2, -0.256_654_62, 0.319_456_22],
        ),
        (
            "2 x - 1",
            pair("Mul", "Sub"),
            vec![scalar("a", 2.0), scalar("b", 1.0)],
            PixelRule::UNIT,
            tf,
        ),
        (
            "255 x less Caffe's mean",
            pair("Mul", "Sub"),
            vec![scalar("a", 255.0), channels("b", CAFFE)],
            PixelRule::UNIT,
            less_mean,
        ),
        (
            "from -1..1 to ImageNet's statistics",
            pair("Mul", "Add"),
            vec![
                channels("a", UNIT_STD.map(|s| 0.5 / s)),
                channels("b", [0.015 / 0.229, 0.044 / 0.224, 0.094 / 0.225]),
            ],
            PixelRule::TF,
            imagenet,
        ),
        (
            "a batch norm that was trained on pixels",
            batch_norm(1e-3),
            norm(
                [0.9, 1.1, 1.0],
                [0.1, -0.1, 0.0],
                [120.0, 115.0, 101.0],
                [3500.0, 3300.0, 3700.0],
            ),
            PixelRule::RAW,
            [-0.843_896_5, -0.191_969_93, 0.337_055_83],
        ),
        (
            "a batch norm for (x - 127.5) / 127.5",
            batch_norm(1e-5),
            norm([1.0; 3], [0.0; 3], [127.5; 3], [127.5 * 127.5; 3]),
            PixelRule::RAW,
            tf,
        ),
        (
            "channels turned to blue, green, red, each less its mean",
            vec![
                slice("two", "three", "x2"),
                slice("one", "two", "x1"),
                slice("zero", "one", "x0"),
                node("Sub", &["x2", "mb"], "b1"),
                node("Sub", &["x1", "mg"], "g1"),
                node("Sub", &["x0", "mr"], "r1"),
                node("Concat", &["b1", "g1", "r1"], "v").int("axis", 1),
            ],
            vec![
                ints("zero", &[0]),
                ints("one", &[1]),
                ints("two", &[2]),
                ints("three", &[3]),
                scalar("mb", 103.939),
                scalar("mg", 116.779),
                scalar("mr", 123.68),
            ],
            PixelRule::RAW,
            [-31.514_095, 3.566_025_3, 9.110_385],
        ),
        (
            "a convolution of single pixels",
            vec![node("Conv", &["x", "w", "b"], "v")],
            vec![
                floats(
                    "w",
                    &[3, 3, 1, 1],
                    &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0].map(|v: f32| v / 127.5),
                ),
                floats("b", &[3], &[-1.0; 3]),
            ],
            PixelRule::RAW,
            tf,
        ),
    ];
    for (what, start, constants, rule, logits) in cases {
        let model = network(Float, &NCHW, &start, &constants);
        check(what, &model, rule, logits);
    }
}

/// What is no normalization of pixels must not be taken for one.
#[test]
fn nothing_follows_from_trained_factors() {
    let start = [node("Identity", &["x"], "v")];
    let plain = import(&network(Float, &NCHW, &start, &[]));
    assert_eq!((plain.pixels.derived, plain.pixels.doubt), (None, None));
    // Batch norms behind normalized pixels, whole and as TensorFlow takes them apart.
    let norm = |mean: [f32; 3], variance: [f32; 3]| {
        let constants = [
            floats("a", &[3], &[1.3, 0.8, 1.1]),
            floats("b", &[3], &[0.2, -0.3, 0.1]),
            floats("c", &[3], &mean),
            floats("d", &[3], &variance),
        ];
        let start = [node("BatchNormalization", &["x", "a", "b", "c", "d"], "v")];
        import(&network(Float, &NCHW, &start, &constants)).pixels
    };
    for (mean, variance) in [
        ([0.02, -0.01, 0.03], [1.1, 0.9, 1.0]),
        ([0.46, 0.44, 0.4], [0.06, 0.05, 0.07]),
        ([-0.1, -0.12, -0.2], [0.25, 0.24, 0.3]),
        ([0.2, 0.25, 0.3], [0.2, 0.22, 0.3]),
    ] {
        let pixels = norm(mean, variance);
        assert_eq!((&pixels.derived, &pixels.doubt), (&None, &None), "{mean:?}");
    }
    let start = [node("Mul", &["x", "a"], "1"), node("Add", &["1", "b"], "v")];
    for (gain, offset) in [
        ([2.5, 3.1, 2.2], [-1.2, -1.4, -1.0]),
        ([1.3, 0.8, 1.1], [0.2, -0.3, 0.1]),
    ] {
        let constants = [channels("a", gain), channels("b", offset)];
        let pixels = import(&network(Float, &NCHW, &start, &constants)).pixels;
        assert_eq!(pixels.derived, None, "{gain:?}");
        assert!(pixels.doubt.unwrap().contains("factors and offsets"));
    }
}

/// Means in the order blue, green, red say so.
#[test]
fn blue_first() {
    let mut turned = CAFFE;
    turned.reverse();
    let start = [node("Sub", &["x", "a"], "v")];
    for (mean, noted) in [(CAFFE, false), (turned, true)] {
        let model = network(Float, &NCHW, &start, &[channels("a", mean)]);
        let derived = import(&model).pixels.derived.unwrap();
        assert_eq!(derived.rule, PixelRule::RAW);
        assert_eq!(derived.blue_first, noted);
    }
}

#[test]
fn metadata() {
    let start = [node("Identity", &["x"], "v")];
    for (range, format, rule, blue_first) in [
        ("NominalRange_0_255", "Bgr8", Some(PixelRule::RAW), true),
        ("Normalized_0_1", "Rgb8", Some(PixelRule::UNIT), false),
        ("Normalized_1_1", "", Some(PixelRule::TF), false),
        ("something else", "Rgb8", None, false),
    ] {
        let mut model = network(Float, &NCHW, &start, &[]);
        for (key, value) in [
            ("image.nominalpixelrange", range),
            ("Image.BitmapPixelFormat", format),
        ] {
            model.proto.metadata_props.push(StringStringEntryProto {
                key: key.into(),
                value: value.into(),
            });
        }
        let derived = import(&model).pixels.derived;
        assert_eq!(derived.as_ref().map(|d| d.rule), rule, "{range}");
        assert_eq!(derived.is_some_and(|d| d.blue_first), blue_first, "{range}");
    }
}

/// Codes of one scale cannot differ between colours; a range that does is of normalized pixels.
#[test]
fn codes_with_the_range_of_normalized_pixels() {
    let constants = [scalar("s", 0.018_658_448), codes("z", Int8, &[], &[-14])];
    let start = [node("DequantizeLinear", &["x", "s", "z"], "v")];
    let pixels = import(&network(Int8, &NCHW, &start, &constants)).pixels;
    let derived = pixels.derived.clone().unwrap();
    assert!(derived.note.unwrap().contains("-2.12 to 2.64"));
    assert_eq!(derived.rule, PixelRule::uniform(114.0, 1.0 / 0.018_658_448));
    assert_eq!(pixels.against(&PixelRule::TORCHVISION), None);
    assert!(pixels.against(&PixelRule::UNIT).is_some());
}

/// Scales and zero points of the input that onnxruntime 1.32.0's `quantize_static` gave for ten of the
/// flowers at 64x64, normalized in six ways and calibrated in four. Symmetric ones have their zero in the
/// middle, which 0 to 1 and -1 to 1 share.
#[test]
fn ranges_of_calibration() {
    let centred = PixelRule {
        mean: CAFFE,
        std: [1.0; 3],
    };
    let cifar = PixelRule::of_unit([0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]);
    let (raw, unit, tf) = (PixelRule::RAW, PixelRule::UNIT, PixelRule::TF);
    let torchvision = PixelRule::TORCHVISION;
    // The zero point behind it is that of another activation.
    for (scale, zero, kind, other, rule) in [
        (1.0, 0, Uint8, 0, Some(raw)),
        (1.0, -128, Int8, -128, Some(raw)),
        (0.999_511_7, 0, Uint8, 0, Some(raw)),
        (2.007_874, 0, Int8, 0, Some(raw)),
        (0.003_921_569, 0, Uint8, 0, Some(unit)),
        (0.003_921_569, -128, Int8, -128, Some(unit)),
        (0.003_919_653_6, 0, Uint8, 0, Some(unit)),
        (0.007_843_138, 128, Uint8, 0, Some(tf)),
        (0.007_843_138, 0, Int8, -128, Some(tf)),
        (0.007_839_323, 128, Uint8, 0, Some(tf)),
        (0.007_874_016, 0, Int8, 0, None),
        (0.018_658_448, 114, Uint8, 0, Some(torchvision)),
        (0.018_658_448, -14, Int8, -128, Some(torchvision)),
        (0.020_787_403, 0, Int8, 0, Some(torchvision)),
        (0.018_653_402, 114, Uint8, 0, Some(torchvision)),
        (1.077_415_7, 115, Uint8, 0, Some(centred)),
        (1.077_415_7, -13, Int8, -128, Some(centred)),
        (1.189_456_7, 0, Int8, 0, Some(centred)),
        (0.016_099_213, 124, Uint8, 0, Some(cifar)),
        (0.016_660_044, 0, Int8, 0, Some(cifar)),
        // Dark calibration pictures, and a range of something else.
        (0.0036, 0, Uint8, 0, Some(unit)),
        (0.0175, 118, Uint8, 0, Some(torchvision)),
        (0.011, 0, Uint8, 0, None),
    ] {
        let constants = [
            scalar("s", scale),
            codes("z", kind, &[], &[zero]),
            scalar("s2", 0.05),
            codes("z2", kind, &[], &[other]),
        ];
        let start = [
            node("QuantizeLinear", &["x", "s", "z"], "q"),
            node("DequantizeLinear", &["q", "s", "z"], "v"),
        ];
        let mut model = network(Float, &NCHW, &start, &constants);
        let graph = model.graph();
        graph.node.last_mut().unwrap().output = vec!["logits".into()];
        let model = model
            .node(node("QuantizeLinear", &["logits", "s2", "z2"], "yq"))
            .node(node("DequantizeLinear", &["yq", "s2", "z2"], "y"));
        let pixels = import(&model).pixels;
        let what = format!("{scale} {zero} {kind:?}");
        assert_eq!(pixels.derived.as_ref().map(|d| d.rule), rule, "{what}");
        assert_eq!(pixels.doubt.is_some(), rule.is_none(), "{what}");
        for preset in [raw, unit, tf, torchvision] {
            let fits = match rule {
                Some(rule) => rule == preset,
                // 0 to 1 or -1 to 1 is either; 0 to 2.8 is neither.
                None => zero == 0 && kind == Int8 && (preset == unit || preset == tf),
            };
            let cifar_like = rule == Some(cifar) && preset == torchvision;
            let centred_like = rule == Some(centred) && preset == raw;
            if !cifar_like && !centred_like {
                assert_eq!(pixels.against(&preset).is_none(), fits, "{what} {preset:?}");
            }
        }
    }
}
