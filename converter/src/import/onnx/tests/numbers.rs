//! Each family of operators against loops over NCHW or numbers worked out by hand.

use super::super::Imported;
use super::build::{
    Model, With, assert_near, fails, floats, import, info, ints, node, noise, ramp, run,
};
use crate::graph::reference::evaluate;
use crate::graph::{Activation, Op, Shape, Window};

#[test]
fn grouped_strided_dilated_convolution() {
    let (x, w, b) = (noise(4 * 7 * 6), noise(6 * 2 * 3 * 2), noise(6));
    let conv = node("Conv", &["x", "w", "b"], "y")
        .int("group", 2)
        .ints("strides", &[2, 1]);
    let conv = conv
        .ints("dilations", &[1, 2])
        .ints("pads", &[1, 0, 2, 1])
        .ints("kernel_shape", &[3, 2]);
    let model = Model::new(13, &[1, 4, 7, 6])
        .weight(floats("w", &[6, 2, 3, 2], &w))
        .weight(floats("b", &[6], &b));
    let model = import(&model.node(conv));
    let (oh, ow) = (4, 5);
    let mut expected = vec![];
    for o in 0..6 {
        for (oy, ox) in (0..oh * ow).map(|i| (i / ow, i % ow)) {
            let mut sum = b[o];
            for (i, ky, kx) in (0..12).map(|k| (k / 6, k / 2 % 3, k % 2)) {
                let (y, xx) = ((oy * 2 + ky) as i32 - 1, ox + kx * 2);
                if (0..7).contains(&y) && xx < 6 {
                    sum += w[((o * 2 + i) * 3 + ky) * 2 + kx]
                        * x[((o / 3 * 2 + i) * 7 + y as usize) * 6 + xx];
                }
            }
            expected.push(sum);
        }
    }
    assert_near(&run(&model, &x), &expected);
}

fn first_window(model: &Imported) -> Window {
    match &model.graph.nodes[1].op {
        Op::Conv(c) => c.window,
        Op::MaxPool(w) | Op::AvgPool { window: w, .. } => *w,
        other => panic!("{}", other.name()),
    }
}

#[test]
fn automatic_padding_is_tensorflows() {
    let model = |mode: &str| {
        let conv = node("Conv", &["x", "w"], "y")
            .text("auto_pad", mode)
            .ints("strides", &[2, 2]);
        import(
            &Model::new(7, &[1, 1, 8, 9])
                .weight(floats("w", &[1, 1, 3, 5], &noise(15)))
                .node(conv),
        )
    };
    // 8 rows by 2: 4 outputs reach 9, one more. 9 columns by 2: 5 outputs reach 13, four more.
    let pads = |w: Window| (w.pad_before, w.pad_after);
    assert_eq!(pads(first_window(&model("SAME_UPPER"))), ([0, 2], [1, 2]));
    assert_eq!(pads(first_window(&model("SAME_LOWER"))), ([1, 2], [0, 2]));
    assert_eq!(pads(first_window(&model("VALID"))), ([0, 0], [0, 0]));
}

