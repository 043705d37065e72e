//! Each family of operators, in float, against loops or numbers worked out by hand.

use super::super::schema::{
    ActivationFunctionType as Fused, BuiltinOperator as Code, BuiltinOptions,
    FullyConnectedOptionsWeightsFormat, Padding, ReshapeOptions, ReshapeOptionsArgs,
    SqueezeOptions, SqueezeOptionsArgs, TensorType,
};
use super::super::{Imported, read_bytes};
use super::build::{Model, Options, options};
use crate::graph::Shape;
use crate::graph::reference::evaluate;
use std::rc::Rc;

fn import(model: &Model) -> Imported {
    read_bytes(&model.file(), "test").unwrap_or_else(|e| panic!("{e}"))
}

fn fails(model: &Model) -> String {
    let line = read_bytes(&model.file(), "test").unwrap_err().to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

fn run(model: &Model, x: &[f32]) -> Vec<f32> {
    evaluate(&import(model).graph, x)
}

/// Numbers without a pattern, in -1..1.
fn noise(n: usize) -> Vec<f32> {
    (0..n as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
        .collect()
}

fn ramp(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32).collect()
}

fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= 1e-5 * b.abs().max(1.0),
            "element {i}: {a}, not {b}"
        );
    }
}

#[test]
fn grouped_strided_dilated_convolution_with_its_activation() {
    let (x, w, b) = (noise(7 * 6 * 4), noise(6 * 3 * 2 * 2), noise(6));
    let mut model = Model::new(&[1, 7, 6, 4]);
    let weights = model.floats(&[6, 3, 2, 2], &w);
    let bias = model.floats(&[6], &b);
    let conv = options!(
        Conv2DOptions,
        Conv2DOptionsArgs {
            padding: Padding::SAME,
            stride_h: 2,
            stride_w: 1,
            dilation_h_factor: 1,
            dilation_w_factor: 2,
            fused_activation_function: Fused::RELU
        }
    );
    model.op(Code::CONV_2D, &[0, weights, bias], conv);
    // 7 rows by 2: 4 outputs reach 9, one row each side. 6 columns: 2 taps by 2 reach 8, one each side.
    let mut expected = vec![];
    for (oy, ox, o) in (0..4 * 6 * 6).map(|i| (i / 36, i / 6 % 6, i as usize % 6)) {
        let mut sum = b[o];
        for (ky, kx, i) in (0..12).map(|k| (k / 4, k / 2 % 2, k as usize % 2)) {
            let (y, xx): (i32, i32) = (oy * 2 + ky - 1, ox + kx * 2 - 1);
            if (0..7).contains(&y) && (0..6).contains(&xx) {
                let at = (y * 6 + xx) as usize * 4 + o / 3 * 2 + i;
                sum += w[((o * 3 + ky as usize) * 2 + kx as usize) * 2 + i] * x[at];
            }
        }
        expected.push(sum.max(0.0));
    }
    assert_near(&run(&model, &x), &expected);
}

#[test]
fn depthwise_convolution_with_two_filters_a_channel() {
    let (x, w) = (noise(5 * 4 * 3), noise(2 * 2 * 6));
    let mut model = Model::new(&[1, 5, 4, 3]);
    let weights = model.floats(&[1, 2, 2, 6], &w);
    let conv = options!(
        DepthwiseConv2DOptions,
        DepthwiseConv2DOptionsArgs {
            padding: Padding::VALID,
            stride_h: 1,
            stride_w: 2,
            depth_multiplier: 2,
            dilation_h_factor: 1,
            dilation_w_factor: 1
        }
    );
    model.op(Code::DEPTHWISE_CONV_2D, &[0, weights, -1], conv);
    let mut expected = vec![];
    for (oy, ox, o) in (0..4 * 2 * 6).map(|i| (i / 12, i / 6 % 2, i % 6)) {
        let tap = |k: usize| w[k * 6 + o] * x[((oy + k / 2) * 4 + ox * 2 + k % 2) * 3 + o / 2];
        expected.push((0..4).map(tap).sum::<f32>());
    }
    assert_near(&run(&model, &x), &expected);
}

