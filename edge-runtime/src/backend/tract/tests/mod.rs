//! tract against plain loops (float) and against the engine (int8, bit for bit).

mod random;
mod reference;

use super::*;
use crate::backend::EngineRuntime;
use crate::model::write::Writer;
use crate::model::{AlignedBytes, ConvData, Layer, Op, Operand, Quant, Window};
use proptest::prelude::*;
use random::Builder;

fn session<'m>(runtime: &dyn Runtime, model: &Model<'m>) -> Box<dyn Session + 'm> {
    let prepared = runtime.prepare(model).expect("builds");
    prepared.session().expect("builds")
}

fn observer<'m>(runtime: &dyn Runtime, model: &Model<'m>) -> Box<dyn Observer + 'm> {
    let prepared = runtime.prepare(model).expect("builds");
    prepared.observer().expect("builds")
}

/// Why tract does not take a model.
fn refusal(model: &Model<'_>) -> String {
    let prepared = TractRuntime::new().prepare(model);
    prepared.err().expect("refused").to_string()
}

fn observed_i8(backend: &mut dyn Observer, input: &[i8]) -> Vec<Vec<i8>> {
    let mut layers = Vec::new();
    backend
        .run(Values::I8(input), &mut |i, v| {
            assert_eq!(i, layers.len());
            let Values::I8(v) = v else {
                panic!("float values from an int8 model")
            };
            layers.push(v.to_vec());
        })
        .expect("runs");
    layers
}

fn observed_f32(backend: &mut dyn Observer, input: &[f32]) -> Vec<Vec<f32>> {
    let mut layers = Vec::new();
    backend
        .run(Values::F32(input), &mut |i, v| {
            assert_eq!(i, layers.len());
            let Values::F32(v) = v else {
                panic!("int8 values from a float model")
            };
            layers.push(v.to_vec());
        })
        .expect("runs");
    layers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn int8_networks_equal_the_engine_bit_for_bit(seed: u64, layers in 1usize..6) {
        let (file, mut rng) = random::network(seed, DType::I8, layers);
        let model = Model::parse(&file).expect("a good model");
        let mut tract = observer(&TractRuntime::new(), &model);
        let mut engine = observer(&EngineRuntime::new(), &model);
        let mut session = session(&TractRuntime::new(), &model);
        for _ in 0..2 {
            let input = rng.i8s(model.input().shape.len(), -128);
            let expected = observed_i8(&mut *engine, &input);
            let got = observed_i8(&mut *tract, &input);
            for (i, layer) in model.layers().enumerate() {
                prop_assert_eq!(&got[i], &expected[i], "layer {} of {:?}", i, layer);
            }
            prop_assert_eq!(session.run(Values::I8(&input)).expect("runs"), Values::I8(&expected[expected.len() - 1]));
        }
    }

    #[test]
    fn float_networks_equal_plain_loops(seed: u64, layers in 1usize..6) {
        let (file, mut rng) = random::network(seed, DType::F32, layers);
        let model = Model::parse(&file).expect("a good model");
        let mut tract = observer(&TractRuntime::new(), &model);
        let mut session = session(&TractRuntime::new(), &model);
        for _ in 0..2 {
            let input: Vec<f32> = (0..model.input().shape.len()).map(|_| rng.real()).collect();
            let expected = reference::run(&model, &input);
            let got = observed_f32(&mut *tract, &input);
            prop_assert_eq!(got.len(), expected.len());
            for (i, layer) in model.layers().enumerate() {
                close(&got[i], &expected[i]).map_err(|e| TestCaseError::fail(format!("layer {i}: {e}; {layer:?}")))?;
            }
            let Ok(Values::F32(last)) = session.run(Values::F32(&input)) else { panic!("runs") };
            close(last, &expected[expected.len() - 1]).map_err(TestCaseError::fail)?;
        }
    }
}

fn close(got: &[f32], expected: &[f32]) -> Result<(), String> {
    if got.len() != expected.len() {
        return Err(format!(
            "{} values instead of {}",
            got.len(),
            expected.len()
        ));
    }
    let scale = expected.iter().fold(1f32, |m, v| m.max(v.abs()));
    match got
        .iter()
        .zip(expected)
        .position(|(g, e)| g.is_nan() || (g - e).abs() > 1e-4 * scale)
    {
        Some(i) => Err(format!(
            "value {i} is {} instead of {} (scale {scale})",
            got[i], expected[i]
        )),
        None => Ok(()),
    }
}

