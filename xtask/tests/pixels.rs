//! How pixels enter a network from a file: what `convert` takes from the options and from the file, what it
//! says of it, and what `run` then gives.
//!
//! Logits are onnxruntime 1.32.0's for the network of [`network`], given the picture of [`picture`] as each
//! test says; pictures of other sizes were resized by Pillow 13.0.0.

use converter::import::onnx::pb::{self, tensor_proto::DataType, type_proto::Value::TensorType};
use edge_runtime::picture::{Picture, image_file};
use prost::Message;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// With a picture of 8x8.
    fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        bench.write("p.png", &picture(8, 8));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command.args(args).current_dir(self.dir.path());
        command.env("GRAFT_CATALOG", self.path("catalog.toml"));
        if !self.path("catalog.toml").exists() {
            command.env_remove("GRAFT_CATALOG");
        }
        command.output().unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let out = self.run(&[args, &["--json"]].concat());
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {error}");
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// Converts, and gives the notes as one text.
    fn convert(&self, args: &[&str]) -> String {
        let made = self.json(&[&["convert"], args, &["-o", "m.edge"]].concat());
        let notes = made["notes"].as_array().unwrap().iter();
        let notes: Vec<&str> = notes.map(|n| n.as_str().unwrap()).collect();
        notes.join("\n")
    }

    fn logits(&self, picture: &str) -> Vec<f32> {
        let ran = self.json(&["run", "m.edge", picture, "--logits"]);
        let logits = ran["results"][0]["logits"].as_array().unwrap().iter();
        logits.map(|v| v.as_f64().unwrap() as f32).collect()
    }

    /// The logits of the picture of 8x8.
    fn gives(&self, logits: [f32; 3]) {
        near(&self.logits("p.png"), logits);
    }

    /// Fails unless the command fails with one line that holds `words`.
    fn refused(&self, args: &[&str], words: &[&str]) {
        let out = self.run(args);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "{args:?} succeeded");
        assert!(
            text.lines().count() == 1 && text.starts_with("error: "),
            "{args:?}: {text}"
        );
        words
            .iter()
            .for_each(|w| assert!(text.contains(w), "{args:?}, '{w}': {text}"));
    }
}

fn near(found: &[f32], expected: [f32; 3]) {
    assert_eq!(found.len(), 3);
    for (a, b) in found.iter().zip(expected) {
        let close = (a - b).abs() < 1e-4 * b.abs().max(1.0);
        assert!(close, "{found:?}, not {expected:?}");
    }
}

/// A PNG of a pattern.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let at =
        |x: u32, y: u32| (0..3).map(move |c| ((x * 31 + y * 17 + c * 59 + x * y * 7) % 256) as u8);
    let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| at(x, y)));
    image_file::encode_png(&Picture::new(width, height, rgb.collect()).unwrap())
}

fn floats(name: &str, dims: &[i64], values: Vec<f32>) -> pb::TensorProto {
    pb::TensorProto {
        name: name.into(),
        data_type: DataType::Float as i32,
        dims: dims.to_vec(),
        float_data: values,
        ..Default::default()
    }
}

fn weights(name: &str, dims: &[i64], divisor: f32) -> pb::TensorProto {
    let count = dims.iter().product::<i64>();
    let values = (0..count).map(|i| (i * 37 % 101 - 50) as f32 / divisor);
    floats(name, dims, values.collect())
}

fn node(op: &str, inputs: &[&str], output: &str) -> pb::NodeProto {
    pb::NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

fn ints(node: pb::NodeProto, name: &str, ints: &[i64]) -> pb::NodeProto {
    let attribute = pb::AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        i: ints[0],
        ..Default::default()
    };
    let mut node = node;
    node.attribute.push(attribute);
    node
}

fn value(name: &str, kind: DataType, dims: &[i64]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension};
    let dim = |n: &i64| Dimension {
        value: Some(dimension::Value::DimValue(*n)),
    };
    pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            value: Some(TensorType(pb::type_proto::Tensor {
                elem_type: kind as i32,
                shape: Some(pb::TensorShapeProto {
                    dim: dims.iter().map(dim).collect(),
                }),
            })),
        }),
    }
}

/// What a network's input is, and how it becomes `v`.
struct Start {
    kind: DataType,
    dims: [i64; 4],
    classes: i64,
    nodes: Vec<pb::NodeProto>,
    constants: Vec<pb::TensorProto>,
}