#[test]
fn poolings_with_a_partial_last_window() {
    let pool = |op: &str, side: i64, kernel: i64, stride: i64, pad: i64, count: i64| {
        let n = node(op, &["x"], "y")
            .ints("kernel_shape", &[kernel; 2])
            .ints("strides", &[stride; 2]);
        let n = n
            .ints("pads", &[pad; 4])
            .int("ceil_mode", 1)
            .int("count_include_pad", count);
        let model = import(&Model::new(12, &[1, 1, side, side]).node(n));
        run(&model, &ramp((side * side) as usize))
    };
    // 4x4, kernel 3, stride 2: floor gives 1 place, ceil 2; the second has 2 of 3 rows.
    assert_near(&pool("MaxPool", 4, 3, 2, 0, 0), &[10., 11., 14., 15.]);
    assert_near(&pool("AveragePool", 4, 3, 2, 0, 0), &[5., 6.5, 11., 12.5]);
    assert_near(&pool("AveragePool", 4, 3, 2, 0, 1), &[5., 6.5, 11., 12.5]);
    // 2x2 padded by 1, kernel 2, stride 2: floor gives 2; nothing is left for ceil.
    assert_near(&pool("AveragePool", 2, 2, 2, 1, 1), &[0., 0.25, 0.5, 0.75]);
    assert_near(&pool("AveragePool", 2, 2, 2, 1, 0), &[0., 1., 2., 3.]);
    // 3x3 padded by 1, kernel 3, stride 3: a second window would start at 3 of 4 padded rows and have
    // row 2 and one row of padding: 9 - 3 places beyond do not count in the divisor of 4.
    assert_near(
        &pool("AveragePool", 3, 3, 3, 1, 1),
        &[8. / 9., 7. / 6., 13. / 6., 2.],
    );
    assert_near(&pool("AveragePool", 3, 3, 3, 1, 0), &[2., 3.5, 6.5, 8.]);
    // 2x2 padded by 1, kernel 2, stride 3: the second window would start in the padding, so it is dropped.
    assert_near(&pool("MaxPool", 2, 2, 3, 1, 0), &[0.]);
}

#[test]
fn global_poolings_and_means() {
    let x = ramp(2 * 2 * 3);
    for (opset, op) in [
        (13, "GlobalAveragePool"),
        (13, "ReduceMean"),
        (18, "ReduceMean"),
        (13, "flat"),
    ] {
        let model = Model::new(opset, &[0, 2, 2, 3]).weight(ints("axes", &[2, -1]));
        let model = import(&match (op, opset) {
            ("ReduceMean", 13) => {
                let mean = node(op, &["x"], "y")
                    .ints("axes", &[-1, 2])
                    .int("keepdims", 0);
                model.node(mean)
            }
            ("ReduceMean", _) => model.node(node(op, &["x", "axes"], "y")),
            ("flat", _) => model
                .weight(ints("s", &[0, 0, -1]))
                .node(node("Reshape", &["x", "s"], "r"))
                .node(node("ReduceMean", &["r"], "y").ints("axes", &[2])),
            _ => model.node(node(op, &["x"], "y")),
        });
        assert_near(&run(&model, &x), &[2.5, 8.5]);
    }
    let model = import(&Model::new(13, &[0, 2, 2, 3]).node(node("GlobalMaxPool", &["x"], "y")));
    assert_near(&run(&model, &x), &[5., 11.]);
    let channels = node("ReduceMean", &["x"], "y").ints("axes", &[1]);
    assert!(fails(&Model::new(13, &[0, 2, 2, 3]).node(channels)).contains("rows and columns"));
}

#[test]
fn fully_connected_after_a_map() {
    let (x, w, b) = (noise(2 * 3 * 2), noise(12 * 4), noise(4));
    let dot = |o: usize, at: &dyn Fn(usize) -> usize| -> f32 {
        (0..12).map(|k| x[k] * w[at(o * 12 + k)]).sum()
    };
    // [outputs, inputs] as it is; [inputs, outputs] is read at the transposed place.
    let plain: Vec<f32> = (0..4).map(|o| 0.5 * dot(o, &|i| i) + 2.0 * b[o]).collect();
    let turned: Vec<f32> = (0..4)
        .map(|o| dot(o, &|i| i % 12 * 4 + i / 12) + b[o])
        .collect();
    let base = Model::new(11, &[1, 2, 3, 2])
        .weight(floats("b", &[4], &b))
        .weight(ints("s", &[0, -1]));
    let transposed = base.clone().weight(floats("w", &[4, 12], &w));
    let straight = base.weight(floats("w", &[12, 4], &w));
    let gemm = node("Gemm", &["f", "w", "b"], "y");
    let scaled = gemm
        .clone()
        .int("transB", 1)
        .float("alpha", 0.5)
        .float("beta", 2.0);
    let model = import(
        &transposed
            .clone()
            .node(node("Flatten", &["x"], "f"))
            .node(scaled),
    );
    assert_near(&run(&model, &x), &plain);
    let model = import(
        &straight
            .clone()
            .node(node("Reshape", &["x", "s"], "f"))
            .node(gemm),
    );
    assert_near(&run(&model, &x), &turned);
    let model = straight
        .node(node("Flatten", &["x"], "f"))
        .node(node("MatMul", &["f", "w"], "m"));
    assert_near(
        &run(&import(&model.node(node("Add", &["b", "m"], "y"))), &x),
        &turned,
    );
    let transposed =
        transposed
            .node(node("Transpose", &["w"], "t"))
            .node(node("Flatten", &["x"], "f"));
    let model =
        transposed
            .node(node("MatMul", &["f", "t"], "m"))
            .node(node("Add", &["m", "b"], "y"));
    let expected: Vec<f32> = (0..4).map(|o| dot(o, &|i| i) + b[o]).collect();
    assert_near(&run(&import(&model), &x), &expected);
}

