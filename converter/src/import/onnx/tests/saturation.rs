//! The saturation of a quantized source is part of its function: onnxruntime's quantizer removes any Clip
//! whose bounds the next QuantizeLinear implies.
//!
//! What is expected was computed by onnxruntime 1.32.0, graph optimizations off, from the files that these
//! tests write if `GRAFT_WRITE` names a folder:
//!
//! ```python
//! m = onnx.load(path); m.graph.output[0].type.tensor_type.ClearField("shape")
//! m.opset_import.append(helper.make_opsetid("com.microsoft", 1))
//! o = onnxruntime.SessionOptions(); o.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
//! y = onnxruntime.InferenceSession(m.SerializeToString(), o).run(None, {"x": x})[0].ravel()  # x is what `input` gives
//! ```

use super::super::pb::{
    NodeProto,
    tensor_proto::DataType::{self, Int8, Int32, Uint8},
};
use super::build::{Model, With, codes, floats, import, node, noise};
use crate::import::lowered::{evaluate, evaluate_int8, to_hwc};

/// A model in the making, its codes of one type.
struct Net {
    model: Model,
    kind: DataType,
    /// Operators that read and write codes instead of QuantizeLinear and DequantizeLinear around float ones.
    operators: bool,
}

/// Scale and zero point as onnxruntime chooses them for a range.
fn steps(kind: DataType, low: f32, high: f32) -> (f32, i32) {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = (high - low) / 255.0;
    let least = if kind == Uint8 { 0 } else { -128 };
    (scale, least + (-low / scale).round_ties_even() as i32)
}

/// Weights of the first convolution: codes, then the scale of each channel.
const FIRST: ([i32; 6], [f32; 2]) = ([90, -60, 40, -70, 110, 35], [0.005, 0.004]);

impl Net {
    fn new(kind: DataType, operators: bool) -> Self {
        let model = Model::new(17, &[0, 3, 2, 2]);
        let mut net = Self {
            model,
            kind,
            operators,
        };
        net.steps("x", -4.0, 4.0);
        net.quantize("x");
        net
    }

    fn constant(&mut self, name: &str, dims: &[i64], values: &[f32]) -> &mut Self {
        self.model = self.model.clone().weight(floats(name, dims, values));
        self
    }

    fn push(&mut self, node: NodeProto) -> &mut Self {
        self.model = self.model.clone().node(node);
        self
    }

    /// Scale `name.s` and zero point `name.z` for a range.
    fn steps(&mut self, name: &str, low: f32, high: f32) -> &mut Self {
        let (scale, zero) = steps(self.kind, low, high);
        let zero = codes(&format!("{name}.z"), self.kind, &[], &[zero]);
        self.model = self.model.clone().weight(zero);
        self.constant(&format!("{name}.s"), &[], &[scale])
    }

    /// `name` to codes `name.q`, and back to `name.d`.
    fn quantize(&mut self, name: &str) -> &mut Self {
        let (s, z, q) = (
            format!("{name}.s"),
            format!("{name}.z"),
            format!("{name}.q"),
        );
        self.push(node("QuantizeLinear", &[name, &s, &z], &q))
            .dequantize(name)
    }

    fn dequantize(&mut self, name: &str) -> &mut Self {
        let (s, z, q) = (
            format!("{name}.s"),
            format!("{name}.z"),
            format!("{name}.q"),
        );
        self.push(node(
            "DequantizeLinear",
            &[&q, &s, &z],
            &format!("{name}.d"),
        ))
    }

    /// `of` through `op`, to `name` in codes of the range.
    fn step(&mut self, op: NodeProto, name: &str, (low, high): (f32, f32)) -> &mut Self {
        let op = NodeProto {
            output: vec![name.into()],
            ..op
        };
        self.push(op).steps(name, low, high).quantize(name)
    }

