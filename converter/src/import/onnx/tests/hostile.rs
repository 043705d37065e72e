//! Files that are damaged or made to hurt: one line each, no panic, no huge allocation.

use super::super::pb::{StringStringEntryProto, tensor_proto::DataType};
use super::super::{read, read_bytes};
use super::build::{Model, With, codes, floats, info, ints, node};
use proptest::prelude::*;
use std::path::Path;

fn line(bytes: &[u8]) -> String {
    let line = read_bytes(bytes, "bad.onnx")
        .expect_err("a bad file was imported")
        .to_string();
    assert!(
        line.starts_with("bad.onnx: ") && !line.contains('\n'),
        "{line}"
    );
    line
}

/// A small network with many kinds of operators.
fn sample() -> Model {
    let model = Model::new(13, &[0, 2, 6, 6]);
    let model =
        model
            .weight(floats("g", &[4], &[1.0; 4]))
            .weight(floats("fc", &[4, 3], &[0.5; 12]));
    let model = model
        .weight(ints("i", &[0]))
        .weight(ints("rest", &[-1]))
        .weight(ints("two", &[2]));
    let model = model.weight(ints("pads", &[0, 1, 0, 0, 0, 1, 0, 0]));
    let model = model
        .weight(floats("s", &[], &[0.5]))
        .weight(codes("z", DataType::Uint8, &[], &[3]))
        .weight(codes("kq", DataType::Int8, &[4, 2, 3, 3], &[5; 72]))
        .weight(floats("ks", &[4], &[0.05; 4]))
        .weight(codes("kz", DataType::Int8, &[4], &[0; 4]))
        .weight(floats("slopes", &[2, 1, 1], &[0.5, 0.25]))
        .node(node("DequantizeLinear", &["kq", "ks", "kz"], "w").int("axis", 0))
        .node(node("QuantizeLinear", &["x", "s", "z"], "xq"))
        .node(node("DequantizeLinear", &["xq", "s", "z"], "xd"))
        .node(node("PRelu", &["xd", "slopes"], "xp"))
        .node(node("LRN", &["xp"], "xn").int("size", 3));
    let model = model.node(
        node("Conv", &["xn", "w"], "c")
            .ints("strides", &[2, 2])
            .ints("pads", &[1, 1, 1, 1]),
    );
    let model = model.node(node("BatchNormalization", &["c", "g", "g", "g", "g"], "n"));
    let model = model
        .node(node("Sigmoid", &["n"], "sg"))
        .node(node("Mul", &["n", "sg"], "m0"))
        .node(node("Mul", &["m0", "n"], "m1"));
    let mut split = node("Split", &["m1"], "h0").int("axis", 1);
    split.output.push("h1".into());
    let model = model
        .node(split)
        .node(node("Concat", &["h1", "h0"], "h").int("axis", 1))
        .weight(ints("groups", &[1, 2, 2, 3, 3]))
        .weight(ints("back", &[1, 4, 3, 3]))
        .node(node("Reshape", &["h", "groups"], "hr"))
        .node(node("Transpose", &["hr"], "ht").ints("perm", &[0, 2, 1, 3, 4]))
        .node(node("Reshape", &["ht", "back"], "hs"))
        .node(node("Clip", &["hs", "", "six"], "m"))
        .weight(floats("six", &[], &[6.0]));
    let model = model.node(node("Pad", &["m", "pads"], "p")).node(node(
        "Slice",
        &["p", "i", "two", "two"],
        "sl",
    ));
    let model = model.node(node("Concat", &["sl", "sl"], "cc").int("axis", 1));
    let pool = node("AveragePool", &["c"], "a")
        .ints("kernel_shape", &[2, 2])
        .ints("strides", &[2, 2]);
    let model = model.node(
        pool.ints("pads", &[1, 1, 1, 1])
            .int("ceil_mode", 1)
            .int("count_include_pad", 1),
    );
    let model = model
        .node(node("Shape", &["a"], "sh"))
        .node(node("Gather", &["sh", "i"], "b"));
    let model = model
        .node(node("GlobalAveragePool", &["a"], "gap"))
        .node(node("Concat", &["b", "rest"], "to").int("axis", 0));
    let model =
        model
            .node(node("Reshape", &["gap", "to"], "f"))
            .node(node("Gemm", &["f", "fc"], "l"));
    let model = model
        .node(node("GlobalMaxPool", &["cc"], "u"))
        .node(node("Flatten", &["u"], "v"));
    let model = model.node(node("Concat", &["l", "v"], "j").int("axis", 1));
    model.node(node("Softmax", &["j"], "y").int("axis", 1))
}

