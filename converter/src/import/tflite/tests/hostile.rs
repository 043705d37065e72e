//! Files that are damaged or made to hurt: one line each, no panic, no huge allocation.

use super::super::schema::{
    ActivationFunctionType as Fused, BuiltinOperator as Code, Padding, TensorType,
};
use super::super::{read, read_bytes};
use super::build::{Model, options};
use proptest::prelude::*;
use std::path::Path;

fn line(bytes: &[u8]) -> String {
    let line = read_bytes(bytes, "bad.tflite")
        .expect_err("a bad file was imported")
        .to_string();
    assert!(
        line.starts_with("bad.tflite: ") && !line.contains('\n'),
        "{line}"
    );
    line
}

fn fails(model: &Model) -> String {
    line(&model.file())
}

/// A small quantized network with many kinds of operators.
fn sample() -> Model {
    let mut m = Model::new(&[1, 6, 6, 2]);
    let q = |m: &mut Model, id: i32| m.quantize(id, TensorType::INT8, 0.1, -5);
    q(&mut m, 0);
    let w = m.bytes(
        &[4, 3, 3, 2],
        TensorType::INT8,
        &[3; 72],
        (&[0.1; 4], &[0; 4], 0),
    );
    let b = m.words(&[4], &[1, 2, 3, 4]);
    let conv = options!(
        Conv2DOptions,
        Conv2DOptionsArgs {
            padding: Padding::SAME,
            stride_h: 1,
            stride_w: 1,
            dilation_h_factor: 1,
            dilation_w_factor: 1,
            fused_activation_function: Fused::RELU6
        }
    );
    let x = m.op(Code::CONV_2D, &[0, w, b], conv);
    let x = q(&mut m, x);
    let dw = m.bytes(
        &[1, 3, 3, 4],
        TensorType::INT8,
        &[-2; 36],
        (&[0.2], &[0], 3),
    );
    let depthwise = options!(
        DepthwiseConv2DOptions,
        DepthwiseConv2DOptionsArgs {
            padding: Padding::VALID,
            stride_h: 2,
            stride_w: 2,
            depth_multiplier: 1,
            dilation_h_factor: 1,
            dilation_w_factor: 1
        }
    );
    let y = m.op(Code::DEPTHWISE_CONV_2D, &[x, dw, b], depthwise);
    let y = q(&mut m, y);
    let pads = m.words(&[4, 2], &[0, 0, 1, 0, 0, 1, 0, 0]);
    let y = m.op(Code::PAD, &[y, pads], None);
    let y = q(&mut m, y);
    let axis = m.words(&[], &[3]);
    let parts = m.op_of(Code::SPLIT, &[axis, y], None, 2);
    parts.iter().for_each(|&p| {
        q(&mut m, p);
    });
    let concat = options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: -1 });
    let y = m.op(Code::CONCATENATION, &[parts[1], parts[0]], concat);
    let y = q(&mut m, y);
    let (begin, end) = (m.list(&[0, 0, 0, 0]), m.list(&[1, 3, 3, 4]));
    let stride = m.list(&[1, 1, 1, 1]);
    let slice = options!(
        StridedSliceOptions,
        StridedSliceOptionsArgs { begin_mask: 1 }
    );
    let y = m.op(Code::STRIDED_SLICE, &[y, begin, end, stride], slice);
    let y = q(&mut m, y);
    let axes = m.list(&[1, 2]);
    let mean = options!(ReducerOptions, ReducerOptionsArgs { keep_dims: true });
    let y = m.op(Code::MEAN, &[y, axes], mean);
    let y = q(&mut m, y);
    let shape = m.op(Code::SHAPE, &[y], None);
    let (zero, one) = (m.list(&[0]), m.list(&[1]));
    let shrink = options!(
        StridedSliceOptions,
        StridedSliceOptionsArgs {
            shrink_axis_mask: 1
        }
    );
    let batch = m.op(Code::STRIDED_SLICE, &[shape, zero, one, one], shrink);
    let rest = m.words(&[], &[-1]);
    let target = m.op(Code::PACK, &[batch, rest], None);
    let y = m.op(Code::RESHAPE, &[y, target], None);
    let y = q(&mut m, y);
    let fc = m.bytes(&[3, 4], TensorType::INT8, &[7; 12], (&[0.1], &[0], 0));
    let dense = options!(FullyConnectedOptions, FullyConnectedOptionsArgs {});
    let y = m.op(Code::FULLY_CONNECTED, &[y, fc, -1], dense);
    let y = q(&mut m, y);
    let softmax = options!(SoftmaxOptions, SoftmaxOptionsArgs { beta: 1.0 });
    let y = m.op(Code::SOFTMAX, &[y], softmax);
    let y = m.quantize(y, TensorType::INT8, 1.0 / 256.0, -128);
    m.op(Code::DEQUANTIZE, &[y], None);
    m
}

