//! Models that are quantized already: what the graph keeps of their scales, and what it computes.

use super::super::pb::{
    self,
    tensor_proto::DataType::{self, Int8, Int32, Uint8},
};
use super::build::{Model, With, assert_near, codes, fails, floats, import, ints, node, run};
use crate::graph::split::split;
use crate::graph::{Activation, ConvWeights, Op, Quant};
use crate::import::lowered;
use crate::passes::simplify;
use crate::quantize::assign::{assign, given};
use crate::quantize::idle_clamps;
use crate::quantize::range::Range;

fn quant(scale: f32, zero_point: i8) -> Option<Quant> {
    Some(Quant { scale, zero_point })
}

/// QuantizeLinear and DequantizeLinear of `from`, with a scale and a zero point of the name `to`.
fn pair(model: Model, from: &str, to: &str, scale: f32, kind: DataType, zero: i32) -> Model {
    let (s, z, q) = (format!("{to}.s"), format!("{to}.z"), format!("{to}.q"));
    model
        .weight(floats(&s, &[], &[scale]))
        .weight(codes(&z, kind, &[], &[zero]))
        .node(node("QuantizeLinear", &[from, &s, &z], &q))
        .node(node("DequantizeLinear", &[&q, &s, &z], to))
}

/// A weight `name` that DequantizeLinear makes of codes, along `axis`.
fn weight(model: Model, name: &str, q: pb::TensorProto, s: &[f32], z: &[i32], axis: i64) -> Model {
    let (scale, zero, q_name) = (format!("{name}.s"), format!("{name}.z"), q.name.clone());
    let dims = [s.len() as i64];
    let dims = if s.len() == 1 { &dims[1..] } else { &dims[..] };
    let kind = DataType::try_from(q.data_type).unwrap();
    let zeros = codes(&zero, kind, dims, z);
    let model = model
        .weight(q)
        .weight(floats(&scale, dims, s))
        .weight(zeros);
    model.node(node("DequantizeLinear", &[&q_name, &scale, &zero], name).int("axis", axis))
}

fn conv(model: &super::super::Imported) -> &ConvWeights {
    let conv = model.graph.nodes.iter().find_map(|n| match &n.op {
        Op::Conv(c) => Some(c),
        _ => None,
    });
    conv.unwrap()
}

#[test]
fn a_convolution_keeps_its_scales() {
    for (opset, kind, zero) in [(10, Uint8, 3), (13, Int8, -125), (21, Uint8, 3)] {
        let model = pair(Model::new(opset, &[0, 2, 1, 1]), "x", "xd", 0.5, kind, zero);
        let w = codes("wq", Int8, &[2, 2, 1, 1], &[1, -2, 127, 4]);
        let model = weight(model, "w", w, &[0.25, 0.5], &[0, 0], 0);
        let model = weight(
            model,
            "b",
            codes("bq", Int32, &[2], &[8, -1000]),
            &[0.125],
            &[0],
            0,
        );
        let model = model.node(node("Conv", &["xd", "w", "b"], "c"));
        // Codes from -1 to 254.
        let model = import(&pair(model, "c", "y", 2.0, Uint8, 1));
        let nodes = &model.graph.nodes;
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes[0].quant, quant(0.5, -125));
        assert_eq!(nodes[2].op, Op::Activation(Activation::Clip(-2.0, 508.0)));
        assert_eq!(nodes[2].quant, quant(2.0, -127));
        let conv = conv(&model);
        assert_eq!(conv.weights, [0.25, -0.5, 63.5, 2.0]);
        assert_eq!(conv.weight_scales, Some(vec![0.25, 0.5]));
        assert_eq!(conv.bias, [1.0, -125.0]);
        assert!(model.warnings.is_empty());
        assert_near(&run(&model, &[4.0, 1.0]), &[1.5, 131.0]);
    }
}