#[test]
fn fully_connected_after_a_map_and_at_each_place() {
    let (x, w, b) = (noise(2 * 3 * 2), noise(12 * 4), noise(4));
    let mut model = Model::new(&[1, 2, 3, 2]);
    let shape = model.list(&[-1, 12]);
    let flat = model.op(Code::RESHAPE, &[0, shape], None);
    let weights = model.floats(&[4, 12], &w);
    let bias = model.floats(&[4], &b);
    let dense = options!(FullyConnectedOptions, FullyConnectedOptionsArgs {});
    model.op(Code::FULLY_CONNECTED, &[flat, weights, bias], dense);
    let dot = |o: usize| (0..12).map(|k| x[k] * w[o * 12 + k]).sum::<f32>() + b[o];
    assert_near(&run(&model, &x), &(0..4).map(dot).collect::<Vec<_>>());

    let mut model = Model::new(&[1, 2, 3, 2]);
    let weights = model.floats(&[4, 2], &w[..8]);
    let keep = options!(
        FullyConnectedOptions,
        FullyConnectedOptionsArgs {
            keep_num_dims: true
        }
    );
    let y = model.op(Code::FULLY_CONNECTED, &[0, weights], keep);
    // The dimensions are kept: it is a map still.
    let pool = options!(
        Pool2DOptions,
        Pool2DOptionsArgs {
            padding: Padding::VALID,
            filter_height: 1,
            filter_width: 1,
            stride_h: 1,
            stride_w: 1
        }
    );
    model.op(Code::MAX_POOL_2D, &[y], pool);
    let dot = |i: usize| (0..2).map(|k| x[i / 4 * 2 + k] * w[i % 4 * 2 + k]).sum();
    assert_near(&run(&model, &x), &(0..24).map(dot).collect::<Vec<_>>());
}

#[test]
fn poolings_and_reductions() {
    let x = ramp(3 * 3);
    let pool = |code: Code, padding: Padding| {
        let mut model = Model::new(&[1, 3, 3, 1]);
        let same = options!(
            Pool2DOptions,
            Pool2DOptionsArgs {
                padding: Padding::SAME,
                filter_height: 2,
                filter_width: 3,
                stride_h: 2,
                stride_w: 2
            }
        );
        let valid = options!(
            Pool2DOptions,
            Pool2DOptionsArgs {
                padding: Padding::VALID,
                filter_height: 2,
                filter_width: 3,
                stride_h: 2,
                stride_w: 2
            }
        );
        let chosen = if padding == Padding::SAME {
            same
        } else {
            valid
        };
        model.op(code, &[0], chosen);
        run(&model, &x)
    };
    assert_near(&pool(Code::MAX_POOL_2D, Padding::VALID), &[5.0]);
    // Rows 0 and 1, then row 2 alone; columns 0 and 1, then 1 and 2. Padding does not count.
    assert_near(&pool(Code::MAX_POOL_2D, Padding::SAME), &[4., 5., 7., 8.]);
    assert_near(
        &pool(Code::AVERAGE_POOL_2D, Padding::SAME),
        &[2., 3., 6.5, 7.5],
    );

    let x = ramp(2 * 3 * 2);
    let axes: [&[i32]; 3] = [&[1, 2], &[-2, -3], &[2, 1, 0]];
    for axes in axes {
        let mut model = Model::new(&[1, 2, 3, 2]);
        let list = model.list(axes);
        let keep = options!(ReducerOptions, ReducerOptionsArgs { keep_dims: true });
        let mean = model.op(Code::MEAN, &[0, list], keep);
        assert_near(&run(&model, &x), &[5., 6.]);
        let drop = options!(ReducerOptions, ReducerOptionsArgs {});
        model.op(Code::REDUCE_MAX, &[mean, list], drop);
        assert_near(&run(&model, &x), &[5., 6.]);
    }
    let mut model = Model::new(&[1, 2, 3, 2]);
    let list = model.list(&[2]);
    let options = options!(ReducerOptions, ReducerOptionsArgs {});
    model.op(Code::MEAN, &[0, list], options);
    assert!(fails(&model).contains("(MEAN) of 1x2x3x2, 1: a reduction of other axes"));
}