#[test]
fn the_sample_is_good() {
    let imported = read_bytes(&sample().file(), "sample").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(imported.graph.nodes[imported.graph.output].shape.c, 3);
    assert!(imported.ends_in_softmax());
}

#[test]
fn what_is_no_model() {
    assert!(line(b"").contains("the file is empty"));
    assert!(line(b"hello").contains("not a TensorFlow Lite model"));
    assert!(line(b"PK\x03\x04\x00\x00\x00\x00\x00").contains("not a TensorFlow Lite model"));
    assert!(line(b"version https://git-lfs.github.com/spec/v1\noid").contains("git lfs pull"));
    assert!(line(b"\x10\x00\x00\x00TFL3").contains("truncated or damaged"));
    let missing = read(Path::new("no such folder/x.tflite")).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"));
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = sample().file();
    for n in 0..bytes.len() {
        line(&bytes[..n]);
    }
}

#[test]
fn numbers_of_tensors_that_do_not_exist() {
    for bad in [i32::MIN, -2, 1000, i32::MAX] {
        let mut m = sample();
        m.ops[0].inputs[1] = bad;
        assert!(fails(&m).contains("no tensor"));
        let mut m = sample();
        m.ops[1].outputs[0] = bad;
        assert!(fails(&m).contains("no tensor"));
        let mut m = sample();
        m.outputs = vec![bad];
        assert!(fails(&m).contains("no tensor"));
        let mut m = sample();
        m.inputs = vec![bad];
        assert!(fails(&m).contains("no tensor"));
    }
    let mut m = sample();
    m.outputs = vec![-1];
    assert!(fails(&m).contains("negative number"));
    m.outputs = vec![];
    assert!(fails(&m).contains("no output"));
    let mut m = sample();
    m.inputs = vec![];
    assert!(fails(&m).contains("depends on no input"));
    let mut m = sample();
    m.ops[0].inputs.clear();
    assert!(fails(&m).contains("input 0 is missing") || fails(&m).contains("no input"));
    let mut m = sample();
    m.ops[2].outputs.clear();
    assert!(fails(&m).contains("depends on no input"));
}

#[test]
fn circles_and_values_computed_twice() {
    // The first convolution reads what the second gives.
    let mut m = sample();
    m.ops[0].inputs[0] = m.ops[1].outputs[0];
    assert!(fails(&m).contains("input"));
    let mut m = sample();
    m.ops[1].inputs[0] = m.ops[2].outputs[0];
    m.ops[1].inputs[2] = m.ops[0].outputs[0];
    m.ops[2].inputs[0] = m.ops[1].outputs[0];
    assert!(fails(&m).contains("no operator before it computes"));
    let mut m = sample();
    m.ops[2].outputs[0] = m.ops[1].outputs[0];
    assert!(fails(&m).contains("computed twice"));
}

#[test]
fn sizes_that_do_not_fit_their_data() {
    let change = |tensor: usize, shape: &[i32]| {
        let mut m = sample();
        m.tensors[tensor].shape = shape.to_vec();
        fails(&m)
    };
    let max = i32::MAX;
    assert!(change(1, &[4, 3, 3, 3]).contains("'t1' (tensor): 72 bytes for 4x3x3x3"));
    assert!(change(1, &[-4, 3, 3, 2]).contains("impossible dimensions"));
    assert!(change(1, &[max, max, max, max]).contains("impossible dimensions"));
    assert!(change(1, &[0, 3, 3, 2]).contains("bytes for"));
    assert!(change(1, &[1; 9]).contains("9 dimensions"));
    assert!(change(4, &[36]).contains("weights of 1 dimensions"));
    assert!(change(0, &[1, max, max, 3]).contains("dimension 1 is"));
    assert!(change(0, &[1, 1 << 15, 1 << 15, 3]).contains("too large"));
    assert!(change(0, &[1, 0, 4, 3]).contains("dimension 1 is 0"));
    assert!(change(0, &[]).contains("0 dimensions"));
    assert!(change(0, &[1, 6, 6, 3]).contains("filters of 2 channels"));
    let mut m = sample();
    m.tensors[1].data.truncate(71);
    assert!(fails(&m).contains("71 bytes"));
}