#[test]
fn a_clamp_at_zero_comes_back() {
    let end = |kind, zero, relu: bool| {
        let model = weight(
            Model::new(13, &[0, 1, 1, 2]),
            "w",
            codes("wq", Int8, &[1, 1, 1, 1], &[-4]),
            &[0.5],
            &[0],
            0,
        );
        let model = model.node(node("Conv", &["x", "w"], "c"));
        let model = if relu {
            model.node(node("Relu", &["c"], "r"))
        } else {
            model.node(node("Identity", &["c"], "r"))
        };
        import(&pair(model, "r", "y", 0.125, kind, zero))
    };
    for (kind, zero) in [(Int8, -128), (Uint8, 0)] {
        let model = end(kind, zero, false);
        let last = model.graph.nodes.last().unwrap();
        assert_eq!(last.op, Op::Activation(Activation::Clip(0.0, 31.875)));
        assert_eq!(last.quant, quant(0.125, -128));
        // A Relu that is there makes no difference.
        let there = end(kind, zero, true);
        let conv = |model: super::super::Imported| simplify(model.graph).nodes[1].op.clone();
        assert_eq!(conv(there), conv(model));
    }
    // Once for all readers that quantize it alike, as training with fake quantization writes it.
    let twice = Model::new(13, &[0, 1, 1, 2]).node(node("Neg", &["x"], "n"));
    let twice = pair(twice, "n", "a", 0.125, Uint8, 0);
    let twice = pair(twice, "n", "b", 0.125, Uint8, 0);
    let twice = import(&twice.node(node("Add", &["a", "b"], "y")));
    assert_eq!(twice.graph.nodes.len(), 4);
    assert_near(&run(&twice, &[1.0, -2.0]), &[0.0, 4.0]);
    let model = end(Int8, -127, false);
    assert_near(&run(&model, &[1.0, -2.0]), &[-0.125, 4.0]);
}

#[test]
fn asymmetric_weights_get_larger_steps() {
    // Steps from zero: 127 and -3 in the first channel, 200 and 0 in the second.
    let w = codes("wq", Uint8, &[2, 2, 1, 1], &[137, 7, 210, 10]);
    let model = weight(Model::new(13, &[0, 2, 1, 1]), "w", w, &[0.5], &[10], 0);
    let model = import(&model.node(node("Conv", &["x", "w"], "y")));
    let conv = conv(&model);
    assert_eq!(conv.weights, [63.5, -1.5, 100.0, 0.0]);
    assert_eq!(conv.weight_scales, Some(vec![0.5, 100.0 / 127.0]));
    assert!(
        model.warnings[0].contains("1 channels of 1 layers"),
        "{:?}",
        model.warnings
    );
}

#[test]
fn matrices_keep_the_scales_of_their_outputs() {
    let x = [1.0, 2.0, 3.0];
    let expected = [-14.0 * 0.5, 4.0 * 0.25];
    let check = |model: &Model| {
        let model = import(model);
        assert_near(&run(&model, &x), &expected);
        assert_eq!(conv(&model).weight_scales, Some(vec![0.5, 0.25]));
    };
    let rows = [-1, -2, -3, 2, 1, 0];
    let columns = [-1, 2, -2, 1, -3, 0];
    let base = || Model::new(13, &[0, 3]);
    let straight = || codes("wq", Int8, &[3, 2], &columns);
    let scales = [0.5, 0.25];
    let model = weight(base(), "w", straight(), &scales, &[0, 0], 1);
    check(&model.clone().node(node("MatMul", &["x", "w"], "y")));
    check(&model.node(node("Gemm", &["x", "w"], "y")));
    let transposed = codes("wq", Int8, &[2, 3], &rows);
    let model = weight(base(), "w", transposed.clone(), &scales, &[0, 0], 0);
    check(&model.node(node("Gemm", &["x", "w"], "y").int("transB", 1)));
    let model = weight(base(), "w", transposed, &scales, &[0, 0], -2);
    let model = model.node(node("Transpose", &["w"], "t"));
    check(&model.node(node("MatMul", &["x", "t"], "y")));
    // Through a reshape, and from floats that QuantizeLinear rounds at import.
    let model = weight(
        base(),
        "w4",
        codes("wq", Int8, &[2, 3, 1, 1], &rows),
        &scales,
        &[0, 0],
        0,
    );
    let model = model
        .weight(ints("s", &[2, 3]))
        .node(node("Reshape", &["w4", "s"], "w"));
    check(&model.node(node("Gemm", &["x", "w"], "y").int("transB", 1)));
    let values = [-0.5, 0.5, -1.0, 0.26, -1.6, 0.1];
    let model = base()
        .weight(floats("f", &[3, 2], &values))
        .weight(floats("s", &[2], &scales))
        .weight(codes("z", Int8, &[2], &[0, 0]))
        .node(node("QuantizeLinear", &["f", "s", "z"], "q").int("axis", 1))
        .node(node("DequantizeLinear", &["q", "s", "z"], "w").int("axis", 1));
    check(&model.node(node("MatMul", &["x", "w"], "y")));
    // Scales per input are none that int8 can keep.
    let model = weight(base(), "w", straight(), &[0.5, 0.5, 0.5], &[0; 3], 0);
    let model = import(&model.node(node("MatMul", &["x", "w"], "y")));
    assert_eq!(conv(&model).weight_scales, None);
    assert!(model.warnings[0].contains("other scales than one per output channel"));
}