#[test]
fn arithmetic_with_constants() {
    let x = noise(2 * 2 * 3);
    let c = [0.5, -2.0, 4.0];
    type Function = fn(f32, f32) -> f32;
    let cases: [(Code, bool, Function); 6] = [
        (Code::ADD, false, |x, c| x + c),
        (Code::ADD, true, |x, c| c + x),
        (Code::SUB, false, |x, c| x - c),
        (Code::SUB, true, |x, c| c - x),
        (Code::MUL, false, |x, c| x * c),
        (Code::DIV, false, |x, c| x / c),
    ];
    for (code, swapped, function) in cases {
        for one in [false, true] {
            let mut model = Model::new(&[1, 2, 2, 3]);
            let constant = if one {
                model.floats(&[], &c[..1])
            } else {
                model.floats(&[1, 1, 3], &c)
            };
            let inputs = if swapped {
                [constant, 0]
            } else {
                [0, constant]
            };
            model.op(code, &inputs, None);
            let expected = |(i, &x): (usize, &f32)| function(x, c[if one { 0 } else { i % 3 }]);
            let expected: Vec<f32> = x.iter().enumerate().map(expected).collect();
            assert_near(&run(&model, &x), &expected);
        }
    }
    let mut model = Model::new(&[1, 2, 2, 3]);
    let constant = model.floats(&[1, 2, 2, 3], &x);
    model.op(Code::ADD, &[0, constant], None);
    assert!(fails(&model).contains("neither one number nor one per channel"));
    let mut model = Model::new(&[1, 2, 2, 3]);
    let zero = model.floats(&[], &[0.0]);
    model.op(Code::DIV, &[0, zero], None);
    assert!(fails(&model).contains("division by zero"));
}

#[test]
fn arithmetic_between_activations() {
    let x: Vec<f32> = noise(2 * 2 * 3);
    let relu6 = options!(
        AddOptions,
        AddOptionsArgs {
            fused_activation_function: Fused::RELU6
        }
    );
    let mut model = Model::new(&[1, 2, 2, 3]);
    let y = model.op(Code::TANH, &[0], None);
    model.op(Code::ADD, &[0, y], relu6);
    let expected: Vec<f32> = x.iter().map(|v| (v + v.tanh()).clamp(0.0, 6.0)).collect();
    assert_near(&run(&model, &x), &expected);

    let mut model = Model::new(&[1, 2, 2, 3]);
    let y = model.op(Code::TANH, &[0], None);
    model.op(Code::MUL, &[0, y], None);
    let expected: Vec<f32> = x.iter().map(|v| v * v.tanh()).collect();
    assert_near(&run(&model, &x), &expected);

    // x * sigmoid(x) is one node.
    let mut model = Model::new(&[1, 2, 2, 3]);
    let y = model.op(Code::LOGISTIC, &[0], None);
    model.op(Code::MUL, &[y, 0], None);
    let expected: Vec<f32> = x.iter().map(|v| v / (1.0 + (-v).exp())).collect();
    assert_near(&run(&model, &x), &expected);
    assert_eq!(import(&model).graph.nodes.len(), 2);

    // A gate of each channel, on either side.
    for swapped in [false, true] {
        let mut model = Model::new(&[1, 2, 2, 3]);
        let axes = model.list(&[1, 2]);
        let keep = options!(ReducerOptions, ReducerOptionsArgs { keep_dims: true });
        let gate = model.op(Code::MEAN, &[0, axes], keep);
        model.op(
            Code::MUL,
            &if swapped { [gate, 0] } else { [0, gate] },
            None,
        );
        let mean = |c: usize| (0..4).map(|p| x[p * 3 + c]).sum::<f32>() / 4.0;
        let expected: Vec<f32> = (0..12).map(|i| x[i] * mean(i % 3)).collect();
        assert_near(&run(&model, &x), &expected);
        model.ops[1].code = Code::ADD;
        assert!(fails(&model).contains("a sum of activations of different shapes"));
        model.ops[1].code = Code::SUB;
        assert!(fails(&model).contains("a difference of two activations"));
    }
}