impl Start {
    /// Floats of these channels, rows and columns as they are.
    fn plain(c: i64, h: i64, w: i64) -> Self {
        Self {
            kind: DataType::Float,
            dims: [1, c, h, w],
            classes: 3,
            nodes: vec![node("Identity", &["x"], "v")],
            constants: vec![],
        }
    }

    /// uint8 or float pixels of 8x8 through codes with a scale and zero point.
    fn codes(kind: DataType, scale: f32, zero: i32) -> Self {
        let mut nodes = vec![node("DequantizeLinear", &["q", "s", "z"], "v")];
        let first = if kind == DataType::Float {
            "QuantizeLinear"
        } else {
            "Identity"
        };
        let inputs = if kind == DataType::Float {
            &["x", "s", "z"][..]
        } else {
            &["x"]
        };
        nodes.insert(0, node(first, inputs, "q"));
        let point = pb::TensorProto {
            name: "z".into(),
            data_type: DataType::Uint8 as i32,
            int32_data: vec![zero],
            ..Default::default()
        };
        Self {
            kind,
            nodes,
            constants: vec![floats("s", &[], vec![scale]), point],
            ..Self::plain(3, 8, 8)
        }
    }
}

/// A convolution of 4 channels, their means, and a layer of so many classes.
fn network(start: Start) -> Vec<u8> {
    let mut nodes = start.nodes;
    let conv = node("Conv", &["v", "conv.w", "conv.b"], "c");
    nodes.push(ints(ints(conv, "strides", &[2, 2]), "pads", &[1; 4]));
    nodes.push(node("Relu", &["c"], "r"));
    nodes.push(node("GlobalAveragePool", &["r"], "g"));
    nodes.push(node("Flatten", &["g"], "f"));
    nodes.push(ints(
        node("Gemm", &["f", "fc.w", "fc.b"], "y"),
        "transB",
        &[1],
    ));
    let mut initializer = start.constants;
    initializer.push(weights("conv.w", &[4, start.dims[1], 3, 3], 200.0));
    initializer.push(weights("conv.b", &[4], 100.0));
    initializer.push(weights("fc.w", &[start.classes, 4], 50.0));
    initializer.push(weights("fc.b", &[start.classes], 100.0));
    let graph = pb::GraphProto {
        name: "g".into(),
        node: nodes,
        initializer,
        input: vec![value("x", start.kind, &start.dims)],
        output: vec![value("y", DataType::Float, &[1, start.classes])],
    };
    let opset = pb::OperatorSetIdProto {
        domain: String::new(),
        version: 17,
    };
    let model = pb::ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![opset],
        ..Default::default()
    };
    model.encode_to_vec()
}

const TORCHVISION: [f32; 3] = [-0.895_874_74, -0.188_734_07, 0.323_234_56];
const UNIT: [f32; 3] = [-0.344_197_87, -0.296_975_67, 0.333_471_95];
const TF: [f32; 3] = [-0.521_580_3, -0.220_588_2, 0.291_439_4];

#[test]
fn each_colour_keeps_its_statistics() {
    let b = Bench::new();
    b.write("n.onnx", &network(Start::plain(3, 8, 8)));
    let torchvision: [&[&str]; 3] = [
        &["n.onnx", "--normalize", "torchvision"],
        &[
            "n.onnx",
            "--mean",
            "0.485,0.456,0.406",
            "--std",
            "0.229,0.224,0.225",
        ],
        &[
            "n.onnx",
            "--mean",
            "123.675,116.28,103.53",
            "--std",
            "58.395,57.12,57.375",
        ],
    ];
    for args in torchvision {
        let notes = b.convert(args);
        b.gives(TORCHVISION);
        let said = "pixels enter as (p - 123.675,116.28,103.53) / 58.395,57.12,57.375, that is -2.12 to 2.64";
        assert_eq!(notes.contains(said), args[1] == "--mean", "{notes}");
        b.convert(&[args, &["--bgr"]].concat());
        b.gives([-0.612_750_9, -0.181_062_1, 0.351_251_54]);
    }
    // Caffe's mean, of red, green and blue, with and without a std.
    for std in [&["--std", "1"][..], &[]] {
        let args = [&["n.onnx", "--mean", "123,117,104"], std].concat();
        let notes = b.convert(&args);
        assert!(
            notes.contains("as p - 123,117,104, that is -123 to 151"),
            "{notes}"
        );
        b.gives([-43.341_48, 3.175_621_5, 2.008_093]);
        b.convert(&[&args[..], &["--bgr"]].concat());
        b.gives([-31.394_781, 3.536_575_3, 9.214_54]);
    }
}

