//! What TensorFlow Lite files say of their pixels. The networks are what TensorFlow 2.21.0's converter makes
//! of Keras networks that begin so, and the logits LiteRT 2.3.0's.

use super::super::schema::{
    ActivationFunctionType as Fused, BuiltinOperator as Code, Padding, TensorType,
};
use super::super::{Imported, read_bytes};
use super::build::{Model, options};
use crate::graph::reference::evaluate;
use crate::import::PixelRule;

fn import(model: &Model) -> Imported {
    read_bytes(&model.file(), "test").unwrap_or_else(|e| panic!("{e}"))
}

fn weight(i: usize, divisor: f32) -> f32 {
    ((i * 37 % 101) as f32 - 50.0) / divisor
}

/// Conv2D(4, 3, strides=2, same, relu), GlobalAveragePooling2D, Dense(3) behind tensor `x`, with Keras'
/// order of weights. `folded` is a factor that the converter has folded into the convolution.
fn network(model: &mut Model, x: i32, folded: f32) {
    let conv = |k: usize| {
        let (o, rest) = (k / 27, k % 27);
        folded * weight(rest * 4 + o, 200.0)
    };
    let w = model.floats(&[4, 3, 3, 3], &(0..108).map(conv).collect::<Vec<_>>());
    let b = model.floats(&[4], &(0..4).map(|i| weight(i, 100.0)).collect::<Vec<_>>());
    let convolution = options!(
        Conv2DOptions,
        Conv2DOptionsArgs {
            padding: Padding::SAME,
            stride_h: 2,
            stride_w: 2,
            dilation_h_factor: 1,
            dilation_w_factor: 1,
            fused_activation_function: Fused::RELU
        }
    );
    let y = model.op(Code::CONV_2D, &[x, w, b], convolution);
    let axes = model.list(&[1, 2]);
    let mean = options!(ReducerOptions, ReducerOptionsArgs {});
    let y = model.op(Code::MEAN, &[y, axes], mean);
    let dense = |k: usize| weight(k % 4 * 3 + k / 4, 50.0);
    let w = model.floats(&[3, 4], &(0..12).map(dense).collect::<Vec<_>>());
    let b = model.floats(&[3], &(0..3).map(|i| weight(i, 100.0)).collect::<Vec<_>>());
    let dense = options!(FullyConnectedOptions, FullyConnectedOptionsArgs {});
    model.op(Code::FULLY_CONNECTED, &[y, w, b], dense);
}

fn check(what: &str, model: &Model, rule: PixelRule, certain: bool, logits: [f32; 3]) {
    let imported = import(model);
    let derived = imported.pixels.derived.clone();
    let derived = derived.unwrap_or_else(|| panic!("{what}: nothing derived"));
    assert!(
        derived.rule == rule && derived.certain == certain,
        "{what}: {derived:?}"
    );
    let enters = |i: usize| {
        let (y, x, c) = (i / 24, i / 3 % 8, i % 3);
        let p = ((x * 31 + y * 17 + c * 59 + x * y * 7) % 256) as f32;
        (p - rule.mean[c]) / rule.std[c]
    };
    let found = evaluate(&imported.graph, &(0..192).map(enters).collect::<Vec<_>>());
    for (a, b) in found.iter().zip(logits) {
        assert!((a - b).abs() < 1e-4, "{what}: {found:?}, not {logits:?}");
    }
}

#[test]
fn floats_that_are_normalized_inside() {
    // Rescaling(1 / 127.5, offset=-1)
    let mut model = Model::new(&[1, 8, 8, 3]);
    let factor = model.floats(&[], &[1.0 / 127.5]);
    let x = model.op(
        Code::MUL,
        &[0, factor],
        options!(MulOptions, MulOptionsArgs {}),
    );
    let offset = model.floats(&[], &[-1.0]);
    let x = model.op(
        Code::ADD,
        &[x, offset],
        options!(AddOptions, AddOptionsArgs {}),
    );
    network(&mut model, x, 1.0);
    let logits = [-0.825_836_54, -0.084_805_41, 0.510_023_24];
    check("rescaling", &model, PixelRule::RAW, true, logits);

    // Normalization(mean, variance)
    for (mean, factor, rule) in [
        (
            [123.675, 116.28, 103.53],
            [0.017_124_75, 0.017_507, 0.017_429_19],
            PixelRule::RAW,
        ),
        (
            [0.485, 0.456, 0.406],
            [4.366_812, 4.464_286, 4.444_444_7],
            PixelRule::UNIT,
        ),
    ] {
        let mut model = Model::new(&[1, 8, 8, 3]);
        let mean = model.floats(&[1, 1, 1, 3], &mean);
        let x = model.op(
            Code::SUB,
            &[0, mean],
            options!(SubOptions, SubOptionsArgs {}),
        );
        let factor = model.floats(&[1, 1, 1, 3], &factor);
        let x = model.op(
            Code::MUL,
            &[x, factor],
            options!(MulOptions, MulOptionsArgs {}),
        );
        network(&mut model, x, 1.0);
        let logits = [-1.298_294_5, -0.082_593_45, 0.668_054_2];
        check("normalization", &model, rule, true, logits);
    }
}