#[test]
fn the_sample_is_good() {
    let imported = read_bytes(&sample().bytes(), "sample").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(imported.graph.nodes[imported.graph.output].shape.c, 3 + 12);
}

#[test]
fn what_is_no_model() {
    assert!(line(b"").contains("the file is empty"));
    assert!(line(b"hello, this is text\n").contains("a text file"));
    assert!(line(b"version https://git-lfs.github.com/spec/v1\noid").contains("git lfs pull"));
    assert!(line(b"PK\x03\x04\x00\x00\x00\x00").contains("not an ONNX model"));
    assert!(
        read(Path::new("/nonexistent.onnx"))
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = sample().bytes();
    for n in 0..bytes.len() {
        line(&bytes[..n]);
    }
}

#[test]
fn huge_numbers_allocate_nothing() {
    let max = i64::MAX;
    let conv = |dims: &[i64]| {
        let mut w = floats("w", &[1], &[1.0]);
        w.dims = dims.to_vec();
        Model::new(13, &[0, 1, 4, 4])
            .weight(w)
            .node(node("Conv", &["x", "w"], "y"))
    };
    let filled = |dims: &[i64]| {
        let model = Model::new(13, &[0, 1, 4, 4])
            .weight(ints("s", dims))
            .node(node("ConstantOfShape", &["s"], "w"));
        model.node(node("Conv", &["x", "w"], "y"))
    };
    let reshaped = |dims: &[i64]| {
        Model::new(13, &[0, 1, 4, 4])
            .weight(ints("s", dims))
            .node(node("Reshape", &["x", "s"], "y").int("allowzero", 1))
    };
    let window = |name: &str, v: i64| {
        // The first of two attributes of one name counts.
        let pool =
            node("MaxPool", &["x"], "y").ints(name, &vec![v; if name == "pads" { 4 } else { 2 }]);
        let pool = pool.ints("kernel_shape", &[2, 2]);
        Model::new(13, &[0, 1, 4, 4]).node(pool)
    };
    let mut doubling = Model::new(13, &[0, 1]).weight(ints("c0", &[1; 64]));
    for i in 0..60 {
        let (from, to) = (format!("c{i}"), format!("c{}", i + 1));
        doubling = doubling.node(node("Concat", &[&from, &from], &to).int("axis", 0));
    }
    doubling = doubling.node(node("Reshape", &["x", "c60"], "y"));
    let mut wide = Model::new(13, &[0, 65536, 64, 64]).weight(floats("c", &[], &[1.0]));
    let mut last = "x".to_string();
    for i in 0..8 {
        let to = format!("j{i}");
        wide = wide.node(node("Concat", &[last.as_str(); 8], &to).int("axis", 1));
        last = to;
    }
    // One constant dequantized again and again, all of it read at the end.
    let large = codes("q", DataType::Int8, &[1 << 20], &vec![1; 1 << 20]);
    let mut again = Model::new(13, &[0, 1])
        .weight(large)
        .weight(floats("one", &[], &[1.0]));
    let mut sum = vec!["x".to_string()];
    for i in 0..200 {
        sum.push(format!("d{i}"));
        again = again.node(node("DequantizeLinear", &["q", "one"], &sum[i + 1]));
    }
    let all: Vec<&str> = sum.iter().map(String::as_str).collect();
    again = again.node(node("Max", &all, "y"));
    // Dimensions without end, outputs without end, numbers per channel without end.
    let deep = Model::new(13, &[0, 1])
        .weight(ints("s", &[1; 1000]))
        .node(node("Reshape", &["x", "s"], "y"));
    let mut split = node("Split", &["x"], "y").int("axis", 1);
    split.output.resize(5000, String::new());
    let many = Model::new(13, &[0, 5000, 1, 1]).node(split);
    let mut affine = Model::new(13, &[0, 1 << 20, 1, 1]);
    for i in 0..100 {
        let from = if i == 0 { "x" } else { &format!("n{i}") };
        let to = if i == 99 { "y" } else { &format!("n{}", i + 1) };
        affine = affine.node(node("Neg", &[from], to));
    }
    let pad =
        node("Pad", &["x"], "y").ints("pads", &[0, 0, 1 << 31, 1 << 31, 0, 0, 1 << 31, 1 << 31]);
    for model in [
        conv(&[max, max, 1, 1]),
        conv(&[-1, 1, 1, 1]),
        conv(&[0, max, max, max]),
        conv(&[0, 1, 1, 1]),
        conv(&[1, 1, 0, 0]),
        filled(&[max, 1, 1, 1]),
        filled(&[1 << 40, 1, 1, 1]),
        filled(&[1 << 40, 0, 1 << 40, 1]),
        filled(&[-5]),
        reshaped(&[max, max, 0]),
        reshaped(&[0, -1]),
        reshaped(&[-1, -1]),
        reshaped(&[-7]),
        window("strides", 0),
        window("strides", -1),
        window("kernel_shape", max),
        window("kernel_shape", u32::MAX.into()),
        window("pads", u32::MAX.into()),
        window("pads", 7),
        window("dilations", 2),
        doubling,
        again,
        deep,
        many,
        affine,
        wide.node(node("Add", &[&last, "c"], "y")),
        Model::new(9, &[0, 1, 4, 4]).node(pad),
        Model::new(13, &[0, 1 << 40, 4, 4]).node(node("Relu", &["x"], "y")),
        Model::new(13, &[0, 65536, 65536, 65536]).node(node("Relu", &["x"], "y")),
        Model::new(13, &[0, 1]).node(node("Relu", &["y"], "y")),
        Model::new(13, &[0, 1])
            .node(node("Relu", &["x"], "y"))
            .node(node("Tanh", &["x"], "y")),
        Model::new(13, &[0, 1]).node(node("Relu", &[], "y")),
        Model::new(13, &[0, 1]).node(node("Sum", &[], "y")),
        Model::new(13, &[0, 1]).node(node("Concat", &[], "y")),
    ] {
        line(&model.bytes());
    }
}

#[test]
fn long_names_are_cut() {
    let name = "long ".repeat(10_000);
    let mut model = Model::new(13, &[0, 1]);
    for (from, to) in [("x", "a"), ("a", "b"), ("b", "y")] {
        model = model.node(node("Tanh", &[from], to).named(&name));
    }
    let graph = read_bytes(&model.bytes(), "long").unwrap().graph;
    let names: std::collections::HashSet<&str> =
        graph.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names.len(), 4);
    assert!(names.iter().all(|n| n.len() < 220));
}

