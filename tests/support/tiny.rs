//! A tiny int8 model that is written by hand: one convolution and a head. No converter and no float
//! arithmetic makes it, so its bytes are the same on every machine and in every version of the converter.

use edge_runtime::head::file::{NewData, NewHead};
use edge_runtime::head::{HeadData, HeadOrigin, HeadRecord, Int8Layers, Pool};
use edge_runtime::model::write::Writer;
use edge_runtime::model::{
    AlignedBytes, Blob, ChannelOrder, ConvData, DType, Filter, InputSpec, Layer, Manifest, Op,
    Operand, Quant, ResizeRule, Shape, Trunk, WeightsOrigin, Window,
};

/// Side of an input.
pub const SIDE: u32 = 8;

/// Classes of the factory head, one a line.
pub const LABELS: &str = "red\ngreen\nblue";

/// Channels of the feature map, and length of a feature.
const FEATURES: usize = 8;

/// Shape of the feature map: height, width, channels.
const MAP: Shape = Shape::new(SIDE / 2, SIDE / 2, FEATURES as u32);

const INPUT: Quant = Quant {
    scale: 1.0 / 128.0,
    zero_point: 0,
};

const OUTPUT: Quant = Quant {
    scale: 1.0 / 32.0,
    zero_point: -128,
};

/// The model's file: pictures of 8x8 RGB pixels in, three classes out.
pub fn model() -> AlignedBytes {
    let window = Window {
        kernel: [3; 2],
        stride: [2; 2],
        dilation: [1; 2],
        pad_before: [0; 2],
        pad_after: [1; 2],
    };
    let mut writer = Writer::default();
    let data = ConvData::I8 {
        weights: writer.blob(&numbers(1, FEATURES * 3 * 3 * 3)),
        bias: writer.blob(&[0i32; FEATURES]),
        multiplier: writer.blob(&[1i32 << 30; FEATURES]),
        shift: writer.blob(&[37u8; FEATURES]),
        clamp: [-128, 127],
    };
    let input = Operand {
        tensor: 0,
        shape: Shape::new(SIDE, SIDE, 3),
        offset: 0,
        quant: INPUT,
    };
    let output = Operand {
        tensor: 1,
        shape: MAP,
        offset: 192,
        quant: OUTPUT,
    };
    writer.layer(&Layer {
        name: "conv",
        op: Op::Conv {
            window,
            groups: 1,
            data,
        },
        inputs: [input].into_iter().collect(),
        output,
    });
    let none = Blob { offset: 0, len: 0 };
    let record = HeadRecord {
        map: MAP,
        map_quant: OUTPUT,
        pool: Pool::Avg {
            multiplier: (1 << 21) / 16,
            shift: 21,
        },
        feature_quant: OUTPUT,
        features: FEATURES as u32,
        classes: 3,
        hidden: None,
        data: HeadData::F32 {
            weights: none,
            bias: none,
        },
        labels: LABELS,
        origin: HeadOrigin::Factory,
    };
    let layers = Int8Layers {
        hidden: None,
        weights: &numbers(2, 3 * FEATURES),
        bias: &[100, 0, -100],
        scale: &[0.001; 3],
    };
    let head = NewHead {
        trunk_sha256: [0; 32],
        record,
        data: NewData::I8(layers),
    };
    let manifest = Manifest {
        name: "tiny",
        source: "written by hand",
        license: "",
        converter: "tests",
        weights: WeightsOrigin::Random { seed: 0 },
        input: InputSpec {
            height: SIDE,
            width: SIDE,
            resize: ResizeRule::Squash,
            filter: Filter::Bilinear,
            order: ChannelOrder::Rgb,
            mean: [128.0; 3],
            std: [128.0; 3],
        },
        quantization: None,
        parameters: (FEATURES * (27 + 1 + 3) + 3) as u64,
        macs: (16 * FEATURES * 27 + 3 * FEATURES) as u64,
    };
    let trunk = Trunk {
        dtype: DType::I8,
        input,
        arena_bytes: 192 + 128,
        layers: 0,
        packing: None,
    };
    writer
        .finish(&manifest, trunk, Some(head))
        .expect("small enough")
}

/// An input of one class: one colour is bright, with noise from `seed`. int8, NHWC.
pub fn input(class: usize, seed: u32) -> Vec<i8> {
    let noise = numbers(1000 + seed, (SIDE * SIDE * 3) as usize);
    let value = |(i, n): (usize, &i8)| n / 4 + if i % 3 == class { 80 } else { -60 };
    noise.iter().enumerate().map(value).collect()
}

/// Fixed numbers from -127 to 127 that look random.
fn numbers(key: u32, count: usize) -> Vec<i8> {
    let number = |i: u32| {
        let mut v = i.wrapping_mul(2654435761).wrapping_add(key * 40503 + 12345);
        v = (v ^ v >> 15).wrapping_mul(2246822519);
        v = (v ^ v >> 13).wrapping_mul(3266489917);
        ((v >> 16) % 255) as i32 - 127
    };
    (0..count as u32).map(|i| number(i) as i8).collect()
}
