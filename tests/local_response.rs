//! int8 local response normalization in whole networks, against onnxruntime: activations from some units to ten
//! thousands, where the factor's table has to follow a power over many octaves.

use converter::dataset::{Dataset, Picture, image_file};
use converter::graph::{ConvWeights, Graph, LocalResponseNorm, Op, Shape, Window};
use converter::jobs::convert::{CalibrationSource, Int8Options, Source, convert};
use converter::jobs::runner::Runner;
use converter::util::progress::Silent;
use edge_runtime::backend::BackendKind;
use edge_runtime::engine::Engine;
use edge_runtime::model::write::Writer;
use edge_runtime::model::{
    Activation, AlignedBytes, ChannelOrder, DType, Filter, InputSpec, Layer, Manifest, Model,
    Op as LayerOp, Operand, OutputFunction, Quant, ResizeRule, Trunk, WeightsOrigin,
};
use std::path::Path;

const SIDE: u32 = 32;
const CHANNELS: usize = 16;
const CLASSES: usize = 6;
/// All calibrate, the first ones are looked at.
const PICTURES: u32 = 24;

/// From -1 to 1, in whole multiples of 2^-23.
fn number(key: u32, i: u32) -> f64 {
    let mut v = i
        .wrapping_mul(2654435761)
        .wrapping_add(key.wrapping_mul(40503).wrapping_add(12345));
    for (shift, factor) in [(15, 2246822519), (13, 3266489917)] {
        v = (v ^ v >> shift).wrapping_mul(factor);
    }
    ((v ^ v >> 16) >> 8) as f64 / 2f64.powi(23) - 1.0
}

/// Blocks of 4x4 pixels.
fn picture(n: u32) -> Picture {
    let byte = |i: u32| {
        let (y, x, c) = (i / 3 / SIDE, i / 3 % SIDE, i % 3);
        ((number(1000 + n, (y / 4 * 8 + x / 4) * 3 + c) + 1.0) * 128.0) as u8
    };
    Picture::new(SIDE, SIDE, (0..SIDE * SIDE * 3).map(byte).collect()).unwrap()
}

/// Weights are `gain * number(key, i)`, i in the order OHWI.
fn conv(key: u32, gain: f64, inputs: usize, outputs: usize, window: Window) -> Op {
    let per = (window.kernel[0] * window.kernel[1]) as usize * inputs;
    Op::Conv(ConvWeights {
        window,
        groups: 1,
        out_channels: outputs,
        weights: (0..(per * outputs) as u32)
            .map(|i| (gain * number(key, i)) as f32)
            .collect(),
        bias: vec![0.0; outputs],
        activation: Activation::None,
        statistics: None,
        weight_scales: None,
    })
}

fn same(kernel: u32, stride: u32, after: u32) -> Window {
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pad_before: [kernel / 2; 2],
        pad_after: [after; 2],
    }
}

/// What onnxruntime 1.32.0 makes of one network.
struct Row {
    /// Of the convolutions before and after the normalization.
    gains: [f64; 2],
    norm: LocalResponseNorm,
    /// Centred cosine between its float and its int8 logits, the mean of the pictures below.
    int8_cosine: f64,
    /// Float, of the first pictures.
    logits: [[f32; CLASSES]; 4],
}

const fn norm(size: u32, alpha: f32, beta: f32, bias: f32) -> LocalResponseNorm {
    LocalResponseNorm {
        size,
        alpha,
        beta,
        bias,
    }
}