#[test]
fn views_and_pools_of_codes() {
    let scale = |m: Model| {
        m.weight(floats("s", &[], &[0.5]))
            .weight(codes("z", Uint8, &[], &[128]))
            .weight(codes("z2", Uint8, &[], &[7]))
            .weight(ints("shape", &[1, -1]))
            .weight(ints("pads", &[0, 0, 0, 1, 0, 0, 0, 0]))
    };
    let start =
        scale(Model::new(13, &[0, 2, 2, 2])).node(node("QuantizeLinear", &["x", "s", "z"], "q"));
    let pool = node("MaxPool", &["q"], "m").ints("kernel_shape", &[2, 2]);
    let model = start
        .clone()
        .node(pool)
        .node(node("Concat", &["m", "m"], "c").int("axis", 1))
        .node(node("Reshape", &["c", "shape"], "f"))
        .node(node("DequantizeLinear", &["f", "s", "z"], "y"));
    let model = import(&model);
    assert!(model.graph.nodes.iter().all(|n| n.quant == quant(0.5, 0)));
    let x = [1., 2., 3., 4., 8., 7., 6., 5.];
    assert_near(&run(&model, &x), &[4., 8., 4., 8.]);
    let padded = start
        .clone()
        .node(node("Pad", &["q", "pads", "z"], "p"))
        .node(node("DequantizeLinear", &["p", "s", "z"], "y"));
    let expected = [0., 1., 2., 0., 3., 4., 0., 8., 7., 0., 6., 5.];
    assert_near(&run(&import(&padded), &x), &expected);
    let wrong = start
        .clone()
        .node(node("Pad", &["q", "pads", "z2"], "p"))
        .node(node("DequantizeLinear", &["p", "s", "z"], "y"));
    assert!(fails(&wrong).contains("pads with 7"));
    let other = start
        .clone()
        .node(node("DequantizeLinear", &["q", "s", "z2"], "y"));
    assert!(fails(&other).contains("another scale"));
    let direct = start.node(node("Relu", &["q"], "y"));
    assert!(fails(&direct).contains("without a DequantizeLinear"));
}

#[test]
fn codes_at_the_ends_of_a_network() {
    // A uint8 input that is dequantized, and a softmax whose probabilities are quantized.
    let mut model = Model::new(13, &[0, 3])
        .weight(floats("s", &[], &[0.25]))
        .weight(codes("z", Uint8, &[], &[100]))
        .node(node("DequantizeLinear", &["x", "s", "z"], "d"))
        .node(node("Relu", &["d"], "r"))
        .node(node("Softmax", &["r"], "p"));
    model.graph().input[0] = {
        let mut info = super::build::info("x", &[0, 3]);
        if let Some(pb::type_proto::Value::TensorType(t)) =
            info.r#type.as_mut().and_then(|t| t.value.as_mut())
        {
            t.elem_type = Uint8 as i32;
        }
        info
    };
    let model = import(&pair(model, "p", "y", 1.0 / 256.0, Uint8, 0));
    assert!(model.ends_in_softmax());
    assert_eq!(model.graph.nodes.len(), 2);
    assert_eq!(model.graph.nodes[0].quant, quant(0.25, -28));
    assert_eq!(model.graph.nodes[1].quant, None);
    // A second rounding of one value needs a node of its own.
    let twice = pair(Model::new(13, &[0, 3]), "x", "a", 0.5, Int8, 0);
    let model = import(&pair(twice, "a", "y", 0.25, Int8, 0));
    assert_eq!(model.graph.nodes[0].quant, quant(0.5, 0));
    assert_eq!(model.graph.nodes[1].quant, quant(0.25, 0));
    let clip = Activation::Clip(-32.0, 31.75);
    assert_eq!(model.graph.nodes[1].op, Op::Activation(clip));
    // The same number is in both ranges.
    let twice = pair(Model::new(13, &[0, 3]), "x", "a", 0.25, Int8, 0);
    let model = import(&pair(twice, "a", "y", 0.5, Int8, 0));
    assert_eq!(model.graph.nodes[1].quant, quant(0.5, 0));
    assert_eq!(model.graph.nodes[1].op, Op::Activation(Activation::None));
}