#[test]
fn a_tensorflow_export_keeps_its_order() {
    // NHWC input, turned to NCHW, and back before it is flattened.
    let (x, w) = (noise(3 * 2 * 4), noise(24));
    let model = Model::new(13, &[0, 3, 2, 4])
        .weight(floats("w", &[24, 1], &w))
        .weight(ints("s", &[-1, 24]));
    let model = model
        .node(node("Transpose", &["x"], "c").ints("perm", &[0, 3, 1, 2]))
        .node(node("Relu", &["c"], "r"));
    let model = model.node(node("Transpose", &["r"], "h").ints("perm", &[0, 2, 3, 1]));
    let model = import(&model.node(node("Reshape", &["h", "s"], "f")).node(node(
        "MatMul",
        &["f", "w"],
        "y",
    )));
    assert_eq!(model.graph.input_shape(), Shape::new(3, 2, 4));
    let expected: f32 = x.iter().zip(&w).map(|(x, w)| x.max(0.0) * w).sum();
    assert_near(&evaluate(&model.graph, &x), &[expected]);
    let turn = node("Transpose", &["x"], "y").ints("perm", &[0, 1, 3, 2]);
    assert!(
        fails(&Model::new(13, &[0, 3, 2, 4]).node(turn))
            .contains("'y' (Transpose) of 1x3x2x4: attribute 'perm'")
    );
}

#[test]
fn batch_norm_and_constants_per_channel() {
    let model = Model::new(9, &[0, 2, 1, 2])
        .weight(floats("g", &[2], &[2., 3.]))
        .weight(floats("b", &[2], &[1., -1.]));
    let model = model
        .weight(floats("m", &[2], &[1., 2.]))
        .weight(floats("v", &[2], &[3.75, 0.]));
    let norm = node("BatchNormalization", &["x", "g", "b", "m", "v"], "n").float("epsilon", 0.25);
    let model = model.node(norm);
    // Scale by [2, 3] of dimensions 2x1x1, subtract from 1.
    let model = model
        .node(node("Unsqueeze", &["g"], "u").ints("axes", &[1, 2]))
        .weight(floats("one", &[], &[1.0]));
    let model = model
        .node(node("Mul", &["n", "u"], "p"))
        .node(node("Sub", &["one", "p"], "y"));
    // gamma / sqrt(variance + epsilon) is 1 and 6.
    let expected = [0., 1., 2., 3.].iter().enumerate().map(|(i, x)| {
        if i < 2 {
            1.0 - 2.0 * ((x - 1.0) + 1.0)
        } else {
            1.0 - 3.0 * (6.0 * (x - 2.0) - 1.0)
        }
    });
    assert_near(
        &run(&import(&model), &ramp(4)),
        &expected.collect::<Vec<f32>>(),
    );
    let rows = Model::new(13, &[0, 2, 2, 2])
        .weight(floats("c", &[2, 1], &[1., 2.]))
        .node(node("Add", &["x", "c"], "y"));
    assert!(fails(&rows).contains("neither one number nor one per channel"));
}