#[test]
fn both_scales() {
    let b = Bench::new();
    b.write("n.onnx", &network(Start::plain(3, 8, 8)));
    for (mean, std, said, logits) in [
        ("0.5", "0.5", "(p - 127.5) / 127.5, that is -1 to 1", TF),
        ("127.5", "127.5", "(p - 127.5) / 127.5, that is -1 to 1", TF),
        ("0", "255", "p / 255, that is 0 to 1", UNIT),
        (
            "0,0,0",
            "1,1,1",
            "p / 255, that is 0 to 1; --normalize raw",
            UNIT,
        ),
    ] {
        let notes = b.convert(&["n.onnx", "--mean", mean, "--std", std]);
        assert!(notes.contains(said), "{notes}");
        b.gives(logits);
    }
}

#[test]
fn statistics_that_do_not_fit() {
    let b = Bench::new();
    b.write("n.onnx", &network(Start::plain(3, 8, 8)));
    b.write("grey.onnx", &network(Start::plain(1, 8, 8)));
    let refused = |args: &[&str], words: &[&str]| {
        b.refused(
            &[&["convert", "n.onnx", "-o", "m.edge"], args].concat(),
            words,
        );
    };
    refused(
        &[
            "--mean",
            "123.675,116.28,103.53",
            "--std",
            "0.229,0.224,0.225",
        ],
        &[
            "--mean 123.675,116.28,103.53",
            "--std 0.229,0.224,0.225",
            "one scale",
        ],
    );
    refused(&["--mean", "0.5", "--std", "127.5"], &["one scale"]);
    refused(&["--mean", "0.5"], &["--std"]);
    refused(&["--std", "0.5"], &["--mean"]);
    refused(&["--mean", "1,2", "--std", "1"], &["one or three", "2"]);
    refused(
        &["--mean", "nan", "--std", "1"],
        &["--mean must be numbers"],
    );
    refused(
        &["--mean", "100", "--std", "-58"],
        &["--std must be greater than zero"],
    );
    refused(&["--mean", "a,b,c", "--std", "1"], &["--mean"]);
    refused(
        &["--mean", "0.5", "--std", "0.5", "--normalize", "tf"],
        &["--normalize"],
    );
    let grey = [
        "convert",
        "grey.onnx",
        "--mean",
        "0.485,0.456,0.406",
        "--std",
        "0.2",
    ];
    b.refused(&grey, &["one channel"]);
    b.refused(
        &["convert", "grey.onnx", "--bgr"],
        &["--bgr", "one channel"],
    );
}

#[test]
fn the_file_says_what_it_wants() {
    let b = Bench::new();
    b.write(
        "codes.onnx",
        &network(Start::codes(DataType::Uint8, 1.0 / 255.0, 0)),
    );
    let notes = b.convert(&["codes.onnx"]);
    assert!(
        notes.contains("p / 255, that is 0 to 1 (derived from its 8-bit input)"),
        "{notes}"
    );
    b.gives(UNIT);
    let notes = b.convert(&["codes.onnx", "--normalize", "torchvision"]);
    assert!(
        notes.contains("WARNING: --normalize does not fit: the file says otherwise"),
        "{notes}"
    );
    // What leaves the file's codes is cut off, so these are not the logits of a network without codes.
    assert!((b.logits("p.png")[0] - TORCHVISION[0]).abs() > 0.1);

    for (scale, zero, said, logits) in [
        (1.0 / 255.0, 0, "p / 255, that is 0 to 1", UNIT),
        (2.0 / 255.0, 128, "(p - 127.5) / 127.5, that is -1 to 1", TF),
        (0.018_658_448, 114, "that is -2.12 to 2.64", TORCHVISION),
    ] {
        b.write(
            "range.onnx",
            &network(Start::codes(DataType::Float, scale, zero)),
        );
        let notes = b.convert(&["range.onnx"]);
        assert!(
            notes.contains("the range of its first quantization"),
            "{notes}"
        );
        assert!(notes.contains(said), "{notes}");
        // The float network does not round.
        let found = b.logits("p.png");
        let off = found.iter().zip(logits).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f32::max) < 0.01, "{found:?}, not {logits:?}");
    }
    b.write(
        "range.onnx",
        &network(Start::codes(DataType::Float, 1.0 / 255.0, 0)),
    );
    for preset in ["torchvision", "tf", "raw"] {
        let notes = b.convert(&["range.onnx", "--normalize", preset]);
        let holds = "its first quantization holds 0 to 1, and pixels enter as";
        assert!(
            notes.contains("WARNING") && notes.contains(holds),
            "{notes}"
        );
        assert!(notes.contains("cut off"), "{notes}");
    }
    assert!(
        !b.convert(&["range.onnx", "--normalize", "unit"])
            .contains("WARNING")
    );

    b.write("n.onnx", &network(Start::plain(3, 8, 8)));
    let notes = b.convert(&["n.onnx"]);
    assert!(
        notes.contains("does not say") && notes.contains("--normalize"),
        "{notes}"
    );
}