#[test]
fn weights_that_are_no_numbers() {
    let model = |v: f32| {
        Model::new(13, &[0, 1, 1, 1])
            .weight(floats("w", &[1, 1, 1, 1], &[v]))
            .node(node("Conv", &["x", "w"], "y"))
    };
    assert!(line(&model(f32::NAN).bytes()).contains("infinity or NaN"));
    assert!(line(&model(f32::INFINITY).bytes()).contains("infinity or NaN"));
    assert!(read_bytes(&model(1.0).bytes(), "good").is_ok());
}

#[test]
fn external_data_stays_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("model");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(folder.path().join("secret"), [0; 64]).unwrap();
    let numbers: Vec<u8> = [9.0f32, 2.0, 3.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    std::fs::write(inner.join("weights.bin"), numbers).unwrap();
    let attempt = |entries: &[(&str, &str)]| {
        let mut w = floats("w", &[2, 1, 1, 1], &[]);
        w.data_location = Some(1);
        let entry = |&(k, v): &(&str, &str)| StringStringEntryProto {
            key: k.into(),
            value: v.into(),
        };
        w.external_data = entries.iter().map(entry).collect();
        let model = Model::new(13, &[0, 1, 1, 1])
            .weight(w)
            .node(node("Conv", &["x", "w"], "y"));
        let path = inner.join("net.onnx");
        std::fs::write(&path, model.bytes()).unwrap();
        read(&path).map_err(|e| e.to_string())
    };
    let good = attempt(&[
        ("location", "weights.bin"),
        ("offset", "4"),
        ("length", "8"),
    ])
    .unwrap();
    assert_eq!(
        crate::graph::reference::evaluate(&good.graph, &[1.0]),
        [2.0, 3.0]
    );
    assert!(attempt(&[("location", "./weights.bin"), ("offset", "4")]).is_ok());
    let secret = folder.path().join("secret");
    for (entries, says) in [
        (
            &[("location", "../secret")][..],
            "outside the model's folder",
        ),
        (
            &[("location", "a/../../secret")],
            "outside the model's folder",
        ),
        (
            &[("location", secret.to_str().unwrap())],
            "outside the model's folder",
        ),
        (&[("location", "")], "outside the model's folder"),
        (&[("location", ".")], "no regular file"),
        (&[("location", "none.bin")], "cannot be read"),
        (
            &[
                ("location", "weights.bin"),
                ("offset", "8"),
                ("length", "8"),
            ],
            "has only 12 bytes",
        ),
        (
            &[("location", "weights.bin"), ("offset", "99")],
            "has only 12 bytes",
        ),
        (
            &[
                ("location", "weights.bin"),
                ("length", "18446744073709551615"),
            ],
            "has only 12 bytes",
        ),
        (
            &[("location", "weights.bin"), ("length", "-1")],
            "no number",
        ),
        (
            &[("location", "weights.bin"), ("length", "7")],
            "do not divide",
        ),
        (
            &[("location", "weights.bin")],
            "3 elements for dimensions 2x1x1x1",
        ),
        (&[], "without a location"),
    ] {
        let e = attempt(entries).unwrap_err();
        assert!(
            e.contains(says) && e.contains("'w'") && !e.contains('\n'),
            "{e}"
        );
    }
}