#[test]
fn functions_of_one_number() {
    let x: Vec<f32> = (0..24).map(|i| i as f32 * 0.7 - 8.0).collect();
    type Function = fn(f32) -> f32;
    let cases: [(Code, Function); 8] = [
        (Code::RELU, |x| x.max(0.0)),
        (Code::RELU6, |x| x.clamp(0.0, 6.0)),
        (Code::RELU_N1_TO_1, |x| x.clamp(-1.0, 1.0)),
        (Code::RELU_0_TO_1, |x| x.clamp(0.0, 1.0)),
        (Code::LOGISTIC, |x| 1.0 / (1.0 + (-x).exp())),
        (Code::TANH, f32::tanh),
        (Code::HARD_SWISH, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        (Code::LEAKY_RELU, |x| if x > 0.0 { x } else { 0.25 * x }),
    ];
    for (code, function) in cases {
        let mut model = Model::new(&[1, 2, 4, 3]);
        let leaky = options!(LeakyReluOptions, LeakyReluOptionsArgs { alpha: 0.25 });
        let options = if code == Code::LEAKY_RELU {
            leaky
        } else {
            None
        };
        model.op(code, &[0], options);
        let expected: Vec<f32> = x.iter().map(|&v| function(v)).collect();
        assert_near(&run(&model, &x), &expected);
    }
    // min(max(2, x), 5)
    let mut model = Model::new(&[1, 2, 4, 3]);
    let (two, five) = (model.floats(&[1], &[2.0]), model.floats(&[], &[5.0]));
    let y = model.op(Code::MAXIMUM, &[two, 0], None);
    model.op(Code::MINIMUM, &[y, five], None);
    let expected: Vec<f32> = x.iter().map(|v| v.clamp(2.0, 5.0)).collect();
    assert_near(&run(&model, &x), &expected);

    let slopes = [0.5, -1.0, 0.0];
    let mut model = Model::new(&[1, 2, 4, 3]);
    let alpha = model.floats(&[1, 1, 3], &slopes);
    model.op(Code::PRELU, &[0, alpha], None);
    let expected = |(i, &v): (usize, &f32)| if v > 0.0 { v } else { v * slopes[i % 3] };
    let expected: Vec<f32> = x.iter().enumerate().map(expected).collect();
    assert_near(&run(&model, &x), &expected);
}

#[test]
fn local_response_normalization_sums_over_the_radius() {
    let x = noise(2 * 7);
    let mut model = Model::new(&[1, 1, 2, 7]);
    let lrn = options!(
        LocalResponseNormalizationOptions,
        LocalResponseNormalizationOptionsArgs {
            radius: 2,
            bias: 1.5,
            alpha: 0.3,
            beta: 0.75
        }
    );
    model.op(Code::LOCAL_RESPONSE_NORMALIZATION, &[0], lrn);
    let expected = |i: usize| {
        let (place, c) = (i / 7 * 7, i as i32 % 7);
        let around = (c - 2).max(0)..(c + 3).min(7);
        let sum: f32 = around.map(|k| x[place + k as usize].powi(2)).sum();
        x[i] / (1.5 + 0.3 * sum).powf(0.75)
    };
    assert_near(&run(&model, &x), &(0..14).map(expected).collect::<Vec<_>>());
}

#[test]
fn concatenation_of_more_than_a_layer_takes() {
    let x = noise(2 * 3);
    let mut model = Model::new(&[1, 1, 2, 3]);
    let y = model.op(Code::RELU, &[0], None);
    let mut inputs = vec![0; 10];
    inputs[3] = y;
    let concat = options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: -1 });
    model.op(Code::CONCATENATION, &inputs, concat);
    let expected: Vec<f32> = (0..2 * 30)
        .map(|i| {
            let v = x[i / 30 * 3 + i % 3];
            if i % 30 / 3 == 3 { v.max(0.0) } else { v }
        })
        .collect();
    assert_near(&run(&model, &x), &expected);
    model.ops[1].options = options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: 2 });
    assert!(fails(&model).contains("attribute 'axis': a concatenation along axis 2"));
}