/// Pictures of any shape are resized to cover 8/7 of the input, 10x7, and cut out of the middle.
#[test]
fn inputs_that_are_not_square() {
    let b = Bench::new();
    b.write("n.onnx", &network(Start::plain(3, 6, 8)));
    b.convert(&["n.onnx", "--normalize", "unit"]);
    for (width, height, logits) in [
        (40, 30, [-0.332_051_78, -0.339_935_3, 0.358_963_3]),
        (30, 30, [-0.331_313_73, -0.340_857_86, 0.359_486_1]),
        (64, 36, [-0.330_909, -0.341_363_73, 0.359_772_77]),
        (24, 36, [-0.332_829, -0.338_963_75, 0.358_412_77]),
        (8, 6, [-0.346_657_5, -0.300_081_1, 0.335_487]),
    ] {
        b.write("q.png", &picture(width, height));
        near(&b.logits("q.png"), logits);
    }
    // torchvision's Resize(7), which a picture of another shape may be too small for.
    b.convert(&["n.onnx", "--normalize", "unit", "--short-side", "7"]);
    b.write("q.png", &picture(64, 36));
    near(
        &b.logits("q.png"),
        [-0.330_909, -0.341_363_73, 0.359_772_77],
    );
    b.write("q.png", &picture(30, 30));
    b.refused(&["run", "m.edge", "q.png"], &["8x6", "7x7"]);
    b.refused(
        &["convert", "n.onnx", "--short-side", "5"],
        &["--short-side 5"],
    );
}

const CATALOG: &str = r#"
[[model]]
name = "own"
task = "a test"
parameters = 127
macs = 1740
license = ""
[model.input]
height = 8
width = 8
resize = { ShortSide = 10 }
filter = "Bicubic"
order = "Rgb"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
"#;

#[test]
fn a_name_of_the_catalog_with_a_network_in_a_file() {
    let b = Bench::new();
    let mut start = Start::plain(3, 224, 224);
    start.classes = 1000;
    b.write("other.onnx", &network(start));
    let convert = ["convert", "mobilenet-v2", "--weights", "other.onnx"];
    let words = [
        "other.onnx",
        "2 convolutions",
        "'mobilenet-v2' has 53",
        "convert other.onnx",
    ];
    b.refused(&convert, &words);
    let words = ["the input options are for files"];
    b.refused(&["convert", "mobilenet-v2", "--normalize", "tf"], &words);
    let random = [
        "convert",
        "mobilenet-v2",
        "--weights",
        "random",
        "--std",
        "255",
    ];
    b.refused(&random, &words);

    // What the file says comes before the catalog, and the options before both.
    b.write("catalog.toml", CATALOG.as_bytes());
    b.write("plain.onnx", &network(Start::plain(3, 8, 8)));
    b.write(
        "codes.onnx",
        &network(Start::codes(DataType::Uint8, 1.0 / 255.0, 0)),
    );
    assert_eq!(b.convert(&["own", "--weights", "plain.onnx"]), "");
    b.gives(TORCHVISION);
    let notes = b.convert(&["own", "--weights", "codes.onnx"]);
    assert!(
        notes.contains("p / 255, that is 0 to 1") && notes.contains("catalog"),
        "{notes}"
    );
    b.gives(UNIT);
    let notes = b.convert(&["own", "--weights", "plain.onnx", "--normalize", "tf"]);
    assert_eq!(notes, "");
    b.gives(TF);
    let shown = b.run(&["inspect", "m.edge"]).stdout;
    assert!(String::from_utf8_lossy(&shown).contains("ShortSide(10) Bicubic"));
}