#[test]
fn activations_and_their_spellings() {
    let x = [-4.0, -1.0, 0.0, 0.5, 2.0, 7.0];
    let base = |opset| {
        let model = Model::new(opset, &[0, 6])
            .weight(floats("0", &[], &[0.]))
            .weight(floats("6", &[], &[6.]));
        let sixth = floats("sixth", &[], &[1.0 / 6.0]);
        model
            .weight(floats("3", &[1], &[3.]))
            .weight(sixth)
            .weight(floats("max", &[], &[f32::MAX]))
    };
    let hard = |m: Model| {
        m.node(node("Add", &["x", "3"], "a"))
            .node(node("Clip", &["a", "0", "6"], "c"))
    };
    let cases: Vec<(Model, Activation)> = vec![
        (base(13).node(node("Relu", &["x"], "y")), Activation::Relu),
        (
            base(13).node(node("Clip", &["x", "0"], "y")),
            Activation::Relu,
        ),
        (
            base(13).node(node("Clip", &["x", "0", "max"], "y")),
            Activation::Relu,
        ),
        (
            base(13).node(node("Clip", &["x", "0", "6"], "y")),
            Activation::Relu6,
        ),
        (
            base(7).node(node("Clip", &["x"], "y").float("min", 0.).float("max", 6.)),
            Activation::Relu6,
        ),
        (
            base(13).node(node("LeakyRelu", &["x"], "y").float("alpha", 0.125)),
            Activation::LeakyRelu(0.125),
        ),
        (
            base(13).node(node("LeakyRelu", &["x"], "y")),
            Activation::LeakyRelu(0.01),
        ),
        (base(13).node(node("Tanh", &["x"], "y")), Activation::Tanh),
        (
            base(14).node(node("HardSwish", &["x"], "y")),
            Activation::HardSwish,
        ),
        (
            base(13).node(node("HardSigmoid", &["x"], "y").float("alpha", 0.166_666_7)),
            Activation::HardSigmoid,
        ),
        (
            hard(base(13)).node(node("Div", &["c", "6"], "y")),
            Activation::HardSigmoid,
        ),
        (
            hard(base(13)).node(node("Mul", &["sixth", "c"], "y")),
            Activation::HardSigmoid,
        ),
        (
            base(13)
                .node(node("Sigmoid", &["x"], "s"))
                .node(node("Mul", &["x", "s"], "y")),
            Activation::Silu,
        ),
        (
            base(13)
                .node(node("Sigmoid", &["x"], "s"))
                .node(node("Mul", &["s", "x"], "y")),
            Activation::Silu,
        ),
        (
            hard(base(13))
                .node(node("Div", &["c", "6"], "g"))
                .node(node("Mul", &["g", "x"], "y")),
            Activation::HardSwish,
        ),
        (
            hard(base(13))
                .node(node("Mul", &["x", "c"], "g"))
                .node(node("Div", &["g", "6"], "y")),
            Activation::HardSwish,
        ),
    ];
    for (i, (model, function)) in cases.iter().enumerate() {
        let imported = import(model);
        assert_eq!(imported.graph.nodes.len(), 2, "case {i} leaves other nodes");
        assert_eq!(
            imported.graph.nodes[1].op,
            Op::Activation(*function),
            "case {i}"
        );
    }
    // The values of the two longest spellings, so that recognition is not only by name.
    for n in [cases.len() - 1, cases.len() - 2] {
        let expected: Vec<f32> = x
            .iter()
            .map(|&x: &f32| x * (x + 3.0).clamp(0.0, 6.0) / 6.0)
            .collect();
        assert_near(&run(&import(&cases[n].0), &x), &expected);
    }
    // Without the division it is six times as much.
    let model = import(&hard(base(13)).node(node("Mul", &["x", "c"], "y")));
    assert_near(&run(&model, &[2.0; 6]), &[10.0; 6]);
    assert!(fails(&base(13).node(node("Clip", &["x", "6", "0"], "y"))).contains("clips to 6 to 0"));
}

