//! The saturation of a quantized source is part of its function: the output range of an operator says how its
//! result is clipped, whether or not an activation is fused into it.
//!
//! What is expected was computed by ai-edge-litert 2.3.0's built-in kernels, without delegates, from the
//! files that these tests write if `GRAFT_WRITE` names a folder:
//!
//! ```python
//! t = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
//! t.allocate_tensors(); i, o = t.get_input_details()[0], t.get_output_details()[0]
//! (s, z), (so, zo) = i["quantization"], o["quantization"]
//! t.set_tensor(i["index"], numpy.rint(x / s + z).astype(i["dtype"]))  # x is what `input` gives
//! t.invoke(); y = (t.get_tensor(o["index"]).astype(float).ravel() - zo) * so
//! ```

use super::super::read_bytes;
use super::super::schema::{
    ActivationFunctionType as Fused, BuiltinOperator as Code, Padding, TensorType,
};
use super::build::{Model, options};
use crate::import::lowered::{evaluate, evaluate_int8};

const INT8: TensorType = TensorType::INT8;
const UINT8: TensorType = TensorType::UINT8;

/// A model in the making, its codes of one type.
struct Net {
    model: Model,
    kind: TensorType,
}

type Range = (f32, f32);

/// The range of what is not about to saturate.
const WIDE: Range = (-5.0, 5.0);

/// Weights of the first convolution.
const FIRST: [i32; 6] = [90, -60, 40, -70, 110, 35];

impl Net {
    fn new(kind: TensorType) -> Self {
        let mut net = Self {
            model: Model::new(&[1, 2, 2, 3]),
            kind,
        };
        net.codes(0, (-4.0, 4.0));
        net
    }

    /// Makes activation `id` one of codes of a range, which holds zero.
    fn codes(&mut self, id: i32, (low, high): Range) -> i32 {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = (high - low) / 255.0;
        let least = if self.kind == UINT8 { 0.0 } else { -128.0 };
        let zero = (least - low / scale).round_ties_even();
        self.model.quantize(id, self.kind, scale, zero as i64)
    }

    /// A constant of codes with one scale.
    fn constant(&mut self, shape: &[i32], codes: &[i32], scale: f32) -> i32 {
        let zero = if self.kind == UINT8 { 128 } else { 0 };
        let codes: Vec<i32> = codes.iter().map(|c| c + zero).collect();
        let steps = (&[scale][..], &[i64::from(zero)][..], 0);
        self.model.bytes(shape, self.kind, &codes, steps)
    }

    fn op(&mut self, code: Code, inputs: &[i32], range: Range) -> i32 {
        let options = match code {
            Code::LEAKY_RELU => options!(LeakyReluOptions, LeakyReluOptionsArgs { alpha: 0.1 }),
            Code::ADD => options!(AddOptions, AddOptionsArgs {}),
            Code::SUB => options!(SubOptions, SubOptionsArgs {}),
            Code::MUL => options!(MulOptions, MulOptionsArgs {}),
            Code::CONCATENATION => {
                options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: 3 })
            }
            Code::MEAN => options!(ReducerOptions, ReducerOptionsArgs { keep_dims: true }),
            Code::MAX_POOL_2D => options!(
                Pool2DOptions,
                Pool2DOptionsArgs {
                    padding: Padding::VALID,
                    stride_h: 1,
                    stride_w: 1,
                    filter_height: 1,
                    filter_width: 2,
                }
            ),
            _ => None,
        };
        let y = self.model.op(code, inputs, options);
        self.codes(y, range)
    }

    /// A pointwise convolution of `of`, to codes of `range`.
    fn conv(&mut self, of: i32, weights: &[i32], fused: Fused, range: Range) -> i32 {
        let inputs = weights.len() as i32 / 2;
        let scale = if of == 0 { 0.005 } else { 0.02 };
        let w = self.constant(&[2, 1, 1, inputs], weights, scale);
        let b = self.bias(of, scale);
        let conv = options!(
            Conv2DOptions,
            Conv2DOptionsArgs {
                padding: Padding::SAME,
                stride_h: 1,
                stride_w: 1,
                dilation_h_factor: 1,
                dilation_w_factor: 1,
                fused_activation_function: fused,
            }
        );
        let y = self.model.op(Code::CONV_2D, &[of, w, b], conv);
        self.codes(y, range)
    }

    /// Two biases of a layer that reads `of`, with weights of this scale.
    fn bias(&mut self, of: i32, scale: f32) -> i32 {
        let step = self.model.tensors[of as usize].scales[0] * scale;
        let codes = [0.2, -0.1].map(|b| (b / step).round() as i32);
        let b = self.model.words(&[2], &codes);
        let tensor = &mut self.model.tensors[b as usize];
        (tensor.scales, tensor.zero_points) = (vec![step], vec![0]);
        b
    }

    /// A factor per channel.
    fn scale(&mut self, of: i32) -> i32 {
        let factors = self.constant(&[2], &[100, -75], 0.02);
        self.op(Code::MUL, &[of, factors], WIDE)
    }
}

