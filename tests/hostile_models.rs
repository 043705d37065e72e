//! Model files that are cut, flipped, or made up by an enemy who knows the checksums: an error or a model
//! that runs, never a panic.

use converter::jobs::convert::convert;
use converter::pack;
use converter::util::progress::Silent;
use edge_runtime::backend::BackendKind;
use edge_runtime::engine::Engine;
use edge_runtime::head::file::{NewData, NewHead};
use edge_runtime::head::{
    Head, HeadRecord, HeadSize, HiddenLayer, Int8Layers, MAX_HIDDEN, Pool, math,
};
use edge_runtime::model::header::{self, Header};
use edge_runtime::model::write::{Writer, encode_head, with_head};
use edge_runtime::model::{
    AlignedBytes, Blob, ConvData, DType, Family, Layer, LayerProblem, Layout, Model, ModelError,
    Op, Operand, Output, OutputFunction, Quant, Scratch, SelfCheck, Shape, Trunk, Window,
};
use edge_runtime::random::Random;
use graft_tests::{int8, reseal, source};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

static INT8: LazyLock<AlignedBytes> =
    LazyLock::new(|| convert(source(1), Some(&int8()), &Silent).unwrap().bytes);
static PACKED: LazyLock<AlignedBytes> =
    LazyLock::new(|| pack::pack(&Model::parse(&INT8).unwrap(), Family::Dsp).unwrap());
static PACKED_MVE: LazyLock<AlignedBytes> =
    LazyLock::new(|| pack::pack(&Model::parse(&INT8).unwrap(), Family::Mve).unwrap());
static FLOAT: LazyLock<AlignedBytes> =
    LazyLock::new(|| convert(source(1), None, &Silent).unwrap().bytes);
/// The same with an output of its own, and a doubt of the converter.
static LABELS: LazyLock<AlignedBytes> = LazyLock::new(|| {
    let mut source = source(1);
    source.output = OutputFunction::Sigmoid;
    source.input.std = [128.0 * 255.0; 3];
    convert(source, Some(&int8()), &Silent).unwrap().bytes
});
/// The same with a head that has a hidden layer.
static HIDDEN: LazyLock<AlignedBytes> = LazyLock::new(|| {
    let model = Model::parse(&INT8).unwrap();
    let head = AlignedBytes::copy_of(&encode_head(&hidden_head(&model)).unwrap());
    with_head(&INT8, &head).unwrap()
});

const UNITS: usize = 11;
const CLASSES: usize = 3;

/// A head with a hidden layer of arbitrary numbers.
fn hidden_head<'m>(model: &Model<'m>) -> NewHead<'m> {
    let head = model.head().unwrap();
    let leak = |len: usize| {
        (0..len)
            .map(|i| (i * 37 % 251) as i8)
            .collect::<Vec<_>>()
            .leak()
    };
    let hidden = HiddenLayer {
        weights: leak(UNITS * head.features()),
        bias: &[900; UNITS],
        multiplier: &[(1 << 30) + 12345; UNITS],
        shift: &[38; UNITS],
        quant: head.record().map_quant,
    };
    NewHead {
        trunk_sha256: *model.trunk_sha256(),
        record: HeadRecord {
            classes: CLASSES as u32,
            labels: "",
            ..*head.record()
        },
        data: NewData::I8(Int8Layers {
            hidden: Some(hidden),
            weights: leak(CLASSES * UNITS),
            bias: &[5, -6, 7],
            scale: &[0.5, 0.25, 0.125],
        }),
    }
}

/// Makes the checksum of a head file right.
fn reseal_head(bytes: &mut [u8]) {
    let sha = Sha256::new()
        .chain_update(&bytes[..64])
        .chain_update(&bytes[96..]);
    bytes[64..96].copy_from_slice(&sha.finalize());
}