fn source(row: &Row) -> Source {
    let mut g = Graph::new(Shape::new(SIDE, SIDE, 3));
    let mut push = |op, from| g.push("", op, &[from]).unwrap();
    let relu = || Op::Activation(Activation::Relu);
    let x = push(conv(1, row.gains[0], 3, CHANNELS, same(5, 2, 2)), 0);
    let x = push(relu(), x);
    let x = push(Op::LocalResponseNorm(row.norm), x);
    let x = push(conv(2, row.gains[1], CHANNELS, CHANNELS, same(3, 1, 1)), x);
    let x = push(relu(), x);
    let whole = Op::AvgPool {
        window: Window {
            kernel: [SIDE / 2; 2],
            ..Window::POINT
        },
        count_padding: false,
    };
    let x = push(whole, x);
    push(conv(3, 1.0, CHANNELS, CLASSES, Window::POINT), x);
    Source {
        name: "norm".into(),
        graph: g,
        origin: "tests".into(),
        license: String::new(),
        weights: WeightsOrigin::Pretrained { sha256: [0; 32] },
        input: InputSpec {
            height: SIDE,
            width: SIDE,
            resize: ResizeRule::Squash,
            filter: Filter::Bilinear,
            order: ChannelOrder::Rgb,
            mean: [0.0; 3],
            std: [1.0; 3],
        },
        labels: String::new(),
        output: OutputFunction::Softmax,
        pruned: None,
    }
}

fn write_pictures(dir: &Path) {
    let folder = dir.join("all");
    std::fs::create_dir(&folder).unwrap();
    for n in 0..PICTURES {
        let png = image_file::encode_png(&picture(n));
        std::fs::write(folder.join(format!("{n:02}.png")), png).unwrap();
    }
}

fn logits(bytes: &AlignedBytes, kind: BackendKind) -> Vec<Vec<f32>> {
    let model = Model::parse(bytes).unwrap();
    let mut runner = Runner::new(&model, kind).unwrap();
    (0..4)
        .map(|n| runner.logits(picture(n).rgb()).unwrap())
        .collect()
}

/// The mean over pictures.
fn centred_cosine(a: &[[f32; CLASSES]], b: &[Vec<f32>]) -> f64 {
    let cosine = |(a, b): (&[f32; CLASSES], &Vec<f32>)| {
        let centred = |v: &[f32]| -> Vec<f64> {
            let mean = v.iter().map(|v| *v as f64).sum::<f64>() / v.len() as f64;
            v.iter().map(|v| *v as f64 - mean).collect()
        };
        let (a, b) = (centred(a), centred(b));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
    };
    a.iter().zip(b).map(cosine).sum::<f64>() / a.len() as f64
}

