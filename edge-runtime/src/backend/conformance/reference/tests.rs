//! The reference against numbers worked out by hand from `docs/reference/arithmetic.md`.

use super::*;
use crate::backend::conformance::{Network, Tensor};
use crate::model::{
    Activation, Blob, ConvData, DType, MapFunction, Model, Op, Quant, Rescale, Window,
};

const NOTHING: Blob = Blob { offset: 0, len: 0 };

fn tensor(shape: [u32; 3], zero_point: i8) -> Tensor {
    let [h, w, c] = shape;
    Tensor {
        shape: Shape::new(h, w, c),
        quant: Quant {
            scale: 1.0,
            zero_point,
        },
    }
}

/// The output of the only layer of a network.
fn int8(network: &Network, inputs: &[&[i8]]) -> Vec<i8> {
    let file = network.file();
    let model = Model::parse(&file).expect("a good model");
    let layer = model.layers().next().expect("one layer");
    super::int8::layer(&model, &layer, inputs, &Normative)
}

fn only(from: Tensor, to: Tensor, op: impl FnOnce(&mut Network) -> Op) -> Network {
    let mut network = Network::new(DType::I8, from);
    let op = op(&mut network);
    network.push(op, &[0], to);
    network
}

fn conv_data(
    network: &mut Network,
    weights: &[i8],
    numbers: &[(i32, i32, u8)],
    clamp: [i8; 2],
) -> ConvData {
    let bias: Vec<i32> = numbers.iter().map(|n| n.0).collect();
    let multiplier: Vec<i32> = numbers.iter().map(|n| n.1).collect();
    let shift: Vec<u8> = numbers.iter().map(|n| n.2).collect();
    ConvData::I8 {
        weights: network.blob(weights),
        bias: network.blob(&bias),
        multiplier: network.blob(&multiplier),
        shift: network.blob(&shift),
        clamp,
    }
}

/// The factor 1.
const ONE: (i32, u8) = (1 << 30, 30);

#[test]
fn requantizing_rounds_half_up_once_and_clamps() {
    let halve = |clamp| {
        only(tensor([1, 8, 1], 0), tensor([1, 8, 1], 0), |n| Op::Conv {
            window: Window::POINT,
            groups: 1,
            data: conv_data(n, &[1], &[(0, 1 << 30, 31)], clamp),
        })
    };
    let x: [i8; 8] = [-5, -4, -3, -1, 0, 1, 3, 127];
    // -2.5 -2 -1.5 -0.5 0 0.5 1.5 63.5, a half always towards plus infinity.
    assert_eq!(
        int8(&halve([-128, 127]), &[&x]),
        [-2, -2, -1, 0, 0, 1, 2, 64]
    );
    assert_eq!(int8(&halve([-1, 1]), &[&x]), [-1, -1, -1, 0, 0, 1, 1, 1]);
    // Rounding twice, first to quarters, would make 1 of 0.375 + 0.125.
    let m = 3 << 29;
    let eighths = only(tensor([1, 1, 1], 0), tensor([1, 1, 1], 7), |n| Op::Conv {
        window: Window::POINT,
        groups: 1,
        data: conv_data(n, &[1], &[(0, m, 33)], [-128, 127]),
    });
    // 2 * 3 / 16 = 0.375.
    assert_eq!(int8(&eighths, &[&[2]]), [7]);
    // 3 * 3 / 16 = 0.5625.
    assert_eq!(int8(&eighths, &[&[3]]), [8]);
}