#[test]
fn sums_and_joins_of_many() {
    let model = Model::new(8, &[0, 1, 1, 2]).weight(floats("c", &[1], &[10.0]));
    let model = model.node(node("Sum", &["x", "c", "x", "x"], "y").named("x"));
    assert_near(&run(&import(&model), &[1., 2.]), &[13., 16.]);
    let mut model = Model::new(13, &[0, 1, 1, 2]);
    let names: Vec<String> = (0..20).map(|i| format!("v{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        let c = format!("c{i}");
        model = model
            .weight(floats(&c, &[], &[i as f32]))
            .node(node("Mul", &["x", &c], name));
    }
    let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let model = import(&model.node(node("Concat", &inputs, "y").int("axis", -3)));
    assert!(model.graph.nodes.iter().all(|n| n.inputs.len() <= 8));
    let expected: Vec<f32> = (0..20).flat_map(|i| [i as f32, 10.0 * i as f32]).collect();
    assert_near(&run(&model, &[1., 10.]), &expected);
    let rows = Model::new(13, &[0, 1, 1, 2]).node(node("Concat", &["x", "x"], "y").int("axis", 2));
    assert!(fails(&rows).contains("axis 2"));
}

#[test]
fn slices_and_pads() {
    let x = ramp(3 * 4 * 5);
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        let model = Model::new(13, &[0, 3, 4, 5])
            .weight(ints("s", starts))
            .weight(ints("e", ends));
        model
            .weight(ints("a", axes))
            .weight(ints("t", steps))
            .node(node("Slice", &["x", "s", "e", "a", "t"], "y"))
    };
    let model = import(&slice(
        &[1, -1, 1],
        &[i64::MAX, 99, -1],
        &[1, 3, -2],
        &[1, 1, 1],
    ));
    assert_near(&run(&model, &x), &[29., 34., 49., 54.]);
    let model = import(&slice(&[0, 0, 1], &[i64::MAX; 3], &[0, 2, 3], &[1, 2, 3]));
    assert_near(
        &run(&model, &x),
        &[1., 4., 11., 14., 21., 24., 31., 34., 41., 44., 51., 54.],
    );
    assert!(fails(&slice(&[-1], &[i64::MIN], &[2], &[-1])).contains("by -1"));
    assert!(fails(&slice(&[3], &[3], &[1], &[1])).contains("0 elements"));
    assert!(fails(&slice(&[0], &[1], &[4], &[1])).contains("axis 4 of 4"));
    assert!(fails(&slice(&[0], &[1], &[1, 2], &[1])).contains("differ in number"));
    let old = node("Slice", &["x"], "y")
        .ints("starts", &[1, 3])
        .ints("ends", &[2, 9])
        .ints("axes", &[2, 3]);
    assert_near(
        &run(&import(&Model::new(9, &[0, 3, 4, 5]).node(old)), &x),
        &[8., 9., 28., 29., 48., 49.],
    );

    let pad = |opset: i64, n| {
        Model::new(opset, &[0, 1, 1, 2])
            .weight(ints("p", &[1, 0, 0, 2]))
            .weight(ints("a", &[1, 3]))
            .node(n)
    };
    let expected = [[0.; 4], [5., 6., 0., 0.]].concat();
    let model = import(&pad(18, node("Pad", &["x", "p", "", "a"], "y")));
    assert_near(&run(&model, &[5., 6.]), &expected);
    let old = node("Pad", &["x"], "y").ints("pads", &[0, 1, 0, 0, 0, 0, 0, 2]);
    assert_near(&run(&import(&pad(10, old.clone())), &[5., 6.]), &expected);
    assert!(fails(&pad(10, old.clone().text("mode", "reflect"))).contains("attribute 'mode'"));
    assert!(fails(&pad(10, old.float("value", 1.0))).contains("pads with 1"));
    let batch = node("Pad", &["x"], "y").ints("pads", &[1, 0, 0, 0, 0, 0, 0, 0]);
    assert!(fails(&pad(10, batch)).contains("around axis 0"));
}