#[test]
fn pads_slices_and_splits() {
    let x = ramp(3 * 4 * 4);
    let at = |h: usize, w: usize, c: usize| x[(h * 4 + w) * 4 + c];
    let mut model = Model::new(&[1, 3, 4, 4]);
    let pads = model.words(&[4, 2], &[0, 0, 1, 0, 0, 2, 0, 1]);
    let zero = model.floats(&[], &[0.0]);
    model.op(Code::PADV2, &[0, pads, zero], None);
    let inside = |i: usize| {
        let (h, w, c) = (i / 30, i / 5 % 6, i % 5);
        if h > 0 && w < 4 && c < 4 {
            at(h - 1, w, c)
        } else {
            0.0
        }
    };
    let expected: Vec<f32> = (0..4 * 6 * 5).map(inside).collect();
    assert_near(&run(&model, &x), &expected);

    let mut model = Model::new(&[1, 3, 4, 4]);
    let (begin, size) = (model.list(&[0, 1, 0, 2]), model.list(&[1, -1, 3, 2]));
    model.op(Code::SLICE, &[0, begin, size], None);
    let expected: Vec<f32> = (0..2 * 3 * 2)
        .map(|i| at(1 + i / 6, i / 2 % 3, 2 + i % 2))
        .collect();
    assert_near(&run(&model, &x), &expected);

    let mut model = Model::new(&[1, 3, 4, 4]);
    let begin = model.list(&[0, -1, 3, 1]);
    let (end, stride) = (model.list(&[0, 9, 4, 3]), model.list(&[1, 1, 2, 1]));
    let masks = options!(
        StridedSliceOptions,
        StridedSliceOptionsArgs {
            begin_mask: 4,
            end_mask: 5
        }
    );
    model.op(Code::STRIDED_SLICE, &[0, begin, end, stride], masks);
    let expected: Vec<f32> = (0..2 * 2).map(|i| at(2, i / 2 * 2, 1 + i % 2)).collect();
    assert_near(&run(&model, &x), &expected);

    // The two halves of the channels, swapped.
    let mut model = Model::new(&[1, 3, 4, 4]);
    let axis = model.words(&[], &[3]);
    let halves = options!(SplitOptions, SplitOptionsArgs { num_splits: 2 });
    let parts = model.op_of(Code::SPLIT, &[axis, 0], halves, 2);
    let concat = options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: 3 });
    model.op(Code::CONCATENATION, &[parts[1], parts[0]], concat);
    let expected: Vec<f32> = (0..48)
        .map(|i| at(i / 16, i / 4 % 4, (i + 2) % 4))
        .collect();
    assert_near(&run(&model, &x), &expected);

    // Parts of the rows; the last takes what is left.
    let mut model = Model::new(&[1, 3, 4, 4]);
    let (sizes, axis) = (model.list(&[1, -1]), model.list(&[1]));
    model.op_of(Code::SPLIT_V, &[0, sizes, axis], None, 2);
    assert_near(&run(&model, &x), &x[16..]);
}

