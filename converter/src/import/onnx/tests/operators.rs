//! Normalization, slopes, clamps, products, shuffles and splits, against loops over NCHW.

use super::build::{Model, With, assert_near, fails, floats, import, ints, node, noise, ramp, run};
use crate::graph::{Activation, Op};

#[test]
fn local_response_normalization() {
    let x: Vec<f32> = noise(7 * 2 * 3).iter().map(|v| 20.0 * v).collect();
    for (size, opset) in [(5, 9), (4, 13), (1, 13)] {
        let lrn = node("LRN", &["x"], "y")
            .int("size", size)
            .float("alpha", 0.02)
            .float("beta", 0.6)
            .float("bias", 1.5);
        let model = import(&Model::new(opset, &[0, 7, 2, 3]).node(lrn));
        let expected = (0..42).map(|i: usize| {
            let (c, place) = ((i / 6) as i64, i % 6);
            // ONNX: from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2).
            let around = (c - (size - 1) / 2).max(0)..=(c + size / 2).min(6);
            let squares: f32 = around.map(|j| x[j as usize * 6 + place].powi(2)).sum();
            x[i] / (1.5 + 0.02 / size as f32 * squares).powf(0.6)
        });
        assert_near(&run(&model, &x), &expected.collect::<Vec<f32>>());
    }
    let lrn = |size| {
        let lrn = node("LRN", &["x"], "y").int("size", size);
        fails(&Model::new(13, &[0, 7, 2, 3]).node(lrn))
    };
    assert!(lrn(-1).contains("attribute 'size'"));
    assert!(lrn(0).contains("out of range"));
}

#[test]
fn slopes_per_channel_or_one() {
    let x = [-2., 3., -4., 5.];
    let model = |dims: &[i64], slopes: &[f32]| {
        Model::new(9, &[0, 2, 1, 2])
            .weight(floats("s", dims, slopes))
            .node(node("PRelu", &["x", "s"], "y"))
    };
    let two = import(&model(&[2, 1, 1], &[0.5, 0.25]));
    assert_near(&run(&two, &x), &[-1., 3., -1., 5.]);
    assert_eq!(two.graph.parameters(), 2);
    let one = import(&model(&[1], &[0.1]));
    assert_near(&run(&one, &x), &[-0.2, 3., -0.4, 5.]);
    assert!(fails(&model(&[1, 1, 2], &[0.5, 0.25])).contains("nor one per channel"));
}

#[test]
fn clamps_and_their_spellings() {
    let base = |opset| {
        let model = Model::new(opset, &[0, 6]).weight(floats("-1", &[], &[-1.]));
        let model = model.weight(floats("0", &[1], &[0.]));
        model
            .weight(floats("4", &[], &[4.]))
            .weight(floats("6", &[], &[6.]))
    };
    let none = f32::INFINITY;
    for (model, function) in [
        (
            base(13).node(node("Clip", &["x", "-1", "4"], "y")),
            Activation::Clip(-1.0, 4.0),
        ),
        (
            base(9).node(node("Clip", &["x"], "y").float("max", 4.0)),
            Activation::Clip(-none, 4.0),
        ),
        (
            base(13).node(node("Max", &["-1", "x"], "y")),
            Activation::Clip(-1.0, none),
        ),
        (
            base(13)
                .node(node("Min", &["x", "6"], "m"))
                .node(node("Max", &["m", "0"], "y")),
            Activation::Relu6,
        ),
        (
            base(13)
                .node(node("Relu", &["x"], "m"))
                .node(node("Min", &["m", "6", "4"], "y")),
            Activation::Clip(0.0, 4.0),
        ),
        (
            base(13)
                .node(node("Relu", &["x"], "m"))
                .node(node("Max", &["m", "-1"], "y")),
            Activation::Relu,
        ),
    ] {
        let imported = import(&model);
        assert_eq!(imported.graph.nodes.len(), 2);
        assert_eq!(imported.graph.nodes[1].op, Op::Activation(function));
    }
    // The second clamp lies outside the first: everything becomes its bound.
    let apart = base(13)
        .node(node("Min", &["x", "-1"], "m"))
        .node(node("Max", &["m", "4"], "y"));
    let x = [-7., -1., 0., 3., 5., 9.];
    assert_near(&run(&import(&apart), &x), &[4.; 6]);
    let hard = import(&base(13).node(node("HardSigmoid", &["x"], "y")));
    let expected = x.map(|v: f32| (0.2 * v + 0.5).clamp(0.0, 1.0));
    assert_near(&run(&hard, &x), &expected);
    assert!(fails(&base(13).node(node("Max", &["x", "x"], "y"))).contains("2 activations"));
    assert!(fails(&base(13).node(node("Elu", &["x"], "y"))).contains("retrain"));
    let wild = base(13).weight(floats("nan", &[], &[f32::NAN]));
    assert!(fails(&wild.node(node("Clip", &["x", "nan"], "y"))).contains("NaN"));
}