/// A network whose first convolution is saturated to `range`, then what `case` says.
fn network(case: &str, kind: TensorType, range: Range) -> Model {
    let mut net = Net::new(kind);
    let fused = match case {
        "fused ReLU, factor" => Fused::RELU,
        "fused ReLU6, factor" => Fused::RELU6,
        "fused ReLU1, factor" => Fused::RELU_N1_TO_1,
        _ => Fused::NONE,
    };
    let c = net.conv(0, &FIRST, fused, range);
    let other = [-FIRST[5], FIRST[3], FIRST[1], FIRST[4], FIRST[0], FIRST[2]];
    match case {
        "factor" | "fused ReLU, factor" | "fused ReLU6, factor" | "fused ReLU1, factor" => {
            net.scale(c);
        }
        "factor, offset" => {
            let y = net.scale(c);
            let offset = net.constant(&[1], &[60], 0.01);
            net.op(Code::ADD, &[y, offset], WIDE);
        }
        "subtract" => {
            let half = net.constant(&[1], &[50], 0.01);
            net.op(Code::SUB, &[half, c], WIDE);
        }
        "leaky" => {
            net.op(Code::LEAKY_RELU, &[c], WIDE);
        }
        "hard-swish" => {
            net.op(Code::HARD_SWISH, &[c], WIDE);
        }
        "convolution" => {
            net.conv(c, &[60, -90, 100, 45], Fused::NONE, WIDE);
        }
        "negated in float, factor" => {
            let real = net.model.op(Code::DEQUANTIZE, &[c], None);
            let negated = net.model.op(Code::NEG, &[real], None);
            let n = net.op(Code::QUANTIZE, &[negated], WIDE);
            net.scale(n);
        }
        "pool, factor" => {
            let p = net.op(Code::MAX_POOL_2D, &[c], range);
            net.scale(p);
        }
        "sum, factor" => {
            let o = net.conv(0, &other, Fused::NONE, WIDE);
            let s = net.op(Code::ADD, &[c, o], (-1.0, 1.5));
            net.scale(s);
        }
        "concatenation" => {
            let o = net.conv(0, &other, Fused::NONE, range);
            let j = net.op(Code::CONCATENATION, &[c, o], range);
            net.conv(j, &[60, -90, 100, 45, -20, 80, 30, -70], Fused::NONE, WIDE);
        }
        "product, factor" => {
            let o = net.conv(0, &other, Fused::NONE, WIDE);
            let m = net.op(Code::MUL, &[c, o], (-0.5, 0.5));
            net.scale(m);
        }
        "mean, factor" => {
            let axes = net.model.list(&[1, 2]);
            let m = net.op(Code::MEAN, &[c, axes], (-0.1, 0.15));
            net.scale(m);
        }
        "ReLU that is there, factor" => {
            let r = net.op(Code::RELU, &[c], (0.0, 0.5));
            net.scale(r);
        }
        "requantized, factor" => {
            let r = net.op(Code::QUANTIZE, &[c], (-0.2, 0.3));
            net.scale(r);
        }
        other => panic!("{other}"),
    }
    net.model
}

