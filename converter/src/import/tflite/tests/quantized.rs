//! Quantized models: the integers of the file, their steps, and where both end up.

use super::super::schema::{
    ActivationFunctionType as Fused, BuiltinOperator as Code, Padding, TensorType,
};
use super::super::{Imported, read_bytes};
use super::build::{Model, options};
use crate::graph::{Activation, ConvWeights, Op, Quant};
use crate::import::PixelRule;

const INT8: TensorType = TensorType::INT8;
const UINT8: TensorType = TensorType::UINT8;

fn import(model: &Model) -> Imported {
    read_bytes(&model.file(), "test").unwrap_or_else(|e| panic!("{e}"))
}

fn fails(model: &Model) -> String {
    read_bytes(&model.file(), "test").unwrap_err().to_string()
}

fn quant(scale: f32, zero_point: i8) -> Option<Quant> {
    Some(Quant { scale, zero_point })
}

/// A 1x1 convolution of 2 into 2 channels, of tensors of `kind`.
fn point(kind: TensorType, weights: &[i32], steps: (&[f32], &[i64], i32)) -> Model {
    let mut model = Model::new(&[1, 2, 2, 2]);
    model.quantize(0, kind, 0.5, 3);
    let weights = model.bytes(&[2, 1, 1, 2], kind, weights, steps);
    let bias = model.words(&[2], &[1000, -7]);
    let conv = options!(
        Conv2DOptions,
        Conv2DOptionsArgs {
            padding: Padding::SAME,
            stride_h: 1,
            stride_w: 1,
            dilation_h_factor: 1,
            dilation_w_factor: 1
        }
    );
    let y = model.op(Code::CONV_2D, &[0, weights, bias], conv);
    model.quantize(y, kind, 0.25, 5);
    model
}

fn conv(imported: &Imported) -> &ConvWeights {
    match &imported.graph.nodes[1].op {
        Op::Conv(c) => c,
        other => panic!("{}", other.name()),
    }
}

#[test]
fn int8_weights_keep_their_steps() {
    let imported = import(&point(INT8, &[1, -127, 127, 2], (&[0.1, 0.03], &[0, 0], 0)));
    let c = conv(&imported);
    assert_eq!(
        c.weights,
        [1.0 * 0.1, -127.0 * 0.1, 127.0 * 0.03, 2.0 * 0.03]
    );
    assert_eq!(c.weight_scales.as_deref(), Some(&[0.1, 0.03][..]));
    let real = |b: f64, s: f32| (b * 0.5 * f64::from(s)) as f32;
    assert_eq!(c.bias, [real(1000.0, 0.1), real(-7.0, 0.03)]);
    let nodes = &imported.graph.nodes;
    assert_eq!(
        (nodes[0].quant, nodes[1].quant),
        (quant(0.5, 3), quant(0.25, 5))
    );
    assert_eq!(nodes.len(), 3);
    let clip = Activation::Clip(-33.25, 30.5);
    assert_eq!(nodes[2].op, Op::Activation(clip));
    assert_eq!(
        imported.pixels.derived.map(|d| d.rule),
        Some(PixelRule::uniform(131.0, 2.0))
    );
    assert!(imported.warnings.is_empty());
}

#[test]
fn uint8_is_int8_shifted_and_wide_channels_get_wider_steps() {
    // Less the zero point of 100: -100 and 27, then 155 and -99.
    let imported = import(&point(UINT8, &[0, 127, 255, 1], (&[0.1], &[100], 0)));
    let c = conv(&imported);
    assert_eq!(
        c.weights,
        [-100.0 * 0.1, 27.0 * 0.1, 155.0 * 0.1, -99.0 * 0.1]
    );
    assert_eq!(
        c.weight_scales.as_deref(),
        Some(&[0.1, 0.1 * (155.0 / 127.0)][..])
    );
    // The bias counts in the steps of the file.
    assert_eq!(c.bias[1], (-7.0 * 0.5 * f64::from(0.1f32)) as f32);
    let nodes = &imported.graph.nodes;
    assert_eq!(
        (nodes[0].quant, nodes[1].quant),
        (quant(0.5, -125), quant(0.25, -123))
    );
    assert_eq!(
        imported.pixels.derived.map(|d| d.rule),
        Some(PixelRule::uniform(3.0, 2.0))
    );
    assert_eq!(
        imported.warnings,
        ["1 of 2 output channels have weights beyond -127 to 127 and were rounded to 8 bits"]
    );
    // The one int8 value without an opposite.
    let imported = import(&point(INT8, &[-128, 0, 0, 0], (&[0.1], &[0], 0)));
    assert_eq!(
        conv(&imported).weight_scales.as_ref().unwrap()[0],
        0.1 * (128.0 / 127.0)
    );
}