#[test]
fn squeeze_and_excitation() {
    // A map times the sigmoid of its means, in the two spellings that exporters have.
    let x = noise(3 * 2 * 2);
    let mean = |c: usize| x[4 * c..4 * c + 4].iter().sum::<f32>() / 4.0;
    let gate = |c: usize| 1.0 / (1.0 + (-2.0 * mean(c) - 1.0).exp());
    let expected: Vec<f32> = (0..12).map(|i| x[i] * gate(i / 4)).collect();
    let weights: Vec<f32> = (0..9).map(|i| if i % 4 == 0 { 2.0 } else { 0.0 }).collect();
    let base = || {
        Model::new(13, &[0, 3, 2, 2])
            .weight(floats("one", &[3], &[1.0; 3]))
            .weight(floats("w", &[3, 3, 1, 1], &weights))
            .weight(floats("m", &[3, 3], &weights))
            .weight(ints("s", &[-1, 3, 1, 1]))
    };
    let pooled = base().node(node("GlobalAveragePool", &["x"], "p"));
    let convolved = pooled
        .node(node("Conv", &["p", "w", "one"], "c"))
        .node(node("Sigmoid", &["c"], "g"));
    let means = node("ReduceMean", &["x"], "p").ints("axes", &[2, 3]);
    let flat = base().node(means.int("keepdims", 0));
    let flat = flat
        .node(node("Gemm", &["p", "m", "one"], "c"))
        .node(node("Sigmoid", &["c"], "f"))
        .node(node("Reshape", &["f", "s"], "g"));
    for model in [convolved, flat] {
        for inputs in [["x", "g"], ["g", "x"]] {
            let model = import(&model.clone().node(node("Mul", &inputs, "y")));
            assert_near(&run(&model, &x), &expected);
        }
    }
    let square = Model::new(13, &[0, 3, 2, 2]).node(node("Mul", &["x", "x"], "y"));
    let squares: Vec<f32> = x.iter().map(|v| v * v).collect();
    assert_near(&run(&import(&square), &x), &squares);
    let tanh = Model::new(13, &[0, 3, 2, 2]).node(node("Tanh", &["x"], "t"));
    let difference = import(&tanh.node(node("Sub", &["x", "t"], "y")));
    let expected: Vec<f32> = x.iter().map(|v| v - v.tanh()).collect();
    assert_near(&run(&difference, &x), &expected);
    let rows = node("ReduceMean", &["x"], "r").ints("axes", &[2, 3]);
    let rows = Model::new(13, &[0, 3, 3, 3])
        .node(rows.int("keepdims", 0))
        .node(node("Mul", &["x", "r"], "y"));
    assert!(fails(&rows).contains("different shapes"));
}