#[test]
fn windows_and_axes_out_of_range() {
    let pool = |height: i32, stride: i32| {
        let mut m = Model::new(&[1, 4, 4, 1]);
        let options = options!(
            Pool2DOptions,
            Pool2DOptionsArgs {
                padding: Padding::SAME,
                filter_height: height,
                filter_width: 1,
                stride_h: stride,
                stride_w: 1
            }
        );
        m.op(Code::MAX_POOL_2D, &[0], options);
        fails(&m)
    };
    for bad in [0, -1, i32::MIN, i32::MAX] {
        pool(bad, 1);
        pool(1, bad);
    }
    let with_list = |code: Code, values: &[i32]| {
        let mut m = Model::new(&[1, 4, 4, 2]);
        let list = m.list(values);
        let options = options!(ReducerOptions, ReducerOptionsArgs {});
        m.op(code, &[0, list], options);
        fails(&m)
    };
    let (min, max) = (i32::MIN, i32::MAX);
    for axis in [4, -5, min, max] {
        assert!(with_list(Code::MEAN, &[axis]).contains("of 4 dimensions"));
        assert!(with_list(Code::TRANSPOSE, &[0, 1, 2, axis]).contains("of 4 dimensions"));
    }
    for axis in [5, -6, min, max] {
        assert!(with_list(Code::EXPAND_DIMS, &[axis]).contains("of 5 dimensions"));
    }
    for target in [
        &[-1, -1][..],
        &[-2, 16],
        &[max, max, max],
        &[0, -1],
        &[5, -1],
        &[1; 9],
    ] {
        with_list(Code::RESHAPE, target);
    }
    for (begin, size) in [(-1, 1), (5, 0), (1, 4), (0, min), (max, max), (0, 0)] {
        let mut m = Model::new(&[1, 4, 4, 2]);
        let (begin, size) = (m.list(&[0, begin, 0, 0]), m.list(&[1, size, 4, 2]));
        m.op(Code::SLICE, &[0, begin, size], None);
        fails(&m);
    }
    for pads in [[-1, 0], [0, min], [max, max]] {
        let mut m = Model::new(&[1, 4, 4, 2]);
        let pads = m.words(&[4, 2], &[0, 0, pads[0], pads[1], 0, 0, 0, 0]);
        m.op(Code::PAD, &[0, pads], None);
        fails(&m);
    }
    for sizes in [&[5, -1][..], &[1, 1], &[-1, -1], &[max, max], &[min, 4]] {
        let mut m = Model::new(&[1, 4, 4, 2]);
        let (sizes, axis) = (m.list(sizes), m.list(&[1]));
        m.op_of(Code::SPLIT_V, &[0, sizes, axis], None, 2);
        fails(&m);
    }
}

#[test]
fn few_bytes_that_would_become_many_numbers() {
    // One matrix, used by thousands of layers.
    let mut m = Model::new(&[1, 256]);
    let w = m.bytes(
        &[256, 256],
        TensorType::INT8,
        &[1; 65536],
        (&[0.1], &[0], 0),
    );
    let mut x = 0;
    for _ in 0..4000 {
        let dense = options!(FullyConnectedOptions, FullyConnectedOptionsArgs {});
        x = m.op(Code::FULLY_CONNECTED, &[x, w], dense);
    }
    assert!(fails(&m).contains("constants too large"));
    // Channels that double, and a constant for each of them.
    let mut m = Model::new(&[1, 1, 1, 1 << 16]);
    let mut x = 0;
    for _ in 0..12 {
        let concat = options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: 3 });
        x = m.op(Code::CONCATENATION, &[x, x], concat);
    }
    let one = m.floats(&[], &[1.0]);
    m.op(Code::ADD, &[x, one], None);
    assert!(fails(&m).contains("constants too large"));
    // Many inputs of one operator; many dimensions; a list instead of a shape.
    let mut m = Model::new(&[1, 1, 1, 1]);
    let concat = options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: 3 });
    m.op(Code::CONCATENATION, &[0; 2000], concat);
    assert!(fails(&m).contains("2000 inputs"));
    let mut m = Model::new(&[1, 1, 1, 1]);
    let axis = m.list(&[0]);
    let mut x = 0;
    for _ in 0..5 {
        x = m.op(Code::EXPAND_DIMS, &[x, axis], None);
    }
    assert!(fails(&m).contains("do not make 1x1x1x1x1x1x1x1x1"));
    let mut m = Model::new(&[1, 1, 1, 1]);
    let list = m.list(&[1; 5000]);
    m.op(Code::RESHAPE, &[0, list], None);
    assert!(fails(&m).contains("5000 elements where a few are expected"));
}

