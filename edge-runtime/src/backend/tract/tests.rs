//! What is tract's alone. That it computes what it should, the conformance suite shows.

use super::{BackendError, DType, Model, Runtime, Shape, TractRuntime, Values, network};
use crate::backend::conformance::{Case, Kind, Network, Tensor, check};
use crate::kernels::{self, Portable};
use crate::model::{ConvData, Op, Quant, Window};

fn tensor(h: u32, w: u32, c: u32, zero_point: i8) -> Tensor {
    Tensor {
        shape: Shape::new(h, w, c),
        quant: Quant {
            scale: 1.0,
            zero_point,
        },
    }
}

fn float(h: u32, w: u32, c: u32) -> Tensor {
    Tensor {
        shape: Shape::new(h, w, c),
        quant: Quant::NONE,
    }
}

fn window(kernel: [u32; 2]) -> Window {
    Window {
        kernel,
        ..Window::POINT
    }
}

/// Weights of an int8 convolution that halves its sums.
fn halves(network: &mut Network, weights: &[i8], bias: &[i32], shift: u8) -> ConvData {
    ConvData::I8 {
        weights: network.blob(weights),
        bias: network.blob(bias),
        multiplier: network.blob(&vec![1i32 << 30; bias.len()]),
        shift: network.blob(&vec![shift; bias.len()]),
        clamp: [-128, 127],
    }
}

fn run(network: &Network, input: Values<'_>) -> Result<Vec<i8>, BackendError> {
    let file = network.file();
    let model = Model::parse(&file).expect("a good model");
    let mut session = TractRuntime::new().prepare(&model)?.session()?;
    match session.run(input)? {
        Values::I8(values) => Ok(values.to_vec()),
        Values::F32(_) => panic!("float values of an int8 model"),
    }
}

/// Why tract refuses a network that it must multiply itself: the portable kernels pack no weights.
fn refusal(network: &Network) -> String {
    let file = network.file();
    let model = Model::parse(&file).expect("a good model");
    let refused = TractRuntime::with_kernels(&Portable).prepare(&model).err();
    refused.expect("refused").to_string()
}

/// A sum of 529 taps of 127 * 255 is odd and above 2^24: f32 would round it, and the bias takes all of
/// it away but the last bits.
#[test]
fn depthwise_kernels_too_large_for_f32_are_still_exact() {
    let sum = 23 * 23 * 127 * 255;
    // The file's bias has -zero_point * sum(w) folded in.
    let bias: Vec<i32> = (0..3).map(|c| c - 1 - sum + 128 * 23 * 23 * 127).collect();
    let mut network = Network::new(DType::I8, tensor(23, 23, 3, -128));
    let data = halves(&mut network, &[127; 23 * 23 * 3], &bias, 30);
    let op = Op::DepthwiseConv {
        window: window([23, 23]),
        data,
    };
    network.push(op, &[0], tensor(1, 1, 3, 0));
    let output = run(&network, Values::I8(&[127; 23 * 23 * 3])).expect("runs");
    assert_eq!(output, [-1, 0, 1]);
}

/// A slice behind a convolution, which tract's optimizer may not pull through it without its start.
#[test]
fn a_strided_slice_behind_a_convolution_keeps_its_start() {
    let mut case = Case::layer(Kind::Slice, DType::F32, 0);
    let mut network = Network::new(DType::F32, float(7, 6, 8));
    let numbers = |n: usize| -> Vec<f32> { (0..n).map(|i| (i % 17) as f32 - 8.0).collect() };
    let data = ConvData::F32 {
        weights: network.blob(&numbers(2 * 4 * 12)),
        bias: network.blob(&numbers(12)),
        activation: crate::model::Activation::None,
    };
    let op = Op::Conv {
        window: Window {
            stride: [2, 3],
            ..window([2, 1])
        },
        groups: 2,
        data,
    };
    let conv = network.push(op, &[0], float(3, 2, 12));
    let op = Op::Slice {
        start: [0, 1, 6],
        step: [2, 3],
    };
    network.push(op, &[conv], float(2, 1, 4));
    let file = network.file();
    let model = Model::parse(&file).expect("a good model");
    let built = network::Network::build(&model, kernels::native()).expect("builds");
    let plan = built.plan().expect("builds");
    let mut names = plan.model().node_names();
    let bears = |name: &str| name == "1:slice 1";
    assert!(names.any(bears), "nodes bear the layers' names");

    case.inputs = vec![crate::backend::conformance::Data::F32(numbers(7 * 6 * 8))];
    case.network = network;
    check("tract", &TractRuntime::new(), &case).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_wrong_input_is_refused() {
    let network = Case::layer(Kind::Map, DType::I8, 1).network;
    let n = network.tensor(0).shape.len();
    let long = vec![0i8; n + 1];
    assert!(matches!(
        run(&network, Values::I8(&long)),
        Err(BackendError::Input { got, expected, .. }) if got == n + 1 && expected == n
    ));
    let error = run(&network, Values::F32(&vec![0.0; n])).err();
    assert!(matches!(
        error,
        Some(BackendError::Input {
            dtype: DType::I8,
            ..
        })
    ));
    assert!(run(&network, Values::I8(&long[1..])).is_ok());
}

/// A file may hold weights that no converter writes; the layer is named.
#[test]
fn accumulators_that_could_overflow_are_refused() {
    let mut network = Network::new(DType::I8, tensor(13, 13, 1024, 0));
    let data = halves(&mut network, &[127; 13 * 13 * 1024], &[0], 40);
    let op = Op::Conv {
        window: window([13, 13]),
        groups: 1,
        data,
    };
    network.push(op, &[0], tensor(1, 1, 1, 0));
    let error = refusal(&network);
    assert!(
        error.contains("'conv 0'") && error.contains("overflow"),
        "{error}"
    );
}

/// Padding allowed by the file, but absurd in memory.
#[test]
fn absurd_padding_is_refused_before_it_is_allocated() {
    let window = Window {
        pad_before: [4096, 4096],
        pad_after: [4096, 4096],
        stride: [4096, 4096],
        ..Window::POINT
    };
    let side = window.output_len(0, 8).expect("fits");
    for dtype in [DType::F32, DType::I8] {
        let tensor = |side: u32| match dtype {
            DType::F32 => float(side, side, 64),
            DType::I8 => tensor(side, side, 64, 0),
        };
        let mut network = Network::new(dtype, tensor(8));
        let data = match dtype {
            DType::F32 => ConvData::F32 {
                weights: network.blob(&[1f32; 64 * 64]),
                bias: network.blob(&[0f32; 64]),
                activation: crate::model::Activation::None,
            },
            DType::I8 => halves(&mut network, &[1; 64], &[0; 64], 31),
        };
        // Those that tract computes itself.
        let (op, name) = match dtype {
            DType::F32 => (
                Op::Conv {
                    window,
                    groups: 1,
                    data,
                },
                "'conv 0'",
            ),
            DType::I8 => (Op::DepthwiseConv { window, data }, "'depthwise-conv 0'"),
        };
        network.push(op, &[0], tensor(side));
        let error = refusal(&network);
        assert!(
            error.contains(name) && error.contains("padded input"),
            "{error}"
        );
    }
}