#[test]
fn channel_shuffles() {
    // 6 channels of 2x2 as 2 rows of 3: 0 1 2 / 3 4 5 becomes 0 3 1 4 2 5.
    let x = ramp(24);
    let shuffled = |order: [usize; 6]| -> Vec<f32> {
        let channel = |c: usize| (0..4).map(move |i| (4 * c + i) as f32);
        order.into_iter().flat_map(channel).collect()
    };
    let model = |view: &[i64], perm: &[i64], back: &[i64]| {
        Model::new(13, &[1, 6, 2, 2])
            .weight(ints("v", view))
            .weight(ints("b", back))
            .node(node("Reshape", &["x", "v"], "r"))
            .node(node("Transpose", &["r"], "t").ints("perm", perm))
            .node(node("Reshape", &["t", "b"], "y"))
    };
    for (view, perm) in [
        (&[1, 2, 3, 2, 2][..], &[0, 2, 1, 3, 4][..]),
        (&[1, 2, 3, 4], &[0, 2, 1, 3]),
        (&[2, 3, -1], &[1, 0, 2]),
    ] {
        let imported = import(&model(view, perm, &[1, -1, 2, 2]));
        assert_eq!(imported.graph.nodes[1].op, Op::Shuffle { groups: 2 });
        assert_near(&run(&imported, &x), &shuffled([0, 3, 1, 4, 2, 5]));
    }
    // A rotation of three channel axes is a shuffle too: index (a, b, c) of 3x1x2 ... as one matrix.
    let rotation = import(&model(&[1, 3, 2, 4], &[0, 2, 1, 3], &[1, 6, 2, 2]));
    assert_near(&run(&rotation, &x), &shuffled([0, 2, 4, 1, 3, 5]));
    // In NHWC the channel axes are last.
    let nhwc = Model::new(13, &[1, 2, 2, 6])
        .weight(ints("v", &[1, 2, 2, 2, 3]))
        .weight(ints("b", &[1, 2, 2, 6]))
        .node(node("Transpose", &["x"], "n").ints("perm", &[0, 3, 1, 2]))
        .node(node("Relu", &["n"], "l"))
        .node(node("Transpose", &["l"], "h").ints("perm", &[0, 2, 3, 1]))
        .node(node("Reshape", &["h", "v"], "r"))
        .node(node("Transpose", &["r"], "t").ints("perm", &[0, 1, 2, 4, 3]))
        .node(node("Reshape", &["t", "b"], "f"))
        .node(node("Transpose", &["f"], "y").ints("perm", &[0, 3, 1, 2]));
    assert_near(&run(&import(&nhwc), &x), &shuffled([0, 3, 1, 4, 2, 5]));
    // Rows and columns changing places are none.
    let turned = model(&[1, 6, 2, 2], &[0, 1, 3, 2], &[1, 6, 2, 2]);
    assert!(fails(&turned).contains("reorders elements"));
    let mixed = model(&[1, 4, 3, 2], &[0, 2, 1, 3], &[1, 6, 2, 2]);
    assert!(fails(&mixed).contains("reorders elements"));
}