    /// An operator of onnxruntime on codes of `of`, to codes of `name`.
    fn operator(
        &mut self,
        op: &str,
        of: &[&str],
        name: &str,
        (low, high): (f32, f32),
    ) -> &mut Self {
        self.steps(name, low, high);
        let triple = |of: &&str| [".q", ".s", ".z"].map(|end| format!("{of}{end}"));
        let mut inputs: Vec<String> = of.iter().flat_map(triple).collect();
        let result = [format!("{name}.s"), format!("{name}.z")];
        if op == "QLinearConcat" {
            inputs.splice(0..0, result);
        } else {
            inputs.extend(result);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut op = node(op, &inputs, &format!("{name}.q"));
        op.domain = "com.microsoft".into();
        match &*op.op_type {
            "QLinearConcat" => op = op.int("axis", 1),
            "QLinearLeakyRelu" => op = op.float("alpha", 0.1),
            _ => {}
        }
        self.push(op).dequantize(name)
    }

    /// A pointwise convolution of `of` with weights in steps, to `name` in codes of a range: the clip that
    /// the quantizer removed.
    fn conv(
        &mut self,
        of: &str,
        name: &str,
        (weights, scales): (&[i32], [f32; 2]),
        (low, high): (f32, f32),
    ) -> &mut Self {
        let [w, q, s, z, b] = ["w", "wq", "ws", "wz", "b"].map(|end| format!("{name}.{end}"));
        let inputs = (weights.len() / 2) as i64;
        let model = self.model.clone();
        self.model = model
            .weight(codes(&q, Int8, &[2, inputs, 1, 1], weights))
            .weight(floats(&s, &[2], &scales))
            .weight(codes(&z, Int8, &[2], &[0, 0]));
        if self.operators {
            self.steps(name, low, high);
            self.model = self
                .model
                .clone()
                .weight(codes(&b, Int32, &[2], &[300, -200]));
            let [xq, xs, xz] = [".q", ".s", ".z"].map(|end| format!("{of}{end}"));
            let [ys, yz] = [".s", ".z"].map(|end| format!("{name}{end}"));
            let inputs = [&*xq, &xs, &xz, &q, &s, &z, &ys, &yz, &b];
            let conv = node("QLinearConv", &inputs, &format!("{name}.q"));
            return self.push(conv).dequantize(name);
        }
        self.constant(&b, &[2], &[0.2, -0.1]);
        self.push(node("DequantizeLinear", &[&q, &s, &z], &w).int("axis", 0));
        let conv = node("Conv", &[&format!("{of}.d"), &w, &b], name);
        self.step(conv, name, (low, high))
    }

    fn norm(&mut self, of: &str, name: &str, range: (f32, f32)) -> &mut Self {
        for (end, values) in [
            ("g", [1.3, -0.7]),
            ("b", [0.3, -0.2]),
            ("m", [0.1, -0.1]),
            ("v", [0.5, 1.5]),
        ] {
            self.constant(&format!("{name}.{end}"), &[2], &values);
        }
        let ends = ["g", "b", "m", "v"].map(|end| format!("{name}.{end}"));
        let [g, b, m, v] = ends.each_ref().map(String::as_str);
        let norm = node("BatchNormalization", &[of, g, b, m, v], name);
        self.step(norm, name, range)
    }
}

/// The range of what is not about to saturate.
const WIDE: (f32, f32) = (-5.0, 5.0);

/// A network whose first convolution is saturated to `range`, then what `case` says; its output is `y.d`.
fn network(case: &str, kind: DataType, range: (f32, f32)) -> Model {
    let mut net = Net::new(kind, case.starts_with("QLinear"));
    let (weights, scales) = FIRST;
    net.conv("x", "c", (&weights, scales), range);
    let other = [
        -weights[5],
        weights[3],
        weights[1],
        weights[4],
        weights[0],
        weights[2],
    ];
    let second = (&[60, -90, 100, 45][..], [0.02, 0.015]);
    match case {
        "norm" | "QLinearConv, norm" => net.norm("c.d", "y", WIDE),
        "multiply, add" => net
            .constant("factors", &[2, 1, 1], &[2.0, -1.5])
            .constant("one", &[], &[0.6])
            .step(node("Mul", &["c.d", "factors"], ""), "m", WIDE)
            .step(node("Add", &["m.d", "one"], ""), "y", WIDE),
        "subtract" => {
            net.constant("half", &[], &[0.5])
                .step(node("Sub", &["half", "c.d"], ""), "y", WIDE)
        }
        "leaky" => net.step(
            node("LeakyRelu", &["c.d"], "").float("alpha", 0.1),
            "y",
            WIDE,
        ),
        "hard-swish" => net.step(node("HardSwish", &["c.d"], ""), "y", WIDE),
        "convolution" => net.conv("c", "y", second, WIDE),
        "pool, norm" => {
            let pool = node("MaxPool", &["c.d"], "p").ints("kernel_shape", &[1, 2]);
            net.step(pool, "p", range).norm("p.d", "y", WIDE)
        }
        "sum" => net.conv("x", "o", (&other, scales), WIDE).step(
            node("Add", &["c.d", "o.d"], ""),
            "y",
            (-1.0, 1.5),
        ),
        "sum, norm" => net
            .conv("x", "o", (&other, scales), WIDE)
            .step(node("Add", &["c.d", "o.d"], ""), "s", (-1.0, 1.5))
            .norm("s.d", "y", WIDE),
        "concatenation" => net
            .conv("x", "o", (&other, scales), WIDE)
            .step(
                node("Concat", &["c.d", "o.d"], "").int("axis", 1),
                "j",
                (-0.8, 1.2),
            )
            .conv(
                "j",
                "y",
                (&[60, -90, 100, 45, -20, 80, 30, -70], scales),
                WIDE,
            ),
        "product" => net
            .conv("x", "o", (&other, scales), WIDE)
            .step(node("Mul", &["c.d", "o.d"], ""), "m", (-0.5, 0.5))
            .norm("m.d", "y", WIDE),
        "mean" => net
            .step(node("GlobalAveragePool", &["c.d"], ""), "m", (-0.1, 0.15))
            .norm("m.d", "y", WIDE),
        "ReLU that is there" => net
            .step(node("Relu", &["c.d"], ""), "r", (-2.0, 2.0))
            .norm("r.d", "y", WIDE),
        "twice" => net
            .steps("n", -0.2, 0.3)
            .push(node("QuantizeLinear", &["c", "n.s", "n.z"], "n.q"))
            .dequantize("n")
            .step(node("Add", &["c.d", "n.d"], ""), "s", WIDE)
            .norm("s.d", "y", WIDE),
        "SiLU" => net
            .step(node("Sigmoid", &["c.d"], ""), "g", (0.0, 1.0))
            .step(node("Mul", &["c.d", "g.d"], ""), "y", WIDE),
        "cut SiLU" => net
            .step(node("Sigmoid", &["c.d"], ""), "g", (0.0, 0.5))
            .step(node("Mul", &["c.d", "g.d"], ""), "y", WIDE),
        "spelled hard-swish" => net
            .constant("three", &[], &[3.0])
            .constant("six", &[], &[6.0])
            .step(node("Add", &["c.d", "three"], ""), "a", (0.0, 6.0))
            .step(node("Mul", &["c.d", "a.d"], ""), "m", (-2.25, 9.0))
            .step(node("Div", &["m.d", "six"], ""), "y", WIDE),
        "spelled hard-swish, cut" => net
            .constant("three", &[], &[3.0])
            .constant("six", &[], &[6.0])
            .step(node("Add", &["c.d", "three"], ""), "a", (0.0, 6.0))
            .step(node("Mul", &["c.d", "a.d"], ""), "m", (-1.0, 2.0))
            .step(node("Div", &["m.d", "six"], ""), "y", WIDE),
        "QLinearAdd" => net
            .conv("x", "o", (&other, scales), WIDE)
            .operator("QLinearAdd", &["c", "o"], "s", (-1.0, 1.5))
            .norm("s.d", "y", WIDE),
        "QLinearMul" => net
            .conv("x", "o", (&other, scales), WIDE)
            .operator("QLinearMul", &["c", "o"], "s", (-0.5, 0.5))
            .norm("s.d", "y", WIDE),
        "QLinearConcat" => net
            .conv("x", "o", (&other, scales), WIDE)
            .operator("QLinearConcat", &["c", "o"], "j", (-0.8, 1.2))
            .conv(
                "j",
                "y",
                (&[60, -90, 100, 45, -20, 80, 30, -70], scales),
                WIDE,
            ),
        "QLinearGlobalAveragePool" => net
            .operator("QLinearGlobalAveragePool", &["c"], "m", (-0.1, 0.15))
            .norm("m.d", "y", WIDE),
        "QLinearLeakyRelu" => net
            .operator("QLinearLeakyRelu", &["c"], "m", (-0.02, 0.4))
            .norm("m.d", "y", WIDE),
        "QLinearSigmoid" => net
            .operator("QLinearSigmoid", &["c"], "m", (0.0, 0.6))
            .norm("m.d", "y", WIDE),
        other => panic!("{other}"),
    };
    net.model.graph().output[0].name = "y.d".into();
    net.model.clone()
}

fn input() -> Vec<f32> {
    noise(12).iter().map(|v| v * 3.0).collect()
}

fn check(case: &str, kind: DataType, range: (f32, f32), expected: &[f32]) {
    let model = network(case, kind, range);
    let name = format!("{case} {} {range:?}", kind.as_str_name());
    if let Some(folder) = std::env::var_os("GRAFT_WRITE") {
        let path = std::path::Path::new(&folder).join(format!("{name}.onnx"));
        return std::fs::write(path, model.bytes()).unwrap();
    }
    let graph = import(&model).graph;
    let shape = graph.nodes[graph.output].shape;
    let x = to_hwc(&input(), 3);
    let expected = to_hwc(expected, shape.c as usize);
    let near = |what: &str, found: &[f32], tolerance: f32| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let error = (found - expected).abs();
            assert!(error < tolerance, "{name}, {what}: {found}, not {expected}");
        }
    };
    // A step of the output is 10 / 255; float does not round on the way.
    near(
        "float",
        &evaluate(graph.clone(), std::slice::from_ref(&x))[0],
        0.1,
    );
    let (found, layers) = evaluate_int8(graph, &[x]);
    near("int8", &found[0], 0.06);
    let tables = layers.iter().filter(|l| **l == "map").count();
    // A function is a table, and so is a clamp to less than its codes behind one; two quantizations of one
    // value are two.
    let functions = ["leaky", "swish", "SiLU", "Leaky", "Sigmoid"];
    let needed = match case {
        "twice" | "spelled hard-swish, cut" => 2,
        _ => usize::from(functions.iter().any(|f| case.contains(f))),
    };
    assert!(tables <= needed, "{name}: {layers:?}");
}
#[test]
fn saturation_is_kept_wherever_it_can_matter() {
    let cut = (-0.4, 0.7);
    let one = (-1.0, 1.0);
    let relu = (0.0, 2.0);
    let six = (0.0, 6.0);
    let low = (-0.9, -0.1);
    check(
        "norm",
        Uint8,
        cut,
        &[
            -0.6275, 1.4118, -0.6275, 1.4118, -0.6667, -0.0392, -0.6275, -0.0392,
        ],
    );
    check(
        "norm",
        Int8,
        one,
        &[
            -0.9412, 1.9608, -1.7255, 1.9608, -0.8235, 0.3137, -0.6275, 0.2745,
        ],
    );
    check(
        "multiply, add",
        Int8,
        cut,
        &[-0.1961, 2.0, -0.1961, 2.0, -0.4706, 1.1765, -0.3529, 1.1765],
    );
    check(
        "multiply, add",
        Uint8,
        relu,
        &[
            0.5882, 3.2549, 0.5882, 4.2353, -0.9804, 0.5882, -0.3529, 0.5882,
        ],
    );
    check(
        "subtract",
        Uint8,
        cut,
        &[
            0.902, -0.1961, 0.902, -0.1961, -0.1961, 0.902, -0.1176, 0.902,
        ],
    );
    check(
        "subtract",
        Int8,
        low,
        &[
            1.0588, 0.5098, 1.4118, 0.5098, 0.5098, 1.4118, 0.5098, 1.4118,
        ],
    );
    check(
        "leaky",
        Int8,
        cut,
        &[
            -0.0392, 0.7059, -0.0392, 0.7059, 0.7059, -0.0392, 0.6275, -0.0392,
        ],
    );
    check(
        "leaky",
        Uint8,
        six,
        &[0.0, 1.3333, 0.0, 1.8431, 1.0588, 0.0, 0.6275, 0.0],
    );
    check(
        "hard-swish",
        Uint8,
        cut,
        &[
            -0.1569, 0.4314, -0.1569, 0.4314, 0.4314, -0.1569, 0.3922, -0.1569,
        ],
    );
    check(
        "hard-swish",
        Int8,
        one,
        &[
            -0.2353, 0.6667, -0.3137, 0.6667, 0.6667, -0.3137, 0.3922, -0.3137,
        ],
    );
    check(
        "convolution",
        Int8,
        cut,
        &[
            -1.5294, 1.7647, -1.4118, 1.7647, -0.2353, 0.6667, -0.2745, 0.6667,
        ],
    );
    check(
        "convolution",
        Uint8,
        relu,
        &[
            -1.6863, 1.8039, -0.902, 2.3922, 0.6275, 1.8824, 0.3137, 2.6275,
        ],
    );
    check(
        "pool, norm",
        Uint8,
        cut,
        &[1.4118, 1.4118, -0.6667, -0.6275],
    );
    check("pool, norm", Int8, low, &[0.1176, 0.1176, -0.2745, -0.2745]);
    check(
        "sum",
        Int8,
        cut,
        &[-0.402, 1.5, 0.2255, 0.3431, -0.3627, -0.9902, 0.0, 0.3431],
    );
    check(
        "sum",
        Uint8,
        six,
        &[0.0, 1.5, 0.6275, 1.4804, 0.0, -0.5882, -0.0196, 0.7451],
    );
    check(
        "sum, norm",
        Uint8,
        cut,
        &[
            -0.6275, 2.8627, 0.549, 0.7451, -0.0392, 0.3137, -0.2745, -0.4706,
        ],
    );
    check(
        "sum, norm",
        Int8,
        one,
        &[
            -0.9412, 2.8627, -0.5882, 1.2941, -0.2353, 0.3137, -0.2353, -0.1569,
        ],
    );
    check(
        "concatenation",
        Int8,
        cut,
        &[
            -0.4314, 0.8627, -0.0392, 0.5882, 0.3922, -0.0392, 0.3922, -0.549,
        ],
    );
    check(
        "concatenation",
        Uint8,
        relu,
        &[
            -0.4706, 0.8235, 0.0784, 0.549, 0.4706, 0.0784, 0.3529, -0.4314,
        ],
    );
    check(
        "product",
        Uint8,
        cut,
        &[
            0.1176, 1.0196, -0.3529, -0.3529, 0.0392, -0.3922, -0.0392, -0.0784,
        ],
    );
    check(
        "product",
        Int8,
        low,
        &[
            0.1176, 0.1176, -0.7843, 0.1176, -0.2745, -0.549, -0.2745, 0.0392,
        ],
    );
    check("mean", Int8, cut, &[0.3922, -0.3137]);
    check("mean", Uint8, six, &[0.3922, -0.3529]);
    check(
        "ReLU that is there",
        Uint8,
        cut,
        &[
            0.1176, 1.4118, 0.1176, 1.4118, -0.6667, -0.2745, -0.6275, -0.2745,
        ],
    );
    check(
        "ReLU that is there",
        Int8,
        one,
        &[
            0.1176, 1.9608, 0.1176, 1.9608, -0.8235, -0.2745, -0.6275, -0.2745,
        ],
    );
    check(
        "twice",
        Int8,
        cut,
        &[
            -0.9804, 1.9216, -0.9804, 1.9216, -0.8235, 0.0784, -0.7843, 0.0784,
        ],
    );
    check(
        "twice",
        Uint8,
        relu,
        &[
            -0.2353, 3.1373, -0.2353, 4.0, -1.0196, -0.1569, -0.7843, -0.1569,
        ],
    );
    check(
        "SiLU",
        Uint8,
        cut,
        &[
            -0.1569, 0.4706, -0.1569, 0.4706, 0.4706, -0.1569, 0.3922, -0.1569,
        ],
    );
    check(
        "SiLU",
        Int8,
        low,
        &[-0.1961, 0.0, -0.2745, 0.0, 0.0, -0.2745, 0.0, -0.2745],
    );
    check(
        "cut SiLU",
        Int8,
        cut,
        &[
            -0.1569, 0.3529, -0.1569, 0.3529, 0.3529, -0.1569, 0.3137, -0.1569,
        ],
    );
    check(
        "cut SiLU",
        Uint8,
        six,
        &[0.0, 0.6667, 0.0, 0.902, 0.549, 0.0, 0.3137, 0.0],
    );
    check(
        "spelled hard-swish",
        Uint8,
        cut,
        &[
            -0.1569, 0.4314, -0.1569, 0.4314, 0.4314, -0.1569, 0.3922, -0.1569,
        ],
    );
    check(
        "spelled hard-swish",
        Int8,
        one,
        &[
            -0.2353, 0.6667, -0.3137, 0.6667, 0.6667, -0.3137, 0.3922, -0.3137,
        ],
    );
    check(
        "spelled hard-swish, cut",
        Int8,
        cut,
        &[
            -0.1569, 0.3137, -0.1569, 0.3137, 0.3137, -0.1569, 0.3137, -0.1569,
        ],
    );
    check(
        "spelled hard-swish, cut",
        Uint8,
        relu,
        &[0.0, 0.3137, 0.0, 0.3137, 0.3137, 0.0, 0.3137, 0.0],
    );
    check(
        "QLinearConv, norm",
        Uint8,
        cut,
        &[
            -0.6275, 1.4118, -0.6275, 1.4118, -0.6667, -0.0392, -0.6667, -0.0392,
        ],
    );
    check(
        "QLinearConv, norm",
        Int8,
        low,
        &[
            -1.2157, 0.1176, -1.5294, 0.1176, -0.2745, 0.2745, -0.2745, 0.1961,
        ],
    );
    check(
        "QLinearAdd",
        Int8,
        cut,
        &[
            -0.902, 2.6275, 0.2353, 0.4706, -0.0784, 0.2745, -0.3137, -0.5098,
        ],
    );
    check(
        "QLinearAdd",
        Uint8,
        six,
        &[
            -0.1569, 2.8627, 0.9804, 2.2353, -0.3529, 0.0392, -0.3137, -0.7451,
        ],
    );
    check(
        "QLinearMul",
        Uint8,
        cut,
        &[
            0.2353, 0.9804, -0.2353, -0.549, 0.0392, -0.3922, -0.0392, -0.0784,
        ],
    );
    check(
        "QLinearMul",
        Int8,
        one,
        &[
            0.3137, 1.0196, -0.7451, -0.7843, 0.0392, -0.549, -0.0392, 0.0392,
        ],
    );
    check(
        "QLinearConcat",
        Int8,
        cut,
        &[
            -0.6667, 0.6275, -0.3137, 0.3137, 0.4706, 0.0392, 0.4706, -0.4706,
        ],
    );
    check(
        "QLinearConcat",
        Uint8,
        relu,
        &[
            -0.7451, 0.5882, -0.1961, 0.3137, 0.549, 0.1176, 0.4314, -0.3922,
        ],
    );
    check("QLinearGlobalAveragePool", Uint8, cut, &[0.3922, -0.3529]);
    check("QLinearGlobalAveragePool", Int8, low, &[-0.0784, -0.1961]);
    check(
        "QLinearLeakyRelu",
        Int8,
        cut,
        &[
            0.0784, 0.8627, 0.0784, 0.8627, -0.4706, -0.2353, -0.4706, -0.2353,
        ],
    );
    check(
        "QLinearLeakyRelu",
        Uint8,
        six,
        &[
            0.1176, 0.8627, 0.1176, 0.8627, -0.4706, -0.2745, -0.4706, -0.2745,
        ],
    );
    check(
        "QLinearSigmoid",
        Uint8,
        cut,
        &[
            0.8627, 1.2157, 0.8627, 1.2157, -0.5882, -0.4706, -0.5882, -0.4706,
        ],
    );
    check(
        "QLinearSigmoid",
        Int8,
        one,
        &[
            0.7059, 1.2157, 0.6275, 1.2157, -0.5882, -0.4314, -0.5882, -0.4314,
        ],
    );
}