#[test]
fn a_convolution_reads_the_zero_point_outside_and_its_weights_by_filter() {
    // A sum of nine over one pixel: q - z is 2 at the pixel and 0 around it.
    let sum = only(tensor([1, 1, 1], 5), tensor([1, 1, 1], -10), |n| Op::Conv {
        window: Window {
            kernel: [3, 3],
            pad_before: [1, 1],
            pad_after: [1, 1],
            ..Window::POINT
        },
        groups: 1,
        data: conv_data(n, &[1; 9], &[(-45, ONE.0, ONE.1)], [-128, 127]),
    });
    assert_eq!(int8(&sum, &[&[7]]), [-8]);
    // Two taps, two columns apart, of two channels in two groups: OHWI.
    let window = Window {
        kernel: [1, 2],
        dilation: [1, 2],
        ..Window::POINT
    };
    let x = [1, 10, 2, 20, 3, 30];
    let grouped = only(tensor([1, 3, 2], 0), tensor([1, 1, 2], 0), |n| Op::Conv {
        window,
        groups: 2,
        data: conv_data(n, &[1, 2, 3, -1], &[(0, ONE.0, ONE.1); 2], [-128, 127]),
    });
    assert_eq!(int8(&grouped, &[&x]), [1 + 2 * 3, 3 * 10 - 30]);
    // The same filters of a depthwise one: 1HWC.
    let depthwise = only(tensor([1, 3, 2], 0), tensor([1, 1, 2], 0), |n| {
        Op::DepthwiseConv {
            window,
            data: conv_data(n, &[1, 3, 2, -1], &[(0, ONE.0, ONE.1); 2], [-128, 127]),
        }
    });
    assert_eq!(int8(&depthwise, &[&x]), [7, 0]);
    // One group sees both channels.
    let whole = only(tensor([1, 3, 2], 0), tensor([1, 1, 1], 0), |n| Op::Conv {
        window,
        groups: 1,
        data: conv_data(n, &[1, 2, 3, -1], &[(4, ONE.0, ONE.1)], [-128, 127]),
    });
    assert_eq!(int8(&whole, &[&x]), [4 + 1 + 20 + 9 - 30]);
}

#[test]
fn pools_ignore_what_is_outside() {
    let window = Window {
        kernel: [2, 2],
        stride: [2, 2],
        pad_before: [1, 1],
        ..Window::POINT
    };
    let x = [-128, -128, -128, -127];
    let max = only(tensor([2, 2, 1], 127), tensor([1, 1, 1], 127), |_| {
        Op::MaxPool { window }
    });
    assert_eq!(int8(&max, &[&x]), [-128]);
    let mean = |count_padding: bool, multipliers: &[i32], x: [i8; 9]| {
        let network = only(tensor([3, 3, 1], 1), tensor([2, 2, 1], 0), |n| {
            Op::AvgPool {
                window,
                count_padding,
                multipliers: n.blob(multipliers),
                shift: 2,
            }
        });
        int8(&network, &[&x])
    };
    // Divisors 1, 2, 2, 4; less the zero point 1: 9 | 2 3 | 2 4 | 5 5 5 5.
    let x = [10, 3, 4, 3, 6, 6, 5, 6, 6];
    // 2.5 and 3 of two, 5 of four.
    assert_eq!(mean(false, &[4, 2, 1, 1], x), [9, 3, 3, 5]);
    // Quarters of all: 2.25, 1.25, 1.5, 5.
    assert_eq!(mean(true, &[1], x), [2, 1, 2, 5]);
}