#[test]
fn a_deeply_nested_file_is_refused() {
    // Subgraphs within subgraphs, deeper than a stack of calls should go.
    let mut bytes = vec![];
    for _ in 0..2000 {
        // Attribute 'g' (field 6) in a node (5) in a graph (1).
        for tag in [6, 5, 1] {
            let mut outer = vec![tag << 3 | 2];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            outer.extend(&bytes);
            bytes = outer;
        }
    }
    let mut model = vec![7 << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut model);
    model.extend(bytes);
    line(&model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = sample().bytes();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Err(e) = read_bytes(&bytes, "f") {
            prop_assert!(!e.to_string().contains('\n'));
        }
    }

    /// Wild but well-formed: any operator on any inputs with any integers.
    #[test]
    fn wild_nodes_never_panic(
        op in prop::sample::select(vec![
            "Conv", "Gemm", "MatMul", "BatchNormalization", "Clip", "MaxPool", "AveragePool", "ReduceMean", "Add", "Sub",
            "Mul", "Div", "Concat", "Slice", "Pad", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Cast",
            "ConstantOfShape", "Shape", "Gather", "Softmax", "Sum", "Dropout", "LRN", "PRelu", "Min", "Max", "Neg",
            "ReduceMax", "HardSigmoid", "Split", "QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul",
            "QLinearAdd", "QLinearMul", "QLinearConcat", "QGemm", "QLinearAveragePool", "QLinearSoftmax",
        ]),
        microsoft in any::<bool>(),
        outputs in 1usize..4,
        inputs in prop::collection::vec(prop::sample::select(vec!["x", "a", "b", "w", "e", "f", "k", "s", "z", "q", "d", ""]), 0..9),
        a in prop::collection::vec(prop_oneof![-3i64..6, any::<i64>()], 0..5),
        b in prop::collection::vec(prop_oneof![-3i64..6, any::<i64>()], 0..5),
        rows in 1i64..5,
        opset in prop::sample::select(vec![7i64, 9, 11, 13, 18, 21]),
        name in prop::sample::select(vec!["axes", "axis", "pads", "perm", "kernel_shape", "strides", "dilations", "starts", "group", "to", "split",
            "size", "output_dtype", "block_size", "transB"]),
    ) {
        let n = node(op, &inputs, "v").ints(name, &a).ints("ends", &b).int(name, b.first().copied().unwrap_or(1));
        let mut n = n;
        n.output.extend((1..outputs).map(|i| format!("v{i}")));
        if microsoft {
            n.domain = "com.microsoft".into();
        }
        let n = n.int("ceil_mode", 1).int("count_include_pad", 1).ints("kernel_shape", &[2, 2]);
        let mut model = Model::new(opset, &[0, 2, rows, 3]).weight(ints("a", &a)).weight(ints("b", &b));
        model = model.weight(floats("w", &[2, 2, 1, 1], &[1.0; 4])).weight(floats("e", &[0, 3], &[]));
        model = model.weight(floats("f", &[2], &[1.0; 2]));
        model = model.weight(codes("k", DataType::Int8, &[2, 2, 1, 1], &[1, -128, 127, 5]));
        model = model.weight(floats("s", &[], &[0.5])).weight(codes("z", DataType::Uint8, &[], &[128]));
        model = model.node(node("QuantizeLinear", &["x", "s", "z"], "q"));
        model = model.node(node("DequantizeLinear", &["k", "s"], "d"));
        model.graph().input.truncate(1);
        model.graph().output[0] = info("y", &[]);
        // Once alone, once with a reader behind it.
        let model = model.node(n);
        let mut alone = model.clone();
        alone.graph().output[0].name = "v".into();
        let _ = read_bytes(&alone.bytes(), "f");
        let _ = read_bytes(&model.node(node("Reshape", &["x", "v"], "y")).bytes(), "f");
    }
}