#[test]
fn depthwise_scales_are_along_the_last_dimension() {
    let mut model = Model::new(&[1, 2, 1, 2]);
    model.quantize(0, INT8, 0.5, 0);
    let weights = [1, 2, 3, 4];
    let weights = model.bytes(&[1, 2, 1, 2], INT8, &weights, (&[0.1, 0.2], &[0, 0], 3));
    let conv2d = options!(
        DepthwiseConv2DOptions,
        DepthwiseConv2DOptionsArgs {
            padding: Padding::VALID,
            stride_h: 1,
            stride_w: 1,
            depth_multiplier: 1,
            dilation_h_factor: 1,
            dilation_w_factor: 1
        }
    );
    let y = model.op(Code::DEPTHWISE_CONV_2D, &[0, weights], conv2d);
    model.quantize(y, INT8, 0.5, 0);
    let imported = import(&model);
    let c = conv(&imported);
    assert_eq!(c.weights, [0.1, 3.0 * 0.1, 2.0 * 0.2, 4.0 * 0.2]);
    assert_eq!(c.weight_scales.as_deref(), Some(&[0.1, 0.2][..]));
    model.tensors[1].axis = 1;
    assert!(fails(&model).contains("quantized along dimension 1"));
}

#[test]
fn clamps_that_only_the_range_implies() {
    let functions = |scale: f32, zero_point: i64, kind: TensorType| {
        let mut model = point(kind, &[1; 4], (&[0.1], &[0], 0));
        let y = model.outputs[0];
        model.quantize(y, kind, scale, zero_point);
        let imported = import(&model);
        let nodes = &imported.graph.nodes;
        // What the clamp gives and what it reads have one range: a pass may merge them or not.
        assert!(nodes[1..].iter().all(|n| n.quant == nodes[1].quant));
        nodes[2..].iter().map(|n| n.op.clone()).collect::<Vec<_>>()
    };
    let function = |f: Activation| vec![Op::Activation(f)];
    assert_eq!(functions(0.023_528, 0, UINT8), function(Activation::Relu6));
    assert_eq!(
        functions(6.0 / 255.0, -128, INT8),
        function(Activation::Relu6)
    );
    let clip = |low, high| function(Activation::Clip(low, high));
    assert_eq!(functions(0.03, -128, INT8), clip(0.0, 0.03 * 255.0));
    let (low, high) = (-0.023_528, 0.023_528 * 254.0);
    assert_eq!(functions(0.023_528, -127, INT8), clip(low, high));
    assert_eq!(functions(0.023_528, 1, UINT8), clip(low, high));
    // A fused activation is what it is.
    let mut model = point(INT8, &[1; 4], (&[0.1], &[0], 0));
    let y = model.outputs[0];
    model.quantize(y, INT8, 2.0 / 255.0, 0);
    model.ops[0].options = options!(
        Conv2DOptions,
        Conv2DOptionsArgs {
            padding: Padding::SAME,
            stride_h: 1,
            stride_w: 1,
            dilation_h_factor: 1,
            dilation_w_factor: 1,
            fused_activation_function: Fused::RELU_N1_TO_1
        }
    );
    let imported = import(&model);
    assert_eq!(
        imported.graph.nodes[2].op,
        Op::Activation(Activation::Clip(-1.0, 1.0))
    );
}

#[test]
fn float_in_and_out_of_a_quantized_model() {
    let mut model = Model::new(&[1, 2, 2, 2]);
    let x = model.op(Code::QUANTIZE, &[0], None);
    model.quantize(x, UINT8, 0.5, 131);
    // The same as int8: nothing to do.
    let x = model.op(Code::QUANTIZE, &[x], None);
    model.quantize(x, INT8, 0.5, 3);
    let y = model.op(Code::TANH, &[x], None);
    model.quantize(y, INT8, 1.0 / 128.0, 0);
    // Another step: a node that requantizes.
    let z = model.op(Code::QUANTIZE, &[y], None);
    model.quantize(z, INT8, 1.0 / 100.0, 0);
    model.op(Code::DEQUANTIZE, &[z], None);
    let imported = import(&model);
    let nodes = &imported.graph.nodes;
    let clip = Activation::Clip(-1.0, 127.0 / 128.0);
    let expected = [
        (Op::Input, quant(0.5, 3)),
        (Op::Activation(Activation::Tanh), quant(1.0 / 128.0, 0)),
        // A tanh of 1 has no code.
        (Op::Activation(clip), quant(1.0 / 128.0, 0)),
        (Op::Activation(Activation::None), quant(1.0 / 100.0, 0)),
    ];
    assert_eq!(nodes.len(), expected.len());
    for (node, (op, quant)) in nodes.iter().zip(expected) {
        assert_eq!((&node.op, node.quant), (&op, quant));
    }
    let pixels = imported.pixels;
    assert_eq!(pixels.derived, None, "the picture enters as float");
}