/// Numbers without a pattern, in -3..3.
fn input() -> Vec<f32> {
    let number = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    (0..12).map(|i| number(i) * 3.0).collect()
}

fn check(case: &str, kind: TensorType, range: Range, expected: &[f32]) {
    let model = network(case, kind, range);
    let name = format!("{case} {} {range:?}", kind.variant_name().unwrap());
    if let Some(folder) = std::env::var_os("GRAFT_WRITE") {
        let path = std::path::Path::new(&folder).join(format!("{name}.tflite"));
        return std::fs::write(path, model.file()).unwrap();
    }
    let graph = read_bytes(&model.file(), "test")
        .unwrap_or_else(|e| panic!("{e}"))
        .graph;
    let near = |what: &str, found: &[f32], tolerance: f32| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(error < tolerance, "{name}, {what}: {found}, not {expected}");
        }
    };
    // A step of the output is 10 / 255; float does not round on the way.
    near("float", &evaluate(graph.clone(), &[input()])[0], 0.1);
    let (found, layers) = evaluate_int8(graph, &[input()]);
    near("int8", &found[0], 0.06);
    let tables = layers.iter().filter(|l| **l == "map").count();
    let needed = ["leaky", "swish", "requantized"]
        .iter()
        .any(|f| case.contains(f));
    assert!(tables <= usize::from(needed), "{name}: {layers:?}");
}
#[test]
fn saturation_is_kept_wherever_it_can_matter() {
    let cut = (-0.4, 0.7);
    let one = (-1.0, 1.0);
    let relu = (0.0, 2.0);
    let six = (0.0, 6.0);
    let low = (-0.9, -0.1);
    check(
        "factor",
        UINT8,
        cut,
        &[
            -0.7843, -1.0588, 1.4118, 0.5882, 1.4118, 0.5882, 1.4118, 0.5882,
        ],
    );
    check(
        "factor",
        INT8,
        one,
        &[-2.0, -1.4902, 1.451, 1.4902, 2.0, 0.9804, 2.0, 1.451],
    );
    check(
        "fused ReLU, factor",
        INT8,
        relu,
        &[0.0, -1.6078, 1.451, 0.0, 3.2157, 0.0, 2.5882, 0.0],
    );
    check(
        "fused ReLU, factor",
        UINT8,
        six,
        &[0.0, -1.6078, 1.451, 0.0, 3.2157, 0.0, 2.5882, 0.0],
    );
    check(
        "fused ReLU6, factor",
        UINT8,
        relu,
        &[0.0, -1.6078, 1.451, 0.0, 3.2157, 0.0, 2.5882, 0.0],
    );
    check(
        "fused ReLU6, factor",
        INT8,
        six,
        &[0.0, -1.6078, 1.451, 0.0, 3.2157, 0.0, 2.5882, 0.0],
    );
    check(
        "fused ReLU1, factor",
        INT8,
        cut,
        &[
            -0.7843, -1.0588, 1.4118, 0.5882, 1.4118, 0.5882, 1.4118, 0.5882,
        ],
    );
    check(
        "fused ReLU1, factor",
        UINT8,
        one,
        &[-2.0, -1.4902, 1.451, 1.4902, 2.0, 0.9804, 2.0, 1.451],
    );
    check(
        "factor, offset",
        UINT8,
        cut,
        &[-0.1961, -0.4706, 2.0, 1.1765, 2.0, 1.1765, 2.0, 1.1765],
    );
    check(
        "factor, offset",
        INT8,
        one,
        &[
            -1.4118, -0.902, 2.0392, 2.0784, 2.5882, 1.5686, 2.5882, 2.0392,
        ],
    );
    check(
        "subtract",
        INT8,
        cut,
        &[
            0.902, -0.1961, -0.1961, 0.902, -0.1961, 0.902, -0.1961, 0.902,
        ],
    );
    check(
        "subtract",
        UINT8,
        relu,
        &[
            0.5098, -0.5882, -0.2353, 0.5098, -1.098, 0.5098, -0.7843, 0.5098,
        ],
    );
    check(
        "leaky",
        UINT8,
        cut,
        &[
            -0.0392, 0.7059, 0.7059, -0.0392, 0.7059, -0.0392, 0.7059, -0.0392,
        ],
    );
    check(
        "leaky",
        INT8,
        low,
        &[-0.0784, 0.0, 0.0, -0.0784, 0.0, -0.0784, 0.0, -0.0784],
    );
    check(
        "hard-swish",
        INT8,
        cut,
        &[
            -0.1569, 0.4314, 0.4314, -0.1569, 0.4314, -0.1569, 0.4314, -0.1569,
        ],
    );
    check(
        "hard-swish",
        UINT8,
        six,
        &[0.0, 0.7451, 0.4706, 0.0, 1.2157, 0.0, 0.9412, 0.0],
    );
    check(
        "convolution",
        UINT8,
        cut,
        &[
            -1.5294, -0.2745, 1.7647, 0.9412, 1.7647, 0.9412, 1.7647, 0.9412,
        ],
    );
    check(
        "convolution",
        INT8,
        one,
        &[
            -2.7843, -1.1765, 2.8627, 0.4314, 2.549, 1.3333, 3.1373, 1.0196,
        ],
    );
    check(
        "pool, factor",
        INT8,
        cut,
        &[1.4118, -1.0588, 1.4118, 0.5882],
    );
    check("pool, factor", UINT8, relu, &[1.451, -1.6078, 3.2157, 0.0]);
    check(
        "sum, factor",
        UINT8,
        cut,
        &[
            1.098, 1.4902, 2.6667, -0.1569, 0.4706, -0.3922, 1.9608, 1.1765,
        ],
    );
    check(
        "sum, factor",
        INT8,
        low,
        &[
            0.0784, 1.4902, 1.2549, 0.5882, -0.9412, -0.0392, 0.549, 1.4902,
        ],
    );
    check(
        "concatenation",
        INT8,
        cut,
        &[
            -0.5098, 2.1569, 3.451, -1.3725, 1.5294, -2.1961, 1.9216, -0.3137,
        ],
    );
    check(
        "concatenation",
        UINT8,
        six,
        &[
            0.1176, 2.1961, 2.7843, -0.7451, 2.7059, -1.6471, 2.2745, -0.4706,
        ],
    );
    check(
        "product, factor",
        UINT8,
        cut,
        &[
            -0.7451, 0.7451, 0.8627, 0.3137, -0.6667, 0.3922, 0.3922, -0.2353,
        ],
    );
    check(
        "product, factor",
        INT8,
        one,
        &[
            -0.9804, 0.7451, 0.902, 0.7451, -0.9412, 0.6275, 0.549, -0.5882,
        ],
    );
    check("mean, factor", INT8, cut, &[0.3137, 0.1569]);
    check("mean, factor", UINT8, relu, &[0.3137, -0.2353]);
    check(
        "ReLU that is there, factor",
        UINT8,
        cut,
        &[0.0, -0.7451, 1.0196, 0.0, 1.0196, 0.0, 1.0196, 0.0],
    );
    check(
        "ReLU that is there, factor",
        INT8,
        low,
        &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    );
    check(
        "requantized, factor",
        INT8,
        cut,
        &[
            -0.3922, -0.4314, 0.5882, 0.3137, 0.5882, 0.3137, 0.5882, 0.3137,
        ],
    );
    check(
        "requantized, factor",
        UINT8,
        six,
        &[0.0, -0.4314, 0.5882, 0.0, 0.5882, 0.0, 0.5882, 0.0],
    );
    check(
        "negated in float, factor",
        INT8,
        cut,
        &[
            0.7843, 1.0588, -1.4118, -0.5882, -1.4118, -0.5882, -1.4118, -0.5882,
        ],
    );
}