#[test]
fn operators_on_codes() {
    let named = |n: pb::NodeProto| pb::NodeProto {
        domain: "com.microsoft".into(),
        ..n
    };
    let model = Model::new(13, &[0, 2, 1, 2])
        .weight(floats("s1", &[], &[0.5]))
        .weight(floats("s2", &[], &[0.25]))
        .weight(floats("s3", &[], &[4.0]))
        .weight(codes("z0", Int8, &[], &[0]))
        .weight(codes("z5", Int8, &[], &[5]))
        .weight(codes("wq", Int8, &[2, 2, 1, 1], &[1, 2, -3, 4]))
        .weight(floats("ws", &[2], &[0.5, 0.25]))
        .weight(codes("wz", Int8, &[2], &[0, 0]))
        .weight(codes("bq", Int32, &[2], &[10, -8]))
        .weight(codes("mq", Int8, &[2, 3], &[1, 0, 2, 0, 1, 2]))
        .weight(codes("cq", Int32, &[3], &[0, 2, 4]))
        .node(node("QuantizeLinear", &["x", "s1", "z5"], "q"))
        .node(node(
            "QLinearConv",
            &["q", "s1", "z5", "wq", "ws", "wz", "s2", "z0", "bq"],
            "c",
        ))
        .node(named(node(
            "QLinearAdd",
            &["c", "s2", "z0", "q", "s1", "z5", "s3", "z5"],
            "a",
        )))
        .node(named(node(
            "QLinearConcat",
            &["s1", "z0", "a", "s3", "z5", "q", "s1", "z5"],
            "j",
        )))
        .node(named(node(
            "QLinearMul",
            &["a", "s3", "z5", "q", "s1", "z5", "s1", "z0"],
            "m",
        )))
        .node(named(node(
            "QLinearGlobalAveragePool",
            &["m", "s1", "z0", "s2", "z5"],
            "g",
        )))
        .node(node("Flatten", &["g"], "f"))
        .node(named(node(
            "QGemm",
            &["f", "s2", "z5", "mq", "s1", "z0", "cq", "s3", "z0"],
            "e",
        )));
    let end = |output: &str, scale: &str, zero: &str| {
        import(
            &model
                .clone()
                .node(node("DequantizeLinear", &[output, scale, zero], "y")),
        )
    };
    let x = [1., 2., 3., 4.];
    // Channel 0: 0.5 * x0 + 1 * x1 + 10 * 0.5 * 0.5; channel 1: -0.75 * x0 + 1 * x1 - 8 * 0.5 * 0.25.
    let c = [6.0, 7.5, 1.25, 1.5];
    let convolved = end("c", "s2", "z0");
    assert_near(&run(&convolved, &x), &c);
    assert_eq!(conv(&convolved).weight_scales, Some(vec![0.5, 0.25]));
    assert_eq!(convolved.graph.nodes[2].quant, quant(0.25, 0));
    let a = [7.0, 9.5, 4.25, 5.5];
    assert_near(&run(&end("a", "s3", "z5"), &x), &a);
    let joined = [7.0, 9.5, 4.25, 5.5, 1., 2., 3., 4.];
    assert_near(&run(&end("j", "s1", "z0"), &x), &joined);
    // Products 7, 19, 12.75, 22, whose means are 13 and 17.375.
    assert_near(&run(&end("g", "s2", "z5"), &x), &[13.0, 17.375]);
    let dense = end("e", "s3", "z0");
    assert_near(&run(&dense, &x), &[6.5, 8.6875 + 0.25, 13.0 + 17.375 + 0.5]);
    assert!(given(&simplify(dense.graph)).iter().all(Option::is_some));
}