#[test]
fn sums_products_and_parts_are_rescaled() {
    let mut add = Network::new(DType::I8, tensor([1, 1, 3], 10));
    let op = Op::Add {
        multipliers: [3, -1],
        shift: 1,
        clamp: [-128, 20],
        activation: Activation::None,
    };
    // The second operand is the first one with another zero point here.
    add.push(op, &[0, 0], tensor([1, 1, 3], 4));
    // (3 * 3 - 0) / 2 = 4.5; (-3 * 3 - 1) / 2 = -5; (30 * 3 + 20) / 2 = 55.
    assert_eq!(int8(&add, &[&[13, 7, 40], &[10, 11, -10]]), [9, -1, 20]);

    let mut mul = Network::new(DType::I8, tensor([2, 1, 2], -1));
    let gate = mul.push(
        Op::Slice {
            start: [0; 3],
            step: [1; 2],
        },
        &[0],
        tensor([1, 1, 2], -1),
    );
    let op = Op::Mul {
        multiplier: 1 << 30,
        shift: 31,
    };
    mul.push(op, &[0, gate], tensor([2, 1, 2], 1));
    let file = mul.file();
    let model = Model::parse(&file).expect("a good model");
    let layer = model.layers().nth(1).expect("two layers");
    // 1 * 2, 3 * -3; 5 * 2, -1 * -3, halved.
    let got = super::int8::layer(&model, &layer, &[&[0, 2, 4, -2], &[1, -4]], &Normative);
    assert_eq!(got, [2, -3, 6, 3]);

    let mut concat = Network::new(DType::I8, tensor([1, 2, 1], 3));
    let half = Rescale {
        multiplier: 1,
        shift: 1,
    };
    let rescale = heapless::Vec::from_slice(&[Rescale::ONE, half]).expect("two");
    concat.push(Op::Concat { rescale }, &[0, 0], tensor([1, 2, 2], -2));
    assert_eq!(int8(&concat, &[&[4, 127], &[4, 0]]), [-1, -1, 122, -3]);

    let prelu = only(tensor([1, 2, 2], 1), tensor([1, 2, 2], 0), |n| Op::PRelu {
        slopes: n.blob(&[1, -2]),
        positive: 4,
        shift: 2,
    });
    // 3, 1; -3 / 4 = -0.75, -3 * -2 / 4 = 1.5.
    assert_eq!(int8(&prelu, &[&[4, 2, -2, -2]]), [3, 1, -1, 2]);
}

