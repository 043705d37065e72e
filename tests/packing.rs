//! Packing for a microcontroller changes where the numbers lie and nothing else.

use converter::graph::{ConvWeights, Graph, Op as GraphOp, Window};
use converter::jobs::convert::convert;
use converter::pack::{PackError, pack, unpack};
use converter::util::progress::Silent;
use edge_runtime::backend::BackendKind;
use edge_runtime::engine::{Engine, EngineError};
use edge_runtime::model::header::Header;
use edge_runtime::model::write::with_head;
use edge_runtime::model::{
    Activation, AlignedBytes, ConvData, Doubt, Family, Layout, Model, Op, OutputFunction, Shape,
};
use edge_runtime::random::Random;
use graft_tests::{SIDE, int8, reseal, source};

fn model(seed: u64) -> AlignedBytes {
    convert(source(seed), Some(&int8()), &Silent).unwrap().bytes
}

#[test]
fn unpacking_gives_the_same_bytes_and_the_identity_stays() {
    for seed in 0..6 {
        let bytes = model(seed);
        let plain = Model::parse(&bytes).unwrap();
        for family in [Family::Dsp, Family::Mve] {
            let packed_bytes = pack(&plain, family).unwrap();
            let packed = Model::parse(&packed_bytes).unwrap();
            assert_eq!(packed.trunk_sha256(), plain.trunk_sha256());
            assert_ne!(packed.header().sha256, plain.header().sha256);
            assert_eq!(packed.packing().unwrap().family, family);
            assert_eq!(packed.manifest(), plain.manifest());
            assert_eq!(
                packed.head().unwrap().bytes(),
                plain.head().unwrap().bytes()
            );
            assert_eq!(unpack(&packed).unwrap()[..], bytes[..]);
        }
        assert_eq!(unpack(&plain).unwrap()[..], bytes[..]);
    }
}

/// What the file says of its output and of the converter's doubts goes along.
#[test]
fn packing_keeps_what_the_output_means() {
    let mut labels = source(1);
    labels.output = OutputFunction::Sigmoid;
    // Pixels that are 255 times too small: the converter doubts its work.
    labels.input.std = [128.0 * 255.0; 3];
    let bytes = convert(labels, Some(&int8()), &Silent).unwrap().bytes;
    let plain = Model::parse(&bytes).unwrap();
    assert_eq!(plain.output_rule().function, OutputFunction::Sigmoid);
    assert!(plain.self_check().unwrap().has(Doubt::Constant));
    for family in [Family::Dsp, Family::Mve] {
        let packed_bytes = pack(&plain, family).unwrap();
        let packed = Model::parse(&packed_bytes).unwrap();
        assert_eq!(packed.output_rule(), plain.output_rule());
        assert_eq!(packed.self_check(), plain.self_check());
        assert_eq!(unpack(&packed).unwrap()[..], bytes[..]);
    }
}

/// Three depthwise layers, the last one of a kind that has no layout, and convolutions between.
fn separable() -> Graph {
    let mut random = Random::new(3);
    let mut graph = Graph::new(Shape::new(SIDE, SIDE, 3));
    let mut last = 0;
    for (name, kernel, stride, groups, out) in [
        ("stem", 3, 2, 1, 7),
        ("depthwise", 3, 1, 7, 7),
        ("pointwise", 1, 1, 1, 13),
        ("strided", 3, 2, 13, 13),
        ("wide", 5, 1, 13, 13),
        ("last", 1, 1, 1, 8),
    ] {
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pad_before: [(kernel - 1) / 2; 2],
            pad_after: [(kernel - 1) / 2; 2],
        };
        let taps = (kernel * kernel * graph.nodes[last].shape.c) as usize / groups;
        let conv = ConvWeights {
            window,
            groups,
            out_channels: out,
            weights: (0..taps * out).map(|_| random.between(-1.0, 1.0)).collect(),
            bias: (0..out).map(|_| random.between(-1.0, 1.0)).collect(),
            activation: Activation::Relu,
            statistics: None,
            weight_scales: None,
        };
        last = graph.push(name, GraphOp::Conv(conv), &[last]).unwrap();
    }
    graph
}

#[test]
fn both_layouts_are_used_and_what_has_none_stays() {
    let mut mobile = source(1);
    mobile.graph = separable();
    let bytes = convert(mobile, Some(&int8()), &Silent).unwrap().bytes;
    let plain = Model::parse(&bytes).unwrap();
    let packed = pack(&plain, Family::Dsp).unwrap();
    assert_eq!(
        unpack(&Model::parse(&packed).unwrap()).unwrap()[..],
        bytes[..]
    );
    let packed = Model::parse(&packed).unwrap();
    let (mut conv, mut depthwise, mut left) = (0, 0, 0);
    for layer in packed.layers() {
        match (&layer.op, layer.conv_data()) {
            (
                _,
                Some(ConvData::Packed {
                    layout: Layout::DspConv,
                    ..
                }),
            ) => conv += 1,
            (
                _,
                Some(ConvData::Packed {
                    layout: Layout::DspDepthwise,
                    ..
                }),
            ) => depthwise += 1,
            (Op::DepthwiseConv { window, .. }, Some(_)) => {
                assert_eq!(window.kernel, [5, 5]);
                left += 1;
            }
            _ => {}
        }
    }
    assert!(
        (conv, depthwise, left) == (3, 2, 1),
        "{conv} {depthwise} {left}"
    );
    // Scratch is put into gaps first.
    let scratch: usize = packed
        .layers()
        .filter_map(|l| l.scratch())
        .map(|s| s.len as usize)
        .sum();
    let grown = packed.arena_bytes() - plain.arena_bytes();
    assert!(grown < scratch / 2, "{grown} of {scratch}");
}