fn window(kernel: [u32; 2]) -> Window {
    Window {
        kernel,
        ..Window::POINT
    }
}

/// An int8 network whose only layer is `op`.
fn single(
    input: Shape,
    output: Shape,
    op: impl FnOnce(&mut Builder, Operand) -> Op,
) -> AlignedBytes {
    let mut builder = Builder::new(5, DType::I8, input);
    let x = builder.tensors[0];
    let op = op(&mut builder, x);
    builder.layer("the layer", op, &[x], output);
    builder.finish()
}

/// A sum of 529 taps of 127 * 255 is odd and above 2^24: f32 would round it, and the bias takes all of
/// it away but the last bits.
#[test]
fn depthwise_kernels_too_large_for_f32_are_still_exact() {
    let (sum, channels) = (23 * 23 * 127 * 255, 3);
    let shapes = [Shape::new(23, 23, channels), Shape::new(1, 1, channels)];
    let mut writer = Writer::default();
    let at = |tensor: u32, zero_point| Operand {
        tensor,
        shape: shapes[tensor as usize],
        offset: tensor * 1600,
        quant: Quant {
            scale: 1.0,
            zero_point,
        },
    };
    // The file's bias has -zero_point * sum(w) folded in.
    let bias: Vec<i32> = (0..3).map(|c| c - 1 - sum + 128 * 23 * 23 * 127).collect();
    let data = ConvData::I8 {
        weights: writer.blob(&[127i8; 23 * 23 * 3]),
        bias: writer.blob(&bias),
        multiplier: writer.blob(&[1i32 << 30; 3]),
        shift: writer.blob(&[30u8; 3]),
        clamp: [-128, 127],
    };
    writer.layer(&Layer {
        name: "wide",
        op: Op::DepthwiseConv {
            window: window([23, 23]),
            data,
        },
        inputs: heapless::Vec::from_slice(&[at(0, -128)]).expect("one input"),
        output: at(1, 0),
    });
    let file = random::finish(writer, DType::I8, at(0, -128), 1616);
    let model = Model::parse(&file).expect("a good model");
    let mut tract = session(&TractRuntime::new(), &model);
    let output = tract.run(Values::I8(&[127; 23 * 23 * 3])).expect("runs");
    assert_eq!(output, Values::I8(&[-1, 0, 1]));
}

/// Rounds half down.
fn wrong_rounding(acc: i32, multiplier: i32, shift: u8, zero_point: i8, clamp: [i8; 2]) -> i8 {
    let scaled = (acc as i64 * multiplier as i64 + (1i64 << (shift - 1)) - 1) >> shift;
    (scaled + zero_point as i64).clamp(clamp[0] as i64, clamp[1] as i64) as i8
}

/// `m / 2^n = 1/2`, so that half of all accumulators lie between two values.
#[test]
fn an_injected_rounding_is_used() {
    let mut writer = Writer::default();
    let shape = Shape::new(4, 4, 1);
    let at = |tensor: u32| Operand {
        tensor,
        shape,
        offset: tensor * 16,
        quant: Quant::NONE,
    };
    let data = ConvData::I8 {
        weights: writer.blob(&[1i8]),
        bias: writer.blob(&[0i32]),
        multiplier: writer.blob(&[1i32 << 30]),
        shift: writer.blob(&[31u8]),
        clamp: [-128, 127],
    };
    for (i, name) in ["first", "second"].into_iter().enumerate() {
        writer.layer(&Layer {
            name,
            op: Op::Conv {
                window: Window::POINT,
                groups: 1,
                data,
            },
            inputs: heapless::Vec::from_slice(&[at(i as u32)]).expect("one input"),
            output: at(i as u32 + 1),
        });
    }
    let file = random::finish(writer, DType::I8, at(0), 48);
    let model = Model::parse(&file).expect("a good model");
    let input: Vec<i8> = (0..16).map(|i| i * 4 + 2).collect();
    let right = observed_i8(&mut *observer(&TractRuntime::new(), &model), &input);
    let wrong = observed_i8(
        &mut *observer(&TractRuntime::with_requantize(wrong_rounding), &model),
        &input,
    );
    assert_eq!(right[0], wrong[0], "even inputs halve exactly");
    assert!(
        right[1].iter().zip(&wrong[1]).all(|(r, w)| *r == *w + 1),
        "{right:?} {wrong:?}"
    );
    assert_eq!(
        right[1],
        input.iter().map(|i| (i / 2 + 1) / 2).collect::<Vec<i8>>()
    );
}