#[test]
fn views_and_the_shapes_that_keras_computes() {
    let x = noise(2 * 3 * 4);
    // Flatten of a model with any batch: [shape(x)[0], 24].
    let mut model = Model::new(&[-1, 2, 3, 4]);
    let shape = model.op(
        Code::SHAPE,
        &[0],
        options!(ShapeOptions, ShapeOptionsArgs {}),
    );
    let (begin, end, one) = (model.list(&[0]), model.list(&[1]), model.list(&[1]));
    let shrink = options!(
        StridedSliceOptions,
        StridedSliceOptionsArgs {
            shrink_axis_mask: 1
        }
    );
    let batch = model.op(Code::STRIDED_SLICE, &[shape, begin, end, one], shrink);
    let rest = model.words(&[], &[24]);
    let pack = options!(PackOptions, PackOptionsArgs { values_count: 2 });
    let target = model.op(Code::PACK, &[batch, rest], pack);
    for (list, kind) in [(shape, TensorType::INT32), (batch, TensorType::INT32)] {
        model.tensors[list as usize].kind = kind;
    }
    let flat = model.op(Code::RESHAPE, &[0, target], None);
    let weights = model.floats(&[1, 24], &[1.0; 24]);
    let dense = options!(FullyConnectedOptions, FullyConnectedOptionsArgs {});
    model.op(Code::FULLY_CONNECTED, &[flat, weights], dense);
    assert_near(&run(&model, &x), &[x.iter().sum()]);

    // There and back; then it is a map again, or the pooling would fail.
    let mut model = Model::new(&[1, 1, 3, 4]);
    let squeezed = model.op(Code::SQUEEZE, &[0], None);
    let first = model.list(&[0]);
    let a = model.op(Code::EXPAND_DIMS, &[squeezed, first], None);
    let last = model.list(&[-1]);
    let b = model.op(Code::EXPAND_DIMS, &[a, last], None);
    let order = model.list(&[0, 3, 1, 2]);
    let y = model.op(Code::TRANSPOSE, &[b, order], None);
    let pool = options!(
        Pool2DOptions,
        Pool2DOptionsArgs {
            padding: Padding::VALID,
            filter_height: 1,
            filter_width: 3,
            stride_h: 1,
            stride_w: 1
        }
    );
    model.op(Code::MAX_POOL_2D, &[y], pool.clone());
    let max = |c: usize| (0..3).map(|w| x[w * 4 + c]).fold(f32::MIN, f32::max);
    assert_near(&run(&model, &x[..12]), &(0..4).map(max).collect::<Vec<_>>());

    // Dimensions in the options, as old files have them.
    let mut model = Model::new(&[1, 1, 3, 4]);
    let squeeze: Options = Rc::new(|f| {
        let squeeze_dims = Some(f.create_vector(&[-3]));
        let options = SqueezeOptions::create(f, &SqueezeOptionsArgs { squeeze_dims });
        (BuiltinOptions::SqueezeOptions, options.as_union_value())
    });
    let y = model.op(Code::SQUEEZE, &[0], Some(squeeze));
    let reshape: Options = Rc::new(|f| {
        let new_shape = Some(f.create_vector(&[1, 1, -1, 4]));
        let options = ReshapeOptions::create(f, &ReshapeOptionsArgs { new_shape });
        (BuiltinOptions::ReshapeOptions, options.as_union_value())
    });
    let y = model.op(Code::RESHAPE, &[y], Some(reshape));
    model.op(Code::MAX_POOL_2D, &[y], pool);
    assert_near(&run(&model, &x[..12]), &(0..4).map(max).collect::<Vec<_>>());

    let mut model = Model::new(&[1, 2, 3, 4]);
    let order = model.list(&[0, 3, 1, 2]);
    model.op(Code::TRANSPOSE, &[0, order], None);
    assert!(fails(&model).contains("reorders elements"));
}

#[test]
fn the_final_softmax_is_left_out() {
    let softmax = options!(SoftmaxOptions, SoftmaxOptionsArgs { beta: 1.0 });
    let mut model = Model::new(&[1, 4]);
    let y = model.op(Code::SOFTMAX, &[0], softmax);
    let shape = model.list(&[4]);
    model.op(Code::RESHAPE, &[y, shape], None);
    let imported = import(&model);
    assert!(imported.ends_in_softmax() && imported.graph.nodes.len() == 1);
    model.op(Code::RELU, &[y], None);
    assert!(fails(&model).contains("a softmax before other operators"));
    let mut model = Model::new(&[1, 2, 2, 4]);
    model.op(Code::LOG_SOFTMAX, &[0], None);
    assert!(fails(&model).contains("a softmax over 4 of 16 elements"));
    let mut model = Model::new(&[1, 4]);
    let hot = options!(SoftmaxOptions, SoftmaxOptionsArgs { beta: 2.0 });
    model.op(Code::SOFTMAX, &[0], hot);
    assert!(fails(&model).contains("attribute 'beta': is 2"));
}