#[test]
fn weights_alone_may_be_quantized() {
    let mut model = point(INT8, &[10, -10, 20, 1], (&[0.1], &[0], 0));
    for t in [0, 3] {
        model.tensors[t].kind = TensorType::FLOAT32;
        model.tensors[t].scales.clear();
    }
    assert!(fails(&model).contains("a bias of INT32 does not go with"));
    let bias = model.floats(&[2], &[0.5, 0.25]);
    model.ops[0].inputs[2] = bias;
    let imported = import(&model);
    let c = conv(&imported);
    assert_eq!((c.weights[2], &c.bias[..]), (20.0 * 0.1, &[0.5, 0.25][..]));
    assert_eq!(c.weight_scales.as_deref(), Some(&[0.1, 0.1][..]));
    assert!(imported.graph.nodes.iter().all(|n| n.quant.is_none()));
}

#[test]
fn constants_and_views_of_8_bits() {
    let mut model = Model::new(&[1, 1, 2, 2]);
    model.quantize(0, INT8, 0.5, 3);
    let c = model.bytes(&[2], INT8, &[4, -6], (&[0.25], &[2], 0));
    let sum = model.op(Code::ADD, &[0, c], None);
    model.quantize(sum, INT8, 0.5, 0);
    let shape = model.list(&[1, 4]);
    let flat = model.op(Code::RESHAPE, &[sum, shape], None);
    model.quantize(flat, INT8, 0.5, 0);
    let imported = import(&model);
    let Op::BatchNorm(norm) = &imported.graph.nodes[1].op else {
        panic!()
    };
    assert_eq!(norm.beta, [0.5, -2.0]);
    model.quantize(flat, INT8, 0.25, 0);
    assert!(fails(&model).contains("copies integers, but its result has another quantization"));
    model.tensors[flat as usize].kind = TensorType::FLOAT32;
    assert!(fails(&model).contains("of float and of 8 bits at once"));
}

#[test]
fn what_is_not_supported_is_said() {
    let base = || point(INT8, &[1; 4], (&[0.1], &[0], 0));
    let with = |change: &dyn Fn(&mut Model)| {
        let mut model = base();
        change(&mut model);
        fails(&model)
    };
    let line = with(&|m| m.tensors[3].kind = TensorType::INT16);
    assert!(
        line.contains("(CONV_2D)") && line.contains("16-bit activations"),
        "{line}"
    );
    assert!(with(&|m| m.tensors[3].scales = vec![0.1; 2]).contains("without one scale"));
    assert!(with(&|m| m.tensors[3].scales.clear()).contains("without one scale"));
    assert!(with(&|m| m.tensors[1].scales.clear()).contains("integer weights without a scale"));
    assert!(with(&|m| m.tensors[1].scales[0] = -1.0).contains("a scale of -1"));
    assert!(with(&|m| m.tensors[1].scales[0] = f32::NAN).contains("a scale of NaN"));
    assert!(with(&|m| m.tensors[0].zero_points[0] = 200).contains("a zero point of 200"));
    assert!(with(&|m| m.tensors[0].zero_points[0] = i64::MIN).contains("a zero point of -92"));
    assert!(with(&|m| m.tensors[1].scales = vec![0.1; 3]).contains("3 scales along dimension 0"));
    assert!(with(&|m| m.tensors[1].kind = TensorType::INT4).contains("constants of INT4"));
    assert!(with(&|m| m.tensors[2].shape = vec![1]).contains("8 bytes for 1 elements of 4"));
    let floats = |m: &mut Model| {
        let w = m.floats(&[2, 1, 1, 2], &[0.5; 4]);
        m.ops[0].inputs[1] = w;
    };
    assert!(with(&floats).contains("float weights for a quantized input"));
    let huge = with(&|m| m.tensors[1].scales[0] = f32::MAX);
    assert!(
        huge.contains("not finite") || huge.contains("bias"),
        "{huge}"
    );
}