#[test]
fn mve_has_layouts_for_every_depthwise_kernel() {
    let mut mobile = source(1);
    mobile.graph = separable();
    let bytes = convert(mobile, Some(&int8()), &Silent).unwrap().bytes;
    let plain = Model::parse(&bytes).unwrap();
    let packed = pack(&plain, Family::Mve).unwrap();
    let packed = Model::parse(&packed).unwrap();
    assert_eq!(unpack(&packed).unwrap()[..], bytes[..]);
    let layouts = packed.layers().filter_map(|l| match l.conv_data() {
        Some(ConvData::Packed { layout, .. }) => Some(*layout),
        _ => None,
    });
    let (depthwise, conv): (Vec<_>, Vec<_>) = layouts.partition(|l| *l == Layout::MveDepthwise);
    assert_eq!((conv.len(), depthwise.len()), (3, 3));
    assert!(conv.iter().all(|l| *l == Layout::MveConv));
}

#[test]
fn a_head_moves_between_the_packed_file_and_its_source() {
    let bytes = model(2);
    let plain = Model::parse(&bytes).unwrap();
    let packed = pack(&plain, Family::Dsp).unwrap();
    let head = plain.head().unwrap().bytes();
    assert!(Model::parse(&with_head(&packed, head).unwrap()).is_ok());
    let foreign = model(3);
    let foreign = Model::parse(&foreign).unwrap();
    assert!(Model::parse(&with_head(&packed, foreign.head().unwrap().bytes()).unwrap()).is_err());
}

#[test]
fn the_host_says_what_it_cannot_run() {
    let bytes = model(4);
    let packed = pack(&Model::parse(&bytes).unwrap(), Family::Dsp).unwrap();
    let packed = Model::parse(&packed).unwrap();
    let mut arena = AlignedBytes::zeroed(packed.arena_bytes());
    let error = Engine::new(&packed, bytemuck::cast_slice_mut(&mut arena))
        .err()
        .unwrap();
    assert!(matches!(error, EngineError::Layout { .. }), "{error}");
    for kind in BackendKind::ALL {
        assert!(kind.runtime().prepare(&packed).is_err(), "{kind:?}");
    }
    assert!(matches!(
        pack(&packed, Family::Dsp),
        Err(PackError::Packed(Family::Dsp))
    ));
    let float = convert(source(4), None, &Silent).unwrap().bytes;
    assert!(matches!(
        pack(&Model::parse(&float).unwrap(), Family::Dsp),
        Err(PackError::Float)
    ));
}

#[test]
fn a_packed_file_with_other_weights_than_its_identity_says_is_refused() {
    let bytes = model(5);
    let mut packed = pack(&Model::parse(&bytes).unwrap(), Family::Dsp).unwrap();
    let model = Model::parse(&packed).unwrap();
    let weights = model
        .layers()
        .find_map(|l| match l.conv_data() {
            Some(&ConvData::Packed { weights, .. }) => Some(weights),
            _ => None,
        })
        .unwrap();
    let at = model.header().weights_offset() as usize + weights.offset as usize;
    packed[at] ^= 1;
    graft_tests::reseal(&mut packed);
    let tampered = Model::parse(&packed).unwrap();
    assert!(matches!(unpack(&tampered), Err(PackError::Identity)));
}

/// What a packed file holds besides the model's numbers, a device computes with: it must be what packing puts there.
#[test]
fn bytes_that_only_the_packed_file_has() {
    let mut mobile = source(1);
    mobile.graph = separable();
    let bytes = convert(mobile, Some(&int8()), &Silent).unwrap().bytes;
    let plain = Model::parse(&bytes).unwrap();
    for family in [Family::Dsp, Family::Mve] {
        let good = pack(&plain, family).unwrap();
        let start = Header::read(&good).unwrap().weights_offset() as usize;
        let model = Model::parse(&good).unwrap();
        let weights = model.layers().find_map(|l| match l.conv_data() {
            // The first convolution has 3 x 3 x 3 taps, which no vector is full of.
            Some(ConvData::Packed { weights, .. }) => Some(*weights),
            _ => None,
        });
        let weights = weights.unwrap();
        let mut foreign = 0;
        for at in 0..weights.len as usize {
            let mut changed = good.clone();
            let byte = &mut changed[start + weights.offset as usize + at];
            if *byte != 0 {
                continue;
            }
            *byte = 1;
            reseal(&mut changed);
            let Ok(changed) = Model::parse(&changed) else {
                continue;
            };
            assert!(matches!(unpack(&changed), Err(PackError::Identity)));
            foreign += 1;
        }
        assert!(foreign > 0, "{family:?}");
    }
}