/// A slice behind a convolution, which tract's optimizer may not pull through it without its start.
#[test]
fn a_strided_slice_behind_a_convolution_keeps_its_start() {
    let mut builder = Builder::new(11, DType::F32, Shape::new(7, 6, 8));
    let x = builder.tensors[0];
    let stride = Window {
        stride: [2, 3],
        ..window([2, 1])
    };
    let data = builder.conv_data(2 * 4 * 12, 12);
    let op = Op::Conv {
        window: stride,
        groups: 2,
        data,
    };
    let y = builder.layer("conv", op, &[x], Shape::new(3, 2, 12));
    let op = Op::Slice {
        start: [0, 1, 6],
        step: [2, 3],
    };
    builder.layer("slice", op, &[y], Shape::new(2, 1, 4));
    let input: Vec<f32> = (0..7 * 6 * 8).map(|_| builder.rng.real()).collect();
    let file = builder.finish();
    let model = Model::parse(&file).expect("a good model");
    let mut tract = session(&TractRuntime::new(), &model);
    let Ok(Values::F32(got)) = tract.run(Values::F32(&input)) else {
        panic!("runs")
    };
    close(got, &reference::run(&model, &input)[1]).expect("equal");
    let plan = Network::build(&model, None).and_then(|network| network.plan());
    let plan = plan.expect("builds");
    let mut names = plan.model().node_names();
    assert!(
        names.any(|n| n == "1:slice"),
        "nodes bear the layers' names"
    );
}

#[test]
fn a_wrong_input_is_refused() {
    let (file, _) = random::network(1, DType::I8, 1);
    let model = Model::parse(&file).expect("a good model");
    let mut tract = session(&TractRuntime::new(), &model);
    let n = model.input().shape.len();
    let long = vec![0i8; n + 1];
    assert!(
        matches!(tract.run(Values::I8(&long)), Err(BackendError::Input { got, expected, .. }) if got == n + 1 && expected == n)
    );
    let float = vec![0f32; n];
    assert!(matches!(
        tract.run(Values::F32(&float)),
        Err(BackendError::Input {
            dtype: DType::I8,
            ..
        })
    ));
    assert!(tract.run(Values::I8(&long[1..])).is_ok());
}

/// A file may hold weights that no converter writes; the layer is named.
#[test]
fn accumulators_that_could_overflow_are_refused() {
    let input = Shape::new(13, 13, 1024);
    let file = single(input, Shape::new(1, 1, 1), |b, _| {
        let data = b.conv_data_of(&[127; 13 * 13 * 1024], 1);
        Op::Conv {
            window: window([13, 13]),
            groups: 1,
            data,
        }
    });
    let model = Model::parse(&file).expect("a good model");
    let error = refusal(&model);
    assert!(
        error.contains("'the layer'") && error.contains("overflow"),
        "{error}"
    );
}

/// Padding allowed by the file, but absurd in memory.
#[test]
fn absurd_padding_is_refused_before_it_is_allocated() {
    let w = Window {
        pad_before: [4096, 4096],
        pad_after: [4096, 4096],
        stride: [4096, 4096],
        ..Window::POINT
    };
    let (h, width) = (
        w.output_len(0, 8).expect("fits"),
        w.output_len(1, 8).expect("fits"),
    );
    for dtype in [DType::F32, DType::I8] {
        let mut builder = Builder::new(5, dtype, Shape::new(8, 8, 64));
        let x = builder.tensors[0];
        let data = builder.conv_data(64, 64);
        builder.layer(
            "the layer",
            Op::DepthwiseConv { window: w, data },
            &[x],
            Shape::new(h, width, 64),
        );
        let file = builder.finish();
        let model = Model::parse(&file).expect("a good model");
        let error = refusal(&model);
        assert!(
            error.contains("'the layer'") && error.contains("padded input"),
            "{error}"
        );
    }
}

#[test]
fn the_backend_can_move_to_another_thread() {
    let (file, mut rng) = random::network(7, DType::I8, 3);
    let model = Model::parse(&file).expect("a good model");
    let mut tract = observer(&TractRuntime::new(), &model);
    let input = rng.i8s(model.input().shape.len(), -128);
    let here = observed_i8(&mut *tract, &input);
    drop(file);
    let there = std::thread::scope(|s| {
        s.spawn(|| observed_i8(&mut *tract, &input))
            .join()
            .expect("no panic")
    });
    assert_eq!(here, there);
}