/// Whatever the checks let through has to run.
fn use_it(bytes: &AlignedBytes) {
    let Ok(model) = Model::parse(bytes) else {
        return;
    };
    // Only as much work as a test can bear.
    if model.arena_bytes() > 1 << 24 || model.layers().map(|l| l.macs()).sum::<u64>() > 1 << 28 {
        return;
    }
    if model.packing().is_some()
        && let Ok(plain) = pack::unpack(&model)
    {
        assert_eq!(Model::peek_packing(&plain), None);
        return use_it(&plain);
    }
    let mut arena = vec![0; model.arena_bytes()];
    if let Ok(mut engine) = Engine::new(&model, &mut arena) {
        engine.input_mut().fill(77);
        let map = engine.run();
        if let Some(head) = model.head() {
            let (mut feature, mut logits) = (vec![0; head.features()], vec![0.0; head.classes()]);
            head.feature(map, &mut feature);
            head.logits(&feature, &mut logits);
            assert!(logits.iter().all(|l| l.is_finite()), "{logits:?}");
            math::softmax(&mut logits);
            assert!(logits.iter().all(|p| (0.0..=1.0).contains(p)), "{logits:?}");
            head.label(3);
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    for len in (0..INT8.len()).step_by(7).chain(0..200) {
        let cut = AlignedBytes::copy_of(&INT8[..len]);
        match Model::parse(&cut) {
            Err(ModelError::Truncated { have, .. }) => assert_eq!(have, len as u64),
            other => panic!("{len} bytes: {:?}", other.map(|_| ())),
        }
    }
    let mut long = INT8.to_vec();
    long.push(0);
    assert!(matches!(
        Model::parse(&AlignedBytes::copy_of(&long)),
        Err(ModelError::Trailing { .. })
    ));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let mut bytes = INT8.clone();
    let head_at = Header::read(&bytes).unwrap().head_offset() as usize;
    for i in (0..1500)
        .chain((1500..head_at).step_by(97))
        .chain(head_at..head_at + 300)
    {
        bytes[i] ^= 0x10;
        assert!(Model::parse(&bytes).is_err(), "byte {i}");
        bytes[i] ^= 0x10;
    }
    assert!(Model::parse(&bytes).is_ok());
}

#[test]
fn thousands_of_resealed_flips_do_no_harm() {
    let mut random = Random::new(99);
    let (mut refused, mut ran) = (0, 0);
    for original in [&*INT8, &*FLOAT, &*PACKED, &*PACKED_MVE, &*HIDDEN, &*LABELS] {
        let header = Header::read(original).unwrap();
        let (metadata, head_at) = (header.metadata_len as usize, header.head_offset() as usize);
        for round in 0..6000 {
            let mut bytes = original.clone();
            for _ in 0..1 + random.below(3) {
                // Metadata, head record, quantization numbers: where a flip means something.
                let at = match round % 4 {
                    0 => head_at + 96 + random.below(120),
                    1 => random.below(bytes.len()),
                    _ => header::LEN + random.below(metadata),
                };
                let at = at.min(bytes.len() - 1);
                bytes[at] = match random.below(3) {
                    0 => bytes[at] ^ (1 << (random.below(8))),
                    1 => 0xff,
                    _ => random.bits() as u8,
                };
            }
            reseal(&mut bytes);
            match Model::parse(&bytes) {
                Ok(_) => ran += 1,
                Err(e) => {
                    assert_eq!(e.to_string().lines().count(), 1);
                    refused += 1;
                }
            }
            use_it(&bytes);
        }
    }
    assert!(
        refused > 2000 && ran > 500,
        "the test must reach both sides: {refused} refused, {ran} ran"
    );
}

/// The meaning of the output stands in files of its own version, whole, with bounds that make sense; a reader never
/// takes one kind of file for the other.
#[test]
fn a_meaning_of_the_output_is_checked() {
    let with = |rule: &Output, check: Option<&SelfCheck>| {
        let good = Model::parse(&INT8).unwrap();
        let mut writer = Writer::default();
        for mut layer in good.layers().take(1) {
            let (Op::Conv { data, .. } | Op::DepthwiseConv { data, .. }) = &mut layer.op else {
                writer.layer(&layer);
                continue;
            };
            let ConvData::I8 {
                weights,
                bias,
                multiplier,
                shift,
                ..
            } = data
            else {
                panic!()
            };
            for blob in [weights, bias, multiplier, shift] {
                *blob = writer.blob(good.u8s(*blob));
            }
            writer.layer(&layer);
        }
        writer.output(rule, check, None);
        let trunk = Trunk {
            dtype: good.dtype(),
            input: good.input(),
            arena_bytes: good.arena_bytes() as u32,
            layers: 0,
            packing: None,
        };
        writer.finish(good.manifest(), trunk, None).unwrap()
    };
    let sigmoid = |clamp| Output::new(OutputFunction::Sigmoid, clamp);
    assert_eq!(with(&Output::SOFTMAX, None)[8], 2);
    let bytes = with(&sigmoid(Some([-4.0, 4.0])), None);
    assert_eq!(bytes[8], 3);
    let model = Model::parse(&bytes).unwrap();
    assert_eq!(model.output_rule(), sigmoid(Some([-4.0, 4.0])));
    assert_eq!(model.self_check(), None);

    for bounds in [[1.0, -1.0], [f32::NAN, 1.0], [f32::INFINITY; 2]] {
        let bad = with(&sigmoid(Some(bounds)), None);
        let error = Model::parse(&bad).unwrap_err().to_string();
        assert!(error.contains("bounds of the output"), "{error}");
    }
    for (bytes, version) in [(with(&Output::SOFTMAX, None), 3), (bytes, 2)] {
        let mut other = bytes.clone();
        other[8] = version;
        let error = Model::parse(&other).unwrap_err().to_string();
        assert!(error.contains("output record"), "{error}");
    }
}

#[test]
fn a_hidden_layer_is_checked_and_run() {
    let model = Model::parse(&HIDDEN).unwrap();
    let head = model.head().unwrap();
    let size = HeadSize {
        features: head.features(),
        hidden: UNITS,
        classes: CLASSES,
    };
    assert_eq!(head.size(), size);
    assert!(head.bytes().len() <= size.encoded_len_bound(0));
    // The rule of docs/reference/arithmetic.md, written out once more.
    let feature: Vec<i8> = (0..size.features)
        .map(|i| (i * 53 % 256) as u8 as i8)
        .collect();
    let mut logits = [0.0; CLASSES];
    head.logits(&feature, &mut logits);
    let zero = head.record().map_quant.zero_point as i64;
    let number = |i: usize| (i * 37 % 251) as i8 as i64;
    let units = (0..UNITS).map(|j| {
        let products =
            (0..size.features).map(|i| number(j * size.features + i) * feature[i] as i64);
        let acc = 900 + products.sum::<i64>();
        let scaled = (acc as i128 * ((1 << 30) + 12345) + (1 << 37)) >> 38;
        (scaled as i64 + zero).clamp(zero, 127)
    });
    let units: Vec<i64> = units.collect();
    assert!(units.iter().any(|u| *u > zero), "{units:?}");
    for (c, (bias, scale)) in [(5, 0.5), (-6, 0.25), (7, 0.125)].into_iter().enumerate() {
        let products = (0..UNITS).map(|j| number(c * UNITS + j) * units[j]);
        let acc = bias + products.sum::<i64>();
        assert_eq!(logits[c], acc as f32 * scale);
    }
    // Heads without one are still written as version 1.
    let version = |head: &[u8]| u16::from_le_bytes([head[8], head[9]]);
    let plain = Model::parse(&INT8).unwrap();
    let plain = plain.head().unwrap().bytes();
    assert_eq!((version(plain), version(head.bytes())), (1, 2));

    // Numbers out of range, resealed.
    let new = hidden_head(&Model::parse(&INT8).unwrap());
    let tampered = |change: &dyn Fn(&mut HiddenLayer<'_>)| {
        let mut new = new;
        if let NewData::I8(layers) = &mut new.data {
            change(layers.hidden.as_mut().unwrap());
        }
        let bytes = AlignedBytes::copy_of(&encode_head(&new).unwrap());
        Head::parse_alone(&bytes)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert_eq!(tampered(&|_| ()), Ok(()));
    let rescaling = "rescaling of the hidden units";
    let number = "number or scale of the hidden units";
    let weights = "weights outside the file";
    type Change<'c> = &'c dyn Fn(&mut HiddenLayer<'_>);
    let wrong: [(&str, Change<'_>); 9] = [
        (rescaling, &|h| h.multiplier = &[1 << 29; UNITS]),
        (rescaling, &|h| h.multiplier = &[-1; UNITS]),
        (rescaling, &|h| h.shift = &[63; UNITS]),
        (rescaling, &|h| h.shift = &[0; UNITS]),
        (number, &|h| h.quant.scale = f32::NAN),
        (number, &|h| h.quant.scale = 0.0),
        (number, &|h| h.bias = &[]),
        (number, &|h| h.bias = &[0; MAX_HIDDEN + 1]),
        (weights, &|h| h.weights = &h.weights[16..]),
    ];
    for (i, (problem, change)) in wrong.into_iter().enumerate() {
        let refused = tampered(change).unwrap_err();
        assert!(refused.contains(problem), "{i}: {refused}");
    }
    // The version says whether a hidden layer stands behind the record.
    let other = |head: &Head<'_>, version: u8| {
        let mut bytes = AlignedBytes::copy_of(head.bytes());
        bytes[8] = version;
        reseal_head(&mut bytes);
        Head::parse_alone(&bytes).map(|_| ())
    };
    assert!(matches!(other(head, 1), Err(ModelError::Metadata { .. })));
    assert_eq!(other(head, 2), Ok(()));
    assert_eq!(other(head, 3), Err(ModelError::HeadVersion { found: 3 }));
    let plain = Model::parse(&INT8).unwrap();
    assert!(other(plain.head().unwrap(), 2).is_err());
}

/// Numbers that are in range one by one, and give logits that are none: every class would be `NaN %`.
#[test]
fn no_head_has_logits_that_are_no_numbers() {
    let model = Model::parse(&INT8).unwrap();
    let features = model.head().unwrap().features();
    // The largest sums that there are, one in each direction, and one that wraps around.
    let weights: Vec<i8> = [127, -127, 127]
        .iter()
        .flat_map(|w| vec![*w; features])
        .collect();
    let with = |scale: &[f32; CLASSES], hidden: bool| {
        let mut new = hidden_head(&model);
        if let NewData::I8(layers) = &mut new.data {
            layers.scale = scale;
            layers.bias = &[i32::MAX, i32::MIN, -5];
            if !hidden {
                (layers.hidden, layers.weights) = (None, &weights);
            }
            let bytes = AlignedBytes::copy_of(&encode_head(&new).unwrap());
            return bytes;
        }
        unreachable!("it is an int8 head");
    };
    for hidden in [false, true] {
        for bad in [
            3e38,
            1e29,
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
            0.0,
            -0.0,
            -0.5,
        ] {
            for class in 0..CLASSES {
                let mut scale = [0.5; CLASSES];
                scale[class] = bad;
                let head = with(&scale, hidden);
                let error = Head::parse_alone(&head).unwrap_err();
                let expected =
                    matches!(error, ModelError::Class { class: c, .. } if c as usize == class);
                assert!(expected, "{bad}: {error}");
                let text = error.to_string();
                assert!(text.starts_with(&format!("class {class} of the head has a scale")));
                // The same inside a model.
                let whole = with_head(&INT8, &head).unwrap();
                let refused = Model::parse(&whole).map(|_| ()).unwrap_err();
                assert_eq!(refused.to_string(), text);
            }
        }
        // Large, small, and denormal ones are odd and do no harm.
        for odd in [
            [1e28; 3],
            [1e28, 1e-45, 0.5],
            [1e-45; 3],
            [f32::MIN_POSITIVE, 1e28, 1e28],
        ] {
            let head = with(&odd, hidden);
            let head = Head::parse_alone(&head).unwrap();
            for q in [i8::MIN, 0, i8::MAX] {
                let mut logits = [0.0; CLASSES];
                head.logits(&vec![q; features], &mut logits);
                assert!(logits.iter().all(|l| l.is_finite()), "{odd:?}: {logits:?}");
                math::softmax(&mut logits);
                let sum: f32 = logits.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{odd:?}: {logits:?}");
            }
        }
    }

    // A float head, of which one number is none.
    let float = Model::parse(&FLOAT).unwrap();
    let head = float.head().unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for in_bias in [false, true] {
            let mut weights = vec![0.5; head.features() * head.classes()];
            let mut bias = vec![0.5; head.classes()];
            match in_bias {
                true => bias[2] = bad,
                false => weights[3 * head.features() - 1] = bad,
            }
            let new = NewHead {
                trunk_sha256: *float.trunk_sha256(),
                record: *head.record(),
                data: NewData::F32 {
                    weights: &weights,
                    bias: &bias,
                },
            };
            let bytes = AlignedBytes::copy_of(&encode_head(&new).unwrap());
            let refused = Head::parse_alone(&bytes).map(|_| ()).unwrap_err();
            let text = refused.to_string();
            assert!(
                text.starts_with("class 2 of the head has a weight or a bias"),
                "{text}"
            );
        }
    }
}

/// Steps of activations of which int8 has too many to be numbers.
#[test]
fn no_quantization_has_values_that_are_no_numbers() {
    let model = Model::parse(&INT8).unwrap();
    let layers = model.layers().count();
    for scale in [3e38, 1.4e36, f32::INFINITY, f32::NAN, 0.0, -1.0] {
        let quant = Quant {
            scale,
            zero_point: 0,
        };
        assert!(!quant.is_sound(), "{scale}");
        let mut new = hidden_head(&model);
        new.record.feature_quant = quant;
        new.record.map_quant = quant;
        let bytes = AlignedBytes::copy_of(&encode_head(&new).unwrap());
        let refused = Head::parse_alone(&bytes)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(refused.contains("scale of the features"), "{refused}");
        let mut new = hidden_head(&model);
        new.record.pool = Pool::Avg {
            multiplier: 1,
            shift: 1,
        };
        new.record.feature_quant = quant;
        let bytes = AlignedBytes::copy_of(&encode_head(&new).unwrap());
        let refused = Head::parse_alone(&bytes)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(refused.contains("scale of the features"), "{refused}");

        // What the last layer of the trunk writes.
        let header = model.header();
        let mut writer = Writer::default();
        writer.blob(&INT8[header.weights_offset() as usize..][..header.weights_len as usize]);
        for (index, mut layer) in model.layers().enumerate() {
            if index + 1 == layers {
                layer.output.quant = quant;
            }
            writer.layer(&layer);
        }
        let trunk = Trunk {
            dtype: DType::I8,
            input: model.input(),
            arena_bytes: model.arena_bytes() as u32,
            layers: 0,
            packing: None,
        };
        let file = writer.finish(model.manifest(), trunk, None).unwrap();
        let last = ModelError::Layer {
            layer: layers as u32 - 1,
            problem: LayerProblem::Quantization,
        };
        assert_eq!(Model::parse(&file).map(|_| ()), Err(last), "{scale}");
    }
    for scale in [1e36, 1e-45] {
        let zero_point = 3;
        assert!(Quant { scale, zero_point }.is_sound());
    }
}

#[test]
fn what_is_let_through_builds_on_tract() {
    let mut random = Random::new(7);
    let header = Header::read(&INT8).unwrap();
    for _ in 0..150 {
        let mut bytes = INT8.clone();
        let at = header::LEN + random.below(header.metadata_len as usize);
        bytes[at] = random.bits() as u8;
        reseal(&mut bytes);
        if let Ok(model) = Model::parse(&bytes)
            && model.arena_bytes() < 1 << 24
        {
            for kind in BackendKind::ALL {
                let _ = kind.runtime().prepare(&model).and_then(|p| p.session());
            }
        }
    }
}

/// A kernel whose weights would need 2^64 bytes, which wraps to none.
#[test]
fn a_size_that_wraps_is_refused() {
    let good = Model::parse(&INT8).unwrap();
    let quant = good.input().quant;
    let operand = |tensor, shape: Shape, offset| Operand {
        tensor,
        shape,
        offset,
        quant,
    };
    let input = operand(0, good.input().shape, 0);
    let wide = Shape::new(1, 1, 1 << 28);
    let wide = operand(1, wide, 4096);
    let output = operand(2, Shape::new(1, 1, 4096), 4096 + (1 << 28));
    let mut writer = Writer::default();
    let empty = writer.blob::<i8>(&[]);
    let slice = Op::Slice {
        start: [0; 3],
        step: [1; 2],
    };
    let small = operand(1, Shape::new(1, 1, 1), 4096);
    writer.layer(&Layer {
        name: "slice",
        op: slice,
        inputs: [input].into_iter().collect(),
        output: small,
    });
    let pad = Op::Pad {
        before: [0; 3],
        after: [0, 0, (1 << 28) - 1],
    };
    let wide = Operand {
        tensor: 2,
        offset: 8192,
        ..wide
    };
    writer.layer(&Layer {
        name: "pad",
        op: pad,
        inputs: [small].into_iter().collect(),
        output: wide,
    });
    let numbers = [1i32 << 30; 4096];
    let data = ConvData::I8 {
        weights: empty,
        bias: writer.blob(&numbers),
        multiplier: writer.blob(&numbers),
        shift: writer.blob(&[31u8; 4096]),
        clamp: [-128, 127],
    };
    let window = Window {
        kernel: [4096; 2],
        stride: [4096; 2],
        pad_before: [4095; 2],
        ..Window::POINT
    };
    writer.layer(&Layer {
        name: "conv",
        op: Op::Conv {
            window,
            groups: 1,
            data,
        },
        inputs: [wide].into_iter().collect(),
        output: Operand {
            tensor: 3,
            offset: 8192 + (1 << 28),
            ..output
        },
    });
    let trunk = Trunk {
        dtype: DType::I8,
        input,
        arena_bytes: 1 << 29,
        layers: 0,
        packing: None,
    };
    let file = writer.finish(good.manifest(), trunk, None).unwrap();
    assert_eq!(
        Model::parse(&file).unwrap_err(),
        ModelError::Layer {
            layer: 2,
            problem: LayerProblem::Weights
        }
    );
}

/// A model of one local response normalization, of size 5 on `channels` channels, with a table of equal entries.
fn normalizes(
    channels: u32,
    entries: usize,
    entry: i32,
    [index_shift, shift]: [u8; 2],
) -> Option<LayerProblem> {
    let good = Model::parse(&INT8).unwrap();
    let operand = |tensor| Operand {
        tensor,
        shape: Shape::new(2, 3, channels),
        offset: tensor * 1024,
        quant: good.input().quant,
    };
    let mut writer = Writer::default();
    let op = Op::LocalResponseNorm {
        size: 5,
        float: [0.0; 3],
        table: writer.blob(&vec![entry; entries]),
        index_shift,
        shift,
    };
    writer.layer(&Layer {
        name: "norm",
        op,
        inputs: [operand(0)].into_iter().collect(),
        output: operand(1),
    });
    let trunk = Trunk {
        dtype: DType::I8,
        input: operand(0),
        arena_bytes: 2048,
        layers: 0,
        packing: None,
    };
    let file = writer.finish(good.manifest(), trunk, None).unwrap();
    let model = match Model::parse(&file) {
        Ok(model) => model,
        Err(ModelError::Layer { problem, .. }) => return Some(problem),
        Err(other) => panic!("{other}"),
    };
    // The largest sums that there are, and the smallest.
    for fill in [i8::MIN, i8::MAX, good.input().quant.zero_point] {
        let mut arena = vec![0; 2048];
        let mut engine = Engine::new(&model, &mut arena).unwrap();
        engine.input_mut().fill(fill);
        engine.run();
    }
    None
}

#[test]
fn tables_of_normalizations_are_as_long_as_their_sums_need() {
    let (weights, numbers) = (
        Some(LayerProblem::Weights),
        Some(LayerProblem::Quantization),
    );
    // 5 * 255^2 = 325125 is 19 * 2^14 and more, 2 * 255^2 = 130050 is 31 * 2^12 and more.
    for (channels, bits, entries) in [
        (64, 4, 14 * 16 + 19 + 2),
        (2, 4, 12 * 16 + 31 + 2),
        (64, 0, 18 + 1 + 2),
        (64, 7, 11 * 128 + 158 + 2),
    ] {
        let of = |entries| normalizes(channels, entries, 1 << 22, [bits, 30]);
        assert_eq!(of(entries), None, "{channels} channels, {bits} bits");
        assert_eq!([of(entries - 1), of(entries + 1), of(0)], [weights; 3]);
    }
    // Files of before: 257 evenly spaced entries.
    assert_eq!(normalizes(64, 257, 1 << 22, [11, 1]), None);
    assert_eq!(normalizes(64, 256, 1 << 22, [11, 1]), weights);
    for shifts in [
        [8, 20],
        [10, 20],
        [31, 20],
        [255, 20],
        [11, 0],
        [11, 31],
        [4, 0],
        [4, 31],
    ] {
        assert_eq!(normalizes(64, 257, 1, shifts), numbers, "{shifts:?}");
    }
    for entry in [-1, (1 << 22) + 1, i32::MIN, i32::MAX] {
        assert_eq!(normalizes(64, 245, entry, [4, 20]), numbers, "{entry}");
    }
}

/// The packed model with the first packed layer's numbers changed.
fn tampered(change: impl Fn(&mut ConvData, &mut Trunk)) -> Result<(), ModelError> {
    let good = Model::parse(&PACKED).unwrap();
    let mut writer = Writer::default();
    let mut trunk = Trunk {
        dtype: DType::I8,
        input: good.input(),
        arena_bytes: good.arena_bytes() as u32,
        layers: 0,
        packing: good.packing().copied(),
    };
    // All weights as one blob first, so that the layers' own ranges stay right.
    let header = good.header();
    writer.blob(&PACKED[header.weights_offset() as usize..][..header.weights_len as usize]);
    let mut done = false;
    for mut layer in good.layers() {
        if let Op::Conv { data, .. } | Op::DepthwiseConv { data, .. } = &mut layer.op
            && matches!(data, ConvData::Packed { .. })
            && !done
        {
            change(data, &mut trunk);
            done = true;
        }
        writer.layer(&layer);
    }
    assert!(done);
    let file = writer.finish(good.manifest(), trunk, None).unwrap();
    Model::parse(&file).map(|_| ())
}

#[test]
fn a_packed_layer_is_checked_field_by_field() {
    let problem = |change: fn(&mut ConvData)| match tampered(|data, _| change(data)) {
        Err(ModelError::Layer { layer: 0, problem }) => Some(problem),
        Ok(()) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(|_| ()), None);
    macro_rules! with {
        ($field:ident, $change:expr) => {
            problem(|data| {
                if let ConvData::Packed { $field, .. } = data {
                    $change($field)
                }
            })
        };
    }
    let scratch = Some(LayerProblem::Scratch);
    assert_eq!(with!(scratch, |s: &mut Scratch| s.len += 16), scratch);
    assert_eq!(with!(scratch, |s: &mut Scratch| s.len = u32::MAX), scratch);
    assert_eq!(
        with!(scratch, |s: &mut Scratch| s.offset = 1 << 31),
        scratch
    );
    assert_eq!(with!(scratch, |s: &mut Scratch| s.offset += 1), scratch);
    // On its own input, or its own output: one of them starts at 0 in this model, the other follows.
    assert_eq!(with!(scratch, |s: &mut Scratch| s.offset = 0), scratch);
    let weights = Some(LayerProblem::Weights);
    assert_eq!(with!(weights, |b: &mut Blob| b.len -= 1), weights);
    assert_eq!(with!(weights, |b: &mut Blob| b.offset = 1 << 31), weights);
    assert_eq!(with!(channels, |b: &mut Blob| b.len -= 16), weights);
    let numbers = Some(LayerProblem::Quantization);
    assert_eq!(with!(channels, |b: &mut Blob| b.offset += 16), numbers);
    assert_eq!(with!(input_shift, |s: &mut u8| *s = 8 - *s), numbers);
    assert_eq!(with!(input_shift, |s: &mut u8| *s = 31), numbers);
    assert_eq!(with!(clamp, |c: &mut [i8; 2]| *c = [1, 0]), numbers);
    let layout = Some(LayerProblem::Layout);
    assert_eq!(
        with!(layout, |l: &mut Layout| *l = Layout::DspDepthwise),
        layout
    );
    let unnamed = tampered(|_, trunk| trunk.packing = None);
    assert!(matches!(
        unnamed,
        Err(ModelError::Layer {
            problem: LayerProblem::Layout,
            ..
        })
    ));
    let arena = tampered(|_, trunk| trunk.packing.as_mut().unwrap().arena_bytes = u32::MAX);
    assert!(matches!(arena, Err(ModelError::Value { .. })));
}

/// The scratch of a layer must not lie on a tensor that only later layers read.
#[test]
fn scratch_that_destroys_a_waiting_tensor_is_refused() {
    let good = Model::parse(&PACKED).unwrap();
    let layers: Vec<_> = good.layers().collect();
    // A tensor that waits while a packed layer runs that neither reads nor writes it.
    let (by, victim) = (0..layers.len())
        .filter(|&by| layers[by].scratch().is_some())
        .find_map(|by| {
            let waiting = layers[by + 1..]
                .iter()
                .flat_map(|l| &l.inputs)
                .find(|o| (o.tensor as usize) < by + 1 && !layers[by].inputs.contains(o))?;
            Some((by, *waiting))
        })
        .expect("the network has a branch");
    let mut writer = Writer::default();
    let header = good.header();
    writer.blob(&PACKED[header.weights_offset() as usize..][..header.weights_len as usize]);
    for (index, mut layer) in layers.into_iter().enumerate() {
        if let Op::Conv { data, .. } | Op::DepthwiseConv { data, .. } = &mut layer.op
            && let ConvData::Packed { scratch, .. } = data
            && index == by
        {
            scratch.offset = victim.offset;
        }
        writer.layer(&layer);
    }
    let trunk = Trunk {
        dtype: DType::I8,
        input: good.input(),
        arena_bytes: (good.arena_bytes() + (1 << 20)) as u32,
        layers: 0,
        packing: good.packing().copied(),
    };
    let file = writer.finish(good.manifest(), trunk, None).unwrap();
    match Model::parse(&file) {
        Err(ModelError::Layer {
            problem: LayerProblem::Arena | LayerProblem::Scratch,
            ..
        }) => {}
        other => panic!("{:?}", other.map(|_| ())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), magic: bool) {
        if magic && bytes.len() >= 10 {
            bytes[..8].copy_from_slice(&header::MAGIC);
            bytes[8..10].copy_from_slice(&header::VERSION.to_le_bytes());
        }
        prop_assert!(Model::parse(&AlignedBytes::copy_of(&bytes)).is_err());
    }
}