// Made with onnx 1.23.2 and onnxruntime 1.32.0: the same network as Conv, Relu, LRN, Conv, Relu, GlobalAveragePool,
// Flatten, Gemm; int8 with `quantize_static(per_channel=True, activation_type=QUInt8, weight_type=QInt8)`,
// calibrated on the same pictures, which leaves the LRN in float. The largest activations before the LRN are
// 400, 1200, 4000, 12000, 40000, 19, 300, 150, 100.
const ROWS: [Row; 9] = [
    Row {
        gains: [0.0997, 0.03],
        norm: norm(5, 0.0001, 0.75, 1.0),
        int8_cosine: 0.999955,
        logits: [
            [11.8879, 9.62242, 1.27972, 6.20713, -2.23864, 1.70252],
            [10.41308, 8.03336, 1.383, 5.87438, -2.33148, 1.50365],
            [11.15818, 8.5655, 1.44249, 5.77918, -2.02134, 1.50574],
            [10.53117, 8.36653, 1.04618, 5.67135, -1.81624, 1.55061],
        ],
    },
    Row {
        gains: [0.299, 0.02],
        norm: norm(5, 0.0001, 0.75, 1.0),
        int8_cosine: 0.999920,
        logits: [
            [9.95228, 8.21087, 0.95128, 6.22772, -2.77792, 1.73224],
            [9.36936, 7.43331, 0.94214, 6.17464, -2.7915, 1.51833],
            [9.71404, 7.72503, 0.96172, 6.22553, -2.6106, 1.64841],
            [9.47985, 7.78845, 0.61931, 6.37347, -2.40687, 1.67912],
        ],
    },
    Row {
        gains: [0.997, 0.03],
        norm: norm(5, 0.0001, 0.75, 1.0),
        int8_cosine: 0.999951,
        logits: [
            [10.00155, 7.85172, 1.45308, 6.8353, -3.15718, 2.01401],
            [10.15849, 7.81334, 1.33449, 7.05702, -3.16937, 1.93397],
            [10.07306, 7.71928, 1.42845, 7.26677, -3.16245, 1.965],
            [9.76011, 7.88924, 1.1076, 7.66437, -2.93438, 1.93781],
        ],
    },
    Row {
        gains: [2.99, 0.05],
        norm: norm(5, 0.0001, 0.75, 1.0),
        int8_cosine: 0.999924,
        logits: [
            [9.79144, 7.40708, 1.79156, 6.84287, -3.19058, 2.09472],
            [10.18791, 7.54034, 1.73733, 7.21249, -3.19759, 2.14536],
            [9.93166, 7.28331, 1.84178, 7.28779, -3.19472, 1.94503],
            [9.59083, 7.5217, 1.66899, 7.87133, -2.93476, 1.95315],
        ],
    },
    Row {
        gains: [9.97, 0.09],
        norm: norm(5, 0.0001, 0.75, 1.0),
        int8_cosine: 0.999946,
        logits: [
            [9.70823, 7.20246, 1.95601, 6.8736, -3.1494, 2.15599],
            [10.10749, 7.29396, 2.0287, 7.32508, -3.13368, 2.28308],
            [9.99953, 7.05265, 2.05574, 7.19254, -3.13733, 1.91902],
            [9.55969, 7.26601, 2.07986, 8.01962, -2.72523, 2.04576],
        ],
    },
    Row {
        gains: [0.00473, 1.0],
        norm: norm(5, 0.3, 0.75, 1.0),
        int8_cosine: 0.999939,
        logits: [
            [9.1883, 7.59681, 0.85607, 5.64561, -2.4709, 1.55726],
            [8.56088, 6.79048, 0.86861, 5.56899, -2.49433, 1.36388],
            [8.92596, 7.0866, 0.88272, 5.5796, -2.31749, 1.47926],
            [8.69496, 7.1312, 0.56679, 5.67963, -2.1263, 1.50205],
        ],
    },
    Row {
        gains: [0.0747, 0.03],
        norm: norm(31, 1e-5, 0.5, 2.0),
        int8_cosine: 0.999935,
        logits: [
            [8.55036, 6.5275, 1.29975, 3.68214, -0.98859, 1.01531],
            [7.29112, 5.2961, 1.33243, 3.4141, -1.07778, 0.89738],
            [7.9365, 5.72926, 1.33222, 3.36955, -0.83127, 0.91206],
            [7.20156, 5.42876, 1.17309, 3.26017, -0.70694, 0.91363],
        ],
    },
    Row {
        gains: [0.0374, 1.0],
        norm: norm(1, 1.0, 0.5, 1.0),
        int8_cosine: 0.999947,
        logits: [
            [7.78227, 3.88828, 2.46417, 3.69503, -3.30333, 1.41966],
            [7.02152, 4.09097, 1.91595, 4.07349, -2.99697, 1.52661],
            [6.92301, 3.79518, 2.18256, 4.04162, -3.13289, 1.52001],
            [6.92702, 4.19372, 2.00977, 4.17335, -2.87163, 1.43776],
        ],
    },
    Row {
        gains: [0.0249, 0.03],
        norm: norm(7, 0.002, 1.0, 0.1),
        int8_cosine: 0.999955,
        logits: [
            [8.195, 7.21951, 0.28339, 5.94157, -2.76525, 1.6399],
            [8.05526, 6.75125, 0.44647, 5.63774, -2.46159, 1.42239],
            [8.2584, 6.92376, 0.4433, 5.85681, -2.48633, 1.54909],
            [8.30654, 7.22188, 0.19865, 6.04199, -2.34465, 1.5703],
        ],
    },
];