/// Rescaling(1 / 255), whose factor the converter folds into the convolution.
#[test]
fn a_factor_that_is_folded() {
    let mut model = Model::new(&[1, 8, 8, 3]);
    network(&mut model, 0, 1.0 / 255.0);
    let logits = [-0.720_003_5, -0.080_485_64, 0.546_805_7];
    check("folded", &model, PixelRule::RAW, false, logits);
    let pixels = import(&model).pixels;
    let against = pixels.against(&PixelRule::TORCHVISION).unwrap();
    assert!(
        against.contains("suggests otherwise") && against.contains("0 to 255"),
        "{against}"
    );
    let mut model = Model::new(&[1, 8, 8, 3]);
    network(&mut model, 0, 1.0);
    assert_eq!(import(&model).pixels.derived, None);
}

/// Input(dtype="uint8"), a cast and a Rescaling(1 / 255), which need not be folded.
#[test]
fn pixels_that_are_cast() {
    let build = |reader: Code| {
        let mut model = Model::new(&[1, 8, 8, 3]);
        model.tensors[0].kind = TensorType::UINT8;
        let x = model.op(reader, &[0], None);
        let factor = model.floats(&[], &[1.0 / 255.0]);
        let x = model.op(
            Code::MUL,
            &[x, factor],
            options!(MulOptions, MulOptionsArgs {}),
        );
        network(&mut model, x, 1.0);
        model
    };
    let logits = [-0.720_003_5, -0.080_485_64, 0.546_805_7];
    check("cast", &build(Code::CAST), PixelRule::RAW, true, logits);
    let e = read_bytes(&build(Code::RELU).file(), "test").unwrap_err();
    assert!(e.to_string().contains("without one scale"), "{e}");
}

/// int8 networks with float input, the converter's default: what their first QUANTIZE says. With
/// Rescaling inside, it is of the pixels.
#[test]
fn ranges_of_calibration() {
    for (scale, zero, rule) in [
        (0.003_921_569, -128, PixelRule::UNIT),
        (0.007_843_138, -1, PixelRule::TF),
        (1.0, -128, PixelRule::RAW),
        (0.018_658_448, -14, PixelRule::TORCHVISION),
    ] {
        let mut model = Model::new(&[1, 8, 8, 3]);
        let q = model.op(Code::QUANTIZE, &[0], None);
        model.quantize(q, TensorType::INT8, scale, zero);
        let y = model.op(Code::RELU, &[q], None);
        model.quantize(y, TensorType::INT8, scale, zero);
        model.op(Code::DEQUANTIZE, &[y], None);
        let pixels = import(&model).pixels;
        let derived = pixels.derived.clone().unwrap();
        assert_eq!((derived.rule, derived.certain), (rule, false), "{scale}");
        let other = match rule {
            PixelRule::UNIT => PixelRule::TORCHVISION,
            _ => PixelRule::UNIT,
        };
        assert!(pixels.against(&other).is_some(), "{scale}");
        assert_eq!(pixels.against(&rule), None, "{scale}");
    }
    let mut model = Model::new(&[1, 8, 8, 3]);
    let q = model.op(Code::QUANTIZE, &[0], None);
    model.quantize(q, TensorType::INT8, 1.0, -128);
    let factor = model.bytes(
        &[],
        TensorType::INT8,
        &[127],
        (&[3.075_740_5e-5], &[-128], 0),
    );
    let y = model.op(
        Code::MUL,
        &[q, factor],
        options!(MulOptions, MulOptionsArgs {}),
    );
    model.quantize(y, TensorType::INT8, 0.011_764_706, -43);
    let offset = model.bytes(
        &[],
        TensorType::INT8,
        &[-128],
        (&[0.003_921_569], &[127], 0),
    );
    let y = model.op(
        Code::ADD,
        &[y, offset],
        options!(AddOptions, AddOptionsArgs {}),
    );
    model.quantize(y, TensorType::INT8, 0.007_843_138, -1);
    model.op(Code::DEQUANTIZE, &[y], None);
    let derived = import(&model).pixels.derived.unwrap();
    assert_eq!((derived.rule, derived.certain), (PixelRule::RAW, true));
}