#[test]
fn half_float_weights() {
    let mut model = Model::new(&[1, 2]);
    let halves: Vec<u8> = [0x3c00u16, 0xc000]
        .iter()
        .flat_map(|h| h.to_le_bytes())
        .collect();
    let stored = model.tensor(&[1, 2], TensorType::FLOAT16, halves);
    let weights = model.op(Code::DEQUANTIZE, &[stored], None);
    let dense = options!(FullyConnectedOptions, FullyConnectedOptionsArgs {});
    model.op(Code::FULLY_CONNECTED, &[0, weights], dense);
    assert_near(&run(&model, &[3.0, 0.5]), &[2.0]);
}

#[test]
fn what_the_file_says_of_itself() {
    let mut model = Model::new(&[4, 2, 2, 3]);
    let y = model.op(Code::RELU, &[0], None);
    let shape = model.list(&[4, 12]);
    let z = model.op(Code::RESHAPE, &[y, shape], None);
    model.op(Code::ELU, &[0], None);
    model.outputs = vec![z, y];
    let imported = import(&model);
    assert_eq!(
        imported.warnings,
        [
            "only the first output, 't3', is imported; left out: t1",
            "the model fixes a batch of 4; it is imported for a batch of 1"
        ]
    );
    assert_eq!(
        (&*imported.input_name, &*imported.output_name),
        ("t0", "t3")
    );
    assert_eq!(
        (imported.version, &*imported.producer),
        (3, "made by a test")
    );
    assert_eq!(imported.graph.input_shape(), Shape::new(2, 2, 3));
    assert_eq!(
        (imported.ends_in_softmax(), imported.pixels.derived),
        (false, None)
    );
    model.names = "wide\n";
    let imported = import(&model);
    assert_eq!(imported.input_name, "wide\u{fffd}0");
    assert!(imported.warnings.iter().all(|w| !w.contains('\n')));
}

#[test]
fn what_is_not_supported_is_named() {
    let one = |code: Code| {
        let mut model = Model::new(&[1, 2, 2, 3]);
        model.op(code, &[0], None);
        model
    };
    assert_eq!(
        fails(&one(Code::ELU)),
        "test: 't1' (ELU) of 1x2x2x3: the operator is not supported; \
         replace the operator and convert the model again"
    );
    let mut model = one(Code::CUSTOM);
    model.ops[0].custom = Some("TFLite_Detection_PostProcess");
    let line = fails(&model);
    assert!(line.contains("(TFLite_Detection_PostProcess)"), "{line}");
    assert!(line.contains("custom operator"), "{line}");
    assert!(fails(&one(Code(9999))).contains("(operator 9999)"));
    let mut model = one(Code::ARG_MAX);
    model.tensors[1].kind = TensorType::INT64;
    assert!(fails(&model).contains("(ARG_MAX) of 1x2x2x3: the operator is not supported"));
    model.ops[0].code = Code::RELU;
    assert!(fails(&model).contains("(RELU) of 1x2x2x3: activations of INT64"));
    let mut model = one(Code::RELU);
    model.ops[0].options = options!(
        AddOptions,
        AddOptionsArgs {
            fused_activation_function: Fused::SIGN_BIT
        }
    );
    (model.ops[0].code, model.ops[0].inputs) = (Code::ADD, vec![0, 0]);
    assert!(fails(&model).contains("attribute 'fused_activation_function': is SIGN_BIT"));
    let mut model = Model::new(&[1, 2, 2, 3]);
    let w = model.floats(&[1, 12], &[0.0; 12]);
    let shuffled = options!(
        FullyConnectedOptions,
        FullyConnectedOptionsArgs {
            weights_format: FullyConnectedOptionsWeightsFormat::SHUFFLED4x16INT8
        }
    );
    model.op(Code::FULLY_CONNECTED, &[0, w], shuffled);
    assert!(fails(&model).contains("attribute 'weights_format'"));
    let mut model = one(Code::RELU);
    model.tensors[0].shape = vec![1, -1, 2, 3];
    assert!(fails(&model).contains("'t0' (input): dimension 1 is -1"));
    let mut model = one(Code::ADD);
    let second = model.tensor(&[1, 2, 2, 3], TensorType::FLOAT32, vec![]);
    model.ops[0].inputs = vec![0, second];
    model.inputs.push(second);
    assert!(fails(&model).contains("2 inputs"));
}