#[test]
fn arithmetic_on_shapes_is_folded() {
    // x.view(x.size(0), x.size(1) * x.size(2) * 2), the long way round.
    let scalar = |name: &str, v: i64| {
        let mut t = ints(name, &[v]);
        t.dims = vec![];
        t
    };
    let mut model = Model::new(13, &[0, 2, 3, 2])
        .weight(ints("zero", &[0]))
        .weight(ints("three", &[3]));
    model = model
        .weight(ints("one", &[1]))
        .weight(ints("two", &[2]))
        .weight(floats("w", &[12, 1], &[1.0; 12]));
    for (i, name) in ["i0", "i1", "i2"].iter().enumerate() {
        model = model.node(node("Constant", &[], name).tensor("value", scalar("", i as i64)));
    }
    model = model
        .node(node("Shape", &["x"], "shape"))
        .node(node("Gather", &["shape", "i0"], "n"));
    model = model.node(node("Gather", &["shape", "i1"], "c")).node(node(
        "Slice",
        &["shape", "two", "three"],
        "h",
    ));
    model = model
        .node(node("Cast", &["h"], "hf").int("to", 1))
        .node(node("Cast", &["hf"], "hi").int("to", 7));
    model = model
        .node(node("Unsqueeze", &["c", "zero"], "c1"))
        .node(node("Mul", &["c1", "hi"], "ch"));
    model = model.node(node("Add", &["ch", "ch"], "chw")).node(node(
        "Squeeze",
        &["chw", "zero"],
        "flat",
    ));
    model = model
        .node(node("Div", &["flat", "one"], "flat1"))
        .node(node("Sub", &["flat1", "zero"], "flat2"));
    model = model
        .node(node("Unsqueeze", &["n", "zero"], "n1"))
        .node(node("Concat", &["n1", "flat2"], "s").int("axis", 0));
    model = model
        .node(node("Reshape", &["x", "s"], "f"))
        .node(node("MatMul", &["f", "w"], "y"));
    let model = import(&model);
    assert_eq!(model.graph.nodes.len(), 2);
    assert_near(&run(&model, &ramp(12)), &[66.0]);
    let filled = Model::new(9, &[0, 1, 1, 2]).weight(ints("s", &[2, 1, 1, 1]));
    let filled =
        filled.node(node("ConstantOfShape", &["s"], "w").tensor("value", floats("", &[1], &[0.5])));
    let model = import(&filled.node(node("Conv", &["x", "w"], "y")));
    assert_near(&run(&model, &[2., 4.]), &[1., 2., 1., 2.]);
}

#[test]
fn the_softmax_at_the_end_is_left_out() {
    let end = |opset, dims: &[i64], axis: Option<i64>| {
        let n = node("Softmax", &["r"], "y");
        let n = axis.map_or(n.clone(), |a| n.int("axis", a));
        Model::new(opset, dims)
            .node(node("Relu", &["x"], "r"))
            .node(n)
    };
    for model in [
        end(9, &[0, 5], None),
        end(13, &[0, 5], None),
        end(13, &[0, 5], Some(1)),
        end(9, &[0, 5, 1, 1], None),
        end(13, &[0, 5, 1, 1], Some(1)),
    ] {
        let imported = import(&model);
        assert!(imported.ends_in_softmax() && imported.graph.nodes.len() == 2);
    }
    for model in [
        end(13, &[0, 5, 1, 1], None),
        end(13, &[0, 5, 2, 1], Some(1)),
        end(9, &[0, 5, 2, 1], Some(1)),
    ] {
        assert!(
            fails(&model).contains("attribute 'axis'"),
            "{}",
            fails(&model)
        );
    }
    let mut after = end(13, &[0, 5], None)
        .node(node("Reshape", &["y", "s"], "z"))
        .weight(ints("s", &[5]));
    after.graph().output[0].name = "z".into();
    assert!(import(&after).ends_in_softmax());
    let mut middle = end(13, &[0, 5], None).node(node("Relu", &["y"], "z"));
    middle.graph().output[0].name = "z".into();
    assert!(fails(&middle).contains("'z' (Relu) of 1x5: a Softmax before other operators"));
    let log = Model::new(13, &[0, 5]).node(node("LogSoftmax", &["x"], "y"));
    assert!(import(&log).ends_in_softmax());
}