#[test]
fn elements_go_where_they_belong() {
    let x: Vec<i8> = (0..12).collect();
    let shuffle = only(tensor([1, 2, 6], 0), tensor([1, 2, 6], 0), |_| {
        Op::Shuffle { groups: 2 }
    });
    assert_eq!(
        int8(&shuffle, &[&x]),
        [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    );
    let slice = only(tensor([2, 3, 2], 0), tensor([2, 2, 1], 0), |_| Op::Slice {
        start: [0, 0, 1],
        step: [1, 2],
    });
    assert_eq!(int8(&slice, &[&x]), [1, 5, 7, 11]);
    let pad = only(tensor([1, 1, 2], 9), tensor([1, 2, 4], 9), |_| Op::Pad {
        before: [0, 1, 1],
        after: [0, 0, 1],
    });
    assert_eq!(int8(&pad, &[&[5, 6]]), [9, 9, 9, 9, 9, 5, 6, 9]);
    let table: Vec<i8> = (0..256).map(|i| (255 - i - 128) as i8).collect();
    let map = only(tensor([1, 1, 3], 0), tensor([1, 1, 3], 0), |n| Op::Map {
        function: MapFunction::Table(n.blob(&table)),
    });
    assert_eq!(int8(&map, &[&[-128, 0, 127]]), [127, -1, -128]);
}

#[test]
fn norms_follow_the_lines_of_their_tables() {
    let norm = |index_shift, table: &[i32], x: &[i8]| {
        let network = only(tensor([1, 1, 3], 0), tensor([1, 1, 3], 0), |n| {
            Op::LocalResponseNorm {
                size: 3,
                float: [0.0; 3],
                table: n.blob(table),
                index_shift,
                shift: 4,
            }
        });
        int8(&network, &[x])
    };
    // Entries at the multiples of 2^10.
    let even: Vec<i32> = (0..257).map(|i| (256 - i) * 10).collect();
    // 1600 >> 10 = 1 and 144 of 256: 2550 - 10 * 144 / 256 = 2544.375, rounded down; 40 * 2544 / 16 saturates.
    assert_eq!(norm(10, &even, &[40, 0, -90]), [127, 0, -128]);
    let small: Vec<i32> = (0..257).map(|i| 257 - i).collect();
    // The sum 16 is 4 of 256 behind the first entry: 257 - 4 / 256, rounded down, is 256, and 4 * 256 / 16 = 64; the
    // sum 1 is at it: 257 / 16.
    assert_eq!(norm(10, &small, &[4, 0, 1]), [64, 0, 16]);
    // By octaves, two pieces each: entries at 0 1 2 3 4 6 8 12 16 24 ...
    let octaves: Vec<i32> = (0..64).map(|i| 16 * (64 - i)).collect();
    let entries = crate::model::norm_table::NormTable::new(1)
        .entries(3, 3)
        .expect("a table");
    // The sums 4 + 1, 4 + 1 + 0 and 1: half between the entries at 4 and 6, which are 960 and 944.
    assert_eq!(
        norm(1, &octaves[..entries], &[2, -1, 0]),
        [(2 * 952 + 8) / 16, -60 + 1, 0].map(|v: i32| v as i8)
    );
}

/// The formula of the page for the place in a table, against the words beside it.
#[test]
fn places_in_octaves_are_those_of_the_formula() {
    for p in 0..=7u32 {
        let table: Vec<i32> = (0..4096).map(|i| i * 256).collect();
        for s in (0..3000u32).chain((3000..66_585_600).step_by(99_991)) {
            let c = (s | 1 << p).leading_zeros();
            let k = ((31 - p - c) << (p + 8)) + ((s << c) >> (23 - p));
            // With entries 256 apart, the factor is the place in 256ths.
            assert_eq!(
                super::int8::factor(&table, p as u8, s as i128),
                k as i32,
                "{s} by 2^{p}"
            );
        }
    }
}

#[test]
fn float_layers() {
    let float = |shape: [u32; 3], op: Op, x: &[f32]| -> Vec<f64> {
        let input = Tensor {
            quant: Quant::NONE,
            ..tensor(shape, 0)
        };
        let mut network = Network::new(DType::F32, input);
        network.push(op, &[0], input);
        let file = network.file();
        let model = Model::parse(&file).expect("a good model");
        let layer = model.layers().next().expect("one layer");
        let expected = super::float::layer(&model, &layer, &[x]);
        expected.iter().map(|e| e.value).collect()
    };
    let close = |got: Vec<f64>, expected: &[f64]| {
        let near = got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-9);
        assert!(near && got.len() == expected.len(), "{got:?} {expected:?}");
    };
    let norm = |size, float| Op::LocalResponseNorm {
        size,
        float,
        table: NOTHING,
        index_shift: 0,
        shift: 1,
    };
    // numpy: x / (bias + alpha / size * sum)^beta, around channel c from c - (size - 1) / 2 to c + size / 2.
    close(
        float([1, 1, 3], norm(3, [0.5, 0.75, 1.0]), &[1.0, -2.0, 3.0]),
        &[0.634700622001212, -0.8107200928842206, 1.2637742198261541],
    );
    close(
        float([1, 1, 4], norm(4, [1.0, 0.5, 2.0]), &[1.0, -2.0, 3.0, 0.5]),
        &[
            0.42640143271122083,
            -0.847998304005088,
            1.301582746911937,
            0.2407717061715384,
        ],
    );
    let map = |f| Op::Map {
        function: MapFunction::Activation(f),
    };
    let x = [-4.0, -1.0, 1.0];
    for (f, expected) in [
        (Activation::HardSwish, [0.0, -1.0 / 3.0, 2.0 / 3.0]),
        (Activation::HardSigmoid, [0.0, 1.0 / 3.0, 2.0 / 3.0]),
        (Activation::LeakyRelu(0.5), [-2.0, -0.5, 1.0]),
        (Activation::Clip(-1.5, 0.5), [-1.5, -1.0, 0.5]),
        // numpy: x / (1 + exp(-x)).
        (
            Activation::Silu,
            [
                -0.07194483984836625,
                -0.2689414213699951,
                0.7310585786300049,
            ],
        ),
    ] {
        close(float([1, 1, 3], map(f), &x), &expected);
    }
}