#[test]
fn int8_is_as_near_to_float_as_onnxruntimes() {
    let dir = tempfile::tempdir().unwrap();
    write_pictures(dir.path());
    for (i, row) in ROWS.into_iter().enumerate() {
        let float = convert(source(&row), None, &Silent).unwrap().bytes;
        let real: Vec<f32> = row.logits.iter().flatten().copied().collect();
        let largest = real.iter().fold(0f32, |m, v| m.max(v.abs()));
        for (v, r) in logits(&float, BackendKind::Tract)
            .iter()
            .flatten()
            .zip(&real)
        {
            assert!((v - r).abs() < 1e-4 * largest, "row {i}: {v} for {r}");
        }
        let calibration = CalibrationSource::Pictures {
            folder: "all".into(),
            dataset: Dataset::open(dir.path()).unwrap(),
            images: PICTURES as usize,
        };
        let options = Int8Options {
            calibration,
            rule: None,
        };
        let int8 = convert(source(&row), Some(&options), &Silent)
            .unwrap()
            .bytes;
        let ours = logits(&int8, BackendKind::Engine);
        assert_eq!(ours, logits(&int8, BackendKind::Tract), "row {i}");
        let cosine = centred_cosine(&row.logits, &ours);
        assert!(
            cosine >= row.int8_cosine,
            "row {i}: {cosine} for {}",
            row.int8_cosine
        );
        // A cosine does not see a wrong scale.
        let dot = |a: &mut dyn Iterator<Item = &f32>| -> f64 {
            a.zip(&real).map(|(a, r)| (a * r) as f64).sum()
        };
        let ratio = dot(&mut ours.iter().flatten()) / dot(&mut real.iter());
        assert!(
            (0.98..1.02).contains(&ratio),
            "row {i}: {ratio} times as large"
        );
    }
}

/// A file as converters wrote it before tables followed the logarithm: the output is what their reader gave.
#[test]
fn an_even_table_still_gives_the_same_bits() {
    let float = convert(source(&ROWS[0]), None, &Silent).unwrap().bytes;
    let other = Model::parse(&float).unwrap();
    let operand = |tensor, zero_point| Operand {
        tensor,
        shape: Shape::new(2, 2, 12),
        offset: tensor * 64,
        quant: Quant {
            scale: 1.0,
            zero_point,
        },
    };
    let table: Vec<i32> = (0..257).map(|i| (1 << 22) / (1 + i)).collect();
    let mut writer = Writer::default();
    let op = LayerOp::LocalResponseNorm {
        size: 5,
        float: [0.0; 3],
        table: writer.blob(&table),
        index_shift: 11,
        shift: 20,
    };
    let input = operand(0, -100);
    writer.layer(&Layer {
        name: "norm",
        op,
        inputs: [input].into_iter().collect(),
        output: operand(1, -20),
    });
    let trunk = Trunk {
        dtype: DType::I8,
        input,
        arena_bytes: 128,
        layers: 0,
        packing: None,
    };
    let manifest = Manifest {
        input: InputSpec {
            height: 2,
            width: 2,
            ..other.manifest().input
        },
        ..*other.manifest()
    };
    let file = writer.finish(&manifest, trunk, None).unwrap();
    let model = Model::parse(&file).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::new(&model, &mut arena).unwrap();
    for (i, q) in (0..).zip(engine.input_mut()) {
        *q = (i * i * 37 % 256 - 128) as i8;
    }
    let expected = [
        -33, -16, 24, -10, -9, 23, -12, -21, -12, 9, -4, -1, 13, -8, -12, -3, -23, -2, -5, -19,
        -10, -9, -5, -11, -10, -6, 14, -9, -11, -5, -21, 7, -25, -8, -28, -36, -13, -4, -8, -10,
        -18, -7, -6, -18, -9, -7, -3, -14,
    ];
    assert_eq!(engine.run(), expected);
}