#[test]
fn inputs_outputs_and_names() {
    // Weights listed as inputs, a dead branch with an unknown operator, a second output, Dropout's mask.
    let mut model =
        Model::new(7, &[8, 2, 1, 1]).weight(floats("w", &[3, 2, 1, 1], &[1., 0., 0., 1., 1., 1.]));
    model.graph().input.insert(0, info("w", &[3, 2, 1, 1]));
    model.graph().output.push(info("aux", &[]));
    let mut dropout = node("Dropout", &["c"], "d")
        .float("ratio", 0.5)
        .named("same");
    dropout.output.push("mask".into());
    let model = model
        .node(node("Conv", &["x", "w"], "c").named("same"))
        .node(dropout);
    let model = model
        .node(node("LRN", &["c"], "aux"))
        .weight(ints("s", &[8, -1]));
    let model = model
        .node(node("Identity", &["d"], "i"))
        .node(node("Relu", &["i"], "r").named("same"));
    let imported = import(&model.clone().node(node("Reshape", &["r", "s"], "y")));
    assert_near(&run(&imported, &[1., 2.]), &[1., 2., 3.]);
    let names: Vec<&str> = imported
        .graph
        .nodes
        .iter()
        .map(|n| n.name.as_str())
        .collect();
    assert_eq!(names, ["input", "same", "same_1"]);
    assert_eq!(
        (imported.input_name.as_str(), imported.output_name.as_str()),
        ("x", "y")
    );
    assert_eq!(imported.warnings.len(), 2);
    assert!(imported.warnings[0].contains("aux") && imported.warnings[1].contains("batch of 8"));

    let mask = model.node(node("Cast", &["mask"], "y").int("to", 1));
    assert!(fails(&mask).contains("reads 'mask'"));
    let mut two = Model::new(13, &[0, 1, 1, 1]).node(node("Add", &["x", "z"], "y"));
    two.graph().input.push(info("z", &[0, 1, 1, 1]));
    assert!(fails(&two).contains("2 inputs (x, z)"));
    let relu = || node("Relu", &["x"], "y");
    assert!(
        fails(&Model::new(13, &[0, 1, 0, 1]).node(relu()))
            .contains("dimension 2 ('N') is not fixed")
    );
    assert!(fails(&Model::new(13, &[0, 1, 9])).contains("no network"));
    assert!(fails(&Model::new(13, &[0, 1, 9]).node(relu())).contains("3 dimensions"));
    assert!(fails(&Model::new(6, &[0, 1]).node(relu())).contains("opset 6"));
    assert!(import(&Model::new(22, &[0, 1]).node(relu())).warnings[0].contains("22"));
    assert!(
        fails(&Model::new(13, &[0, 1]).node(node("Relu", &["nothing"], "y"))).contains("no input")
    );
}

#[test]
fn an_unknown_operator_is_named_with_its_shapes() {
    let model = Model::new(13, &[0, 3, 8, 8]).weight(floats("r", &[], &[1.0]));
    let model = model.node(node("Resize", &["x", "", "r"], "y").named("up"));
    assert_eq!(
        fails(&model),
        "test: 'up' (Resize) of 1x3x8x8, -, scalar: the operator is not supported; \
         simplify the model first (onnxsim), or replace the operator and export again"
    );
    let mut custom = node("Conv", &["x"], "y");
    custom.domain = "com.example".into();
    assert!(fails(&Model::new(13, &[0, 3, 8, 8]).node(custom)).contains("(com.example.Conv)"));
    let line = Model::new(13, &[0, 3, 8]).weight(floats("w", &[1, 3, 3], &[0.0; 9]));
    assert!(fails(&line.node(node("Conv", &["x", "w"], "y"))).contains("3 dimensions"));
}