#[test]
fn what_cannot_be_kept_is_said() {
    let base = |kind, scale: &[f32], zero: &[i32]| {
        Model::new(21, &[0, 2, 1, 1])
            .weight(floats("s", &[scale.len() as i64], scale))
            .weight(codes("z", kind, &[zero.len() as i64], zero))
            .node(node("QuantizeLinear", &["x", "s", "z"], "q"))
            .node(node("DequantizeLinear", &["q", "s", "z"], "y"))
    };
    import(&base(Int8, &[0.5], &[0]));
    for (model, says) in [
        (base(DataType::Int16, &[0.5], &[0]), "INT16"),
        (
            base(Int8, &[0.5, 0.5], &[0, 0]),
            "2 scales of an activation",
        ),
        (base(Int8, &[0.5], &[0, 0]), "INT8"),
        (base(Int8, &[-0.5], &[0]), "a scale of -0.5"),
        (base(Int8, &[f32::NAN], &[0]), "NaN"),
        (base(Int8, &[0.5], &[200]), "zero point of 200"),
    ] {
        let line = fails(&model);
        assert!(
            line.contains(says) && line.contains("(QuantizeLinear)"),
            "{line}"
        );
    }
    let dynamic = Model::new(13, &[0, 2]).node(node("DynamicQuantizeLinear", &["x"], "y"));
    assert!(fails(&dynamic).contains("quantize statically"));
    let blocks = |n: pb::NodeProto| {
        Model::new(21, &[0, 2])
            .weight(codes("q", Int8, &[2, 2], &[1; 4]))
            .weight(floats("s", &[2, 2], &[0.5; 4]))
            .node(n)
            .node(node("MatMul", &["x", "w"], "y"))
    };
    let n = node("DequantizeLinear", &["q", "s"], "w");
    assert!(fails(&blocks(n.clone())).contains("4 scales for axis 1 of 2"));
    assert!(fails(&blocks(n.int("block_size", 1))).contains("attribute 'block_size'"));
}

#[test]
fn the_last_range_is_a_clamp_of_the_head() {
    let end = |quantized: bool| {
        let model = weight(
            Model::new(13, &[0, 2, 2, 2]),
            "w",
            codes("wq", Int8, &[2, 3], &[1, 0, 2, 0, 1, 2]),
            &[0.5],
            &[0],
            0,
        );
        let model = model
            .node(node("Sigmoid", &["x"], "s"))
            .node(node("GlobalAveragePool", &["s"], "g"))
            .node(node("Flatten", &["g"], "f"))
            .node(node("Gemm", &["f", "w"], "c"));
        if quantized {
            return simplify(import(&pair(model, "c", "y", 0.25, Int8, -100)).graph);
        }
        simplify(import(&model.node(node("Relu", &["c"], "y"))).graph)
    };
    let graph = end(true);
    let head = split(&graph).head.unwrap();
    let Op::Conv(dense) = &graph.nodes[head.dense].op else {
        panic!()
    };
    assert_eq!(dense.activation, Activation::Clip(-7.0, 56.75));
    assert!(head.pool.is_some());
    // Where a mean can leave its codes, float has a clamp behind the pool; int8 needs none, and the head has
    // its pool again.
    let model = pair(Model::new(13, &[0, 2, 2, 2]), "x", "xd", 0.5, Int8, 0);
    let model = model
        .node(node("Relu", &["xd"], "r"))
        .node(node("GlobalAveragePool", &["r"], "g"));
    let model = pair(model, "g", "gd", 0.125, Int8, -128);
    let w = codes("wq", Int8, &[2, 3], &[1, 0, 2, 0, 1, 2]);
    let model = weight(model, "w", w, &[0.5], &[0], 0)
        .node(node("Flatten", &["gd"], "f"))
        .node(node("Gemm", &["f", "w"], "c"));
    let graph = simplify(import(&pair(model, "c", "y", 0.25, Int8, -100)).graph);
    assert_eq!(split(&graph).head.unwrap().pool, None);
    let ranges = vec![Range::new(0.0, 1.0); graph.nodes.len()];
    let quants = assign(&graph, &lowered::about(&graph).manifest.input, &ranges);
    let graph = idle_clamps::remove(graph, &quants);
    let pool = split(&graph).head.unwrap().pool.unwrap();
    assert_eq!(Some(quants.of(pool)), quant(0.125, -128));
    // A clamp of the network's own is one of its logits, too.
    assert!(split(&end(false)).head.is_some());
}