#[test]
fn numbers_that_are_none() {
    let mut m = Model::new(&[1, 2]);
    let w = m.floats(&[1, 2], &[1.0, f32::NAN]);
    let dense = options!(FullyConnectedOptions, FullyConnectedOptionsArgs {});
    m.op(Code::FULLY_CONNECTED, &[0, w], dense);
    assert!(fails(&m).contains("infinity or NaN"));
    let mut m = Model::new(&[1, 2]);
    let leaky = options!(
        LeakyReluOptions,
        LeakyReluOptionsArgs {
            alpha: f32::INFINITY
        }
    );
    m.op(Code::LEAKY_RELU, &[0], leaky);
    assert!(fails(&m).contains("attribute 'alpha': is inf"));
    let mut m = Model::new(&[1, 1, 1, 2]);
    let lrn = options!(
        LocalResponseNormalizationOptions,
        LocalResponseNormalizationOptionsArgs {
            radius: i32::MAX,
            bias: f32::NAN,
            alpha: 1.0,
            beta: 1.0
        }
    );
    m.op(Code::LOCAL_RESPONSE_NORMALIZATION, &[0], lrn);
    fails(&m);
}

fn any_code() -> impl Strategy<Value = Code> {
    prop_oneof![
        (0..160i32).prop_map(Code),
        Just(Code::CONV_2D),
        Just(Code::STRIDED_SLICE)
    ]
}

fn any_number() -> impl Strategy<Value = i32> {
    prop_oneof![4 => -3..6i32, 1 => any::<i32>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn damaged_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = sample().file();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Err(e) = read_bytes(&bytes, "f") {
            prop_assert!(!e.to_string().contains('\n'));
        }
    }

    /// Wild but well-formed: any operator on any tensors with any numbers.
    #[test]
    fn wild_operators_never_panic(
        codes in prop::collection::vec(any_code(), 1..4),
        inputs in prop::collection::vec(-1..9i32, 0..5),
        list in prop::collection::vec(any_number(), 0..9),
        shape in prop::collection::vec(1..4i32, 0..5),
        n in prop::collection::vec(any_number(), 8),
        kind in 0..8u8,
        eight_bits in any::<bool>(),
        results in 1..4usize,
    ) {
        let mut m = Model::new(&[1, 3, 2, 2]);
        m.list(&list);
        m.list(&[1, 2]);
        let size = shape.iter().product::<i32>();
        m.floats(&shape, &vec![0.5; size as usize]);
        m.bytes(&shape, TensorType::INT8, &vec![-3; size as usize], (&[0.5], &[1], 0));
        m.words(&[], &n[..1]);
        m.floats(&[2, 1, 1, 2], &[1.0; 4]);
        if eight_bits {
            m.quantize(0, TensorType::INT8, 0.5, 0);
        }
        let (a, b, c, d) = (n[0], n[1], n[2], n[3]);
        let (e, f, g, h) = (n[4], n[5], n[6], n[7]);
        let fused = Fused(h as i8);
        for code in codes {
            let options = match kind {
                0 => options!(Conv2DOptions, Conv2DOptionsArgs {
                    padding: Padding((a & 1) as i8), stride_h: b, stride_w: c, dilation_h_factor: d,
                    dilation_w_factor: e, fused_activation_function: fused
                }),
                1 => options!(DepthwiseConv2DOptions, DepthwiseConv2DOptionsArgs {
                    padding: Padding((a & 1) as i8), stride_h: b, stride_w: c, dilation_h_factor: d,
                    dilation_w_factor: e, depth_multiplier: f, fused_activation_function: fused
                }),
                2 => options!(Pool2DOptions, Pool2DOptionsArgs {
                    padding: Padding((a & 1) as i8), stride_h: b, stride_w: c, filter_height: d,
                    filter_width: e, fused_activation_function: fused
                }),
                3 => options!(StridedSliceOptions, StridedSliceOptionsArgs {
                    begin_mask: a, end_mask: b, shrink_axis_mask: c, ellipsis_mask: d & e, new_axis_mask: f & g
                }),
                4 => options!(ConcatenationOptions, ConcatenationOptionsArgs {
                    axis: a, fused_activation_function: fused
                }),
                5 => options!(ReducerOptions, ReducerOptionsArgs { keep_dims: a > 0 }),
                6 => options!(FullyConnectedOptions, FullyConnectedOptionsArgs { keep_num_dims: a > 0 }),
                _ => None,
            };
            let outputs = m.op_of(code, &inputs, options, results);
            if eight_bits {
                for id in outputs {
                    m.quantize(id, TensorType::INT8, 0.5, 0);
                }
            }
        }
        if let Err(e) = read_bytes(&m.file(), "f") {
            prop_assert!(!e.to_string().contains('\n'));
        }
    }
}