#[test]
fn splits() {
    let x = ramp(5 * 2);
    let split = |opset: i64, outputs: &[&str], sizes: Option<&[i64]>| {
        let mut n = node("Split", &["x"], "").int("axis", 1);
        n.output = outputs.iter().map(|s| s.to_string()).collect();
        let mut model = Model::new(opset, &[0, 5, 1, 2]);
        if let Some(sizes) = sizes {
            if opset < 13 {
                n = n.ints("split", sizes);
            } else {
                n.input.push("sizes".into());
                model = model.weight(ints("sizes", sizes));
            }
        }
        model.node(n)
    };
    for opset in [9, 13] {
        let model = split(opset, &["a", "b"], Some(&[2, 3]));
        let model = import(&model.node(node("Concat", &["b", "a"], "y").int("axis", 1)));
        assert_near(&run(&model, &x), &[4., 5., 6., 7., 8., 9., 0., 1., 2., 3.]);
    }
    // Without sizes: 2, 2 and what is left. The first is not read.
    let model = split(18, &["a", "b", "c"], None);
    let model = import(&model.node(node("Concat", &["c", "b"], "y").int("axis", 1)));
    assert_near(&run(&model, &x), &[8., 9., 4., 5., 6., 7.]);
    for sizes in [&[2, 2][..], &[5], &[6, -1], &[i64::MAX, i64::MIN]] {
        let model = split(13, &["a", "y"], Some(sizes));
        assert!(fails(&model).contains("attribute 'split'"));
    }
    let of_shape = |outputs: &[&str]| {
        let mut n = node("Split", &["s"], "");
        n.output = outputs.iter().map(|s| s.to_string()).collect();
        Model::new(13, &[0, 2, 3, 2])
            .node(node("Shape", &["x"], "s"))
            .node(n)
            .weight(ints("rest", &[-1]))
    };
    let model = of_shape(&["n", "c", "h", "w"])
        .node(node("Concat", &["n", "h", "rest"], "t").int("axis", 0))
        .node(node("Reshape", &["x", "t"], "r"))
        .node(node("Flatten", &["r"], "y"));
    assert_near(&run(&import(&model), &ramp(12)), &ramp(12));
}

#[test]
fn an_input_in_nhwc_is_found_behind_its_normalization() {
    let (x, w) = (noise(12), [1.0, 2.0, 3.0]);
    let model = Model::new(13, &[0, 2, 2, 3])
        .weight(floats("mean", &[3], &[0.5, 0.25, 0.125]))
        .weight(floats("two", &[], &[2.0]))
        .weight(floats("w", &[1, 3, 1, 1], &w))
        .node(node("Sub", &["x", "mean"], "s"))
        .node(node("Mul", &["s", "two"], "m"))
        .node(node("Transpose", &["m"], "t").ints("perm", &[0, 3, 1, 2]))
        .node(node("Conv", &["t", "w"], "y"));
    let graph = import(&model).graph;
    let found = crate::graph::reference::evaluate(&graph, &x);
    let expected: Vec<f32> = x
        .chunks(3)
        .map(|p| 2.0 * ((p[0] - 0.5) + 2.0 * (p[1] - 0.25) + 3.0 * (p[2] - 0.125)))
        .collect();
    assert_near(&found, &expected);
}

/// Of one channel, NHWC and NCHW are the same elements: the Transpose says only how the dimensions are
/// called.
#[test]
fn a_gray_picture_in_nhwc_is_padded_and_cut_by_rows_and_columns() {
    let x = ramp(6);
    let gray =
        |model: Model| model.node(node("Transpose", &["x"], "t").ints("perm", &[0, 3, 1, 2]));
    let pad = node("Pad", &["t"], "y").ints("pads", &[0, 0, 1, 0, 0, 0, 0, 1]);
    let padded = import(&gray(Model::new(9, &[0, 2, 3, 1])).node(pad));
    assert_near(
        &run(&padded, &x),
        &[0., 0., 0., 0., 0., 1., 2., 0., 3., 4., 5., 0.],
    );
    let slice = node("Slice", &["t"], "y")
        .ints("axes", &[2, 3])
        .ints("starts", &[1, 0])
        .ints("ends", &[2, 2]);
    let cut = import(&gray(Model::new(9, &[0, 2, 3, 1])).node(slice));
    assert_near(&run(&cut, &x), &[3., 4.]);
    let concat = gray(Model::new(9, &[0, 2, 3, 1]))
        .weight(floats("w", &[2, 1, 1, 1], &[10., 100.]))
        .node(node("Conv", &["t", "w"], "c"))
        .node(node("Concat", &["t", "c"], "y").int("axis", 1));
    let all = [1., 10., 100.].map(|by| x.iter().map(move |v| by * v));
    assert_near(
        &run(&import(&concat), &x),
        &all.into_iter().flatten().collect::<Vec<_>>(),
    );
}
