//! The shared models; skipped aloud unless the environment variable GRAFT_SHARED names their folder.

use super::super::{External, Imported, decode, import, pb, read};
use super::lowered::{self, error, to_hwc};
use crate::graph::reference::evaluate;
use crate::graph::{Op, Shape};
use crate::import::shared_data::{npy, shared};
use crate::import::values::chunks;
use std::path::Path;

fn load(folder: &Path, name: &str) -> Imported {
    read(&folder.join("models").join(name)).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn sizes_are_the_published_ones() {
    let Some(folder) = shared() else { return };
    // Name, MACs in the unit of the second number, input, classes, softmax.
    let expected = [
        ("resnet20_cifar10.onnx", 40.6, 1e6, (32, 3), 10, false),
        ("resnet56_cifar10.onnx", 125.5, 1e6, (32, 3), 10, false),
        ("mlperf-tiny/resnet8.onnx", 12.5, 1e6, (32, 3), 10, true),
        (
            "mlperf-tiny/vww_mobilenet_v1_025_96.onnx",
            7.49,
            1e6,
            (96, 3),
            2,
            true,
        ),
        (
            "onnx-light/light_bvlc_alexnet.onnx",
            655.0,
            1e6,
            (224, 3),
            1000,
            true,
        ),
        (
            "onnx-light/light_inception_v1.onnx",
            1.43,
            1e9,
            (224, 3),
            1000,
            true,
        ),
        (
            "onnx-light/light_shufflenet.onnx",
            125.0,
            1e6,
            (224, 3),
            1000,
            true,
        ),
        (
            "onnx-light/light_vgg19.onnx",
            19.6,
            1e9,
            (224, 3),
            1000,
            true,
        ),
        (
            "onnx-light/light_squeezenet.onnx",
            349.0,
            1e6,
            (224, 3),
            1000,
            true,
        ),
        (
            "onnx-light/light_resnet50.onnx",
            4.09,
            1e9,
            (224, 3),
            1000,
            true,
        ),
        (
            "onnx-light/light_densenet121.onnx",
            2.83,
            1e9,
            (224, 3),
            1000,
            false,
        ),
        (
            "onnx-light/light_inception_v2.onnx",
            2.02,
            1e9,
            (224, 3),
            1000,
            true,
        ),
    ];
    for (name, macs, unit, (side, channels), classes, softmax) in expected {
        let model = load(&folder, name);
        let found = model.graph.macs() as f64 / unit;
        // The last digit given is rounded.
        let digits = format!("{macs}").split('.').nth(1).map_or(0, str::len) as i32;
        assert!(
            (found - macs).abs() <= 0.5001 * 10f64.powi(-digits),
            "{name}: {found}, not {macs}"
        );
        assert_eq!(
            model.graph.input_shape(),
            Shape::new(side, side, channels),
            "{name}"
        );
        assert_eq!(
            model.graph.nodes[model.graph.output].shape,
            Shape::new(1, 1, classes),
            "{name}"
        );
        assert_eq!(model.ends_in_softmax(), softmax, "{name}");
        assert!(model.warnings.is_empty(), "{name}: {:?}", model.warnings);
        let mut names: Vec<&str> = model.graph.nodes.iter().map(|n| n.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(
            names.len(),
            model.graph.nodes.len(),
            "{name}: names are not unique"
        );
    }
}

#[test]
fn parameters_of_the_residual_networks() {
    let Some(folder) = shared() else { return };
    for (name, parameters) in [
        ("resnet20_cifar10.onnx", 0.27e6),
        ("resnet56_cifar10.onnx", 0.85e6),
    ] {
        let graph = load(&folder, name).graph;
        // The bias that the graph gives every convolution is not in the network before a batch norm.
        let zero = |n: &crate::graph::Node| match &n.op {
            Op::Conv(c) if c.bias.iter().all(|&b| b == 0.0) => c.bias.len(),
            _ => 0,
        };
        let found = graph.parameters() as f64 - graph.nodes.iter().map(zero).sum::<usize>() as f64;
        assert!((found - parameters).abs() <= 0.005e6, "{name}: {found}");
    }
}

#[test]
fn logits_of_the_residual_networks() {
    let Some(folder) = shared() else { return };
    let records = std::fs::read(folder.join("reference/cifar10_test.bin")).unwrap();
    for name in ["resnet20", "resnet56"] {
        let graph = load(&folder, &format!("{name}_cifar10.onnx")).graph;
        let expected = npy(&folder.join(format!("reference/{name}_logits.npy")));
        let input = |record: &[u8]| {
            let pixel = |k: usize| {
                let (place, c) = (k / 3, k % 3);
                let v = f32::from(record[1 + c * 1024 + place]) / 255.0;
                (v - [0.485, 0.456, 0.406][c]) / [0.229, 0.224, 0.225][c]
            };
            (0..3072).map(pixel).collect::<Vec<f32>>()
        };
        let inputs: Vec<Vec<f32>> = records.chunks_exact(3073).take(100).map(input).collect();
        // Two as the graph's definition says, all through the lowering.
        let mut found: Vec<Vec<f32>> = inputs[..2].iter().map(|x| evaluate(&graph, x)).collect();
        found.extend(lowered::evaluate(graph, &inputs));
        let rows = expected.chunks(10).take(2).chain(expected.chunks(10));
        let differences = found.iter().zip(rows).flat_map(|(a, b)| {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).map(|(a, b)| (a - b).abs())
        });
        let worst = differences.fold(0.0, f32::max);
        eprintln!("{name}: logits of 100 pictures within {worst:.1e}");
        assert!(worst < 1e-4, "{name}: {worst}");
    }
}

#[test]
fn probabilities_of_the_mlperf_networks() {
    let Some(folder) = shared() else { return };
    let check = |name: &str,
                 graph: &crate::graph::Graph,
                 input: &[f32],
                 expected: &[f32],
                 tolerance: f32| {
        let logits = evaluate(graph, input);
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e: Vec<f32> = logits.iter().map(|v| (v - top).exp()).collect();
        for (found, expected) in e.iter().map(|v| v / e.iter().sum::<f32>()).zip(expected) {
            assert!(
                (found - expected).abs() < tolerance,
                "{name}: {found}, not {expected}"
            );
        }
    };
    let graph = load(&folder, "mlperf-tiny/resnet8.onnx").graph;
    let expected = npy(&folder.join("reference/resnet8_float_probs.npy"));
    let records = std::fs::read(folder.join("reference/cifar10_test.bin")).unwrap();
    for (i, record) in records.chunks_exact(3073).take(5).enumerate() {
        let input: Vec<f32> = (0..3072)
            .map(|k| f32::from(record[1 + k % 3 * 1024 + k / 3]))
            .collect();
        check("resnet8", &graph, &input, &expected[i * 10..][..10], 1e-4);
    }
    let graph = load(&folder, "mlperf-tiny/vww_mobilenet_v1_025_96.onnx").graph;
    let expected = npy(&folder.join("reference/vww_float_probs.npy"));
    let pixels = std::fs::read(folder.join("reference/vww_inputs.npy")).unwrap();
    let pixels = &pixels[pixels.len() - 20 * 96 * 96 * 3..];
    for (i, picture) in pixels.chunks_exact(96 * 96 * 3).take(3).enumerate() {
        let input: Vec<f32> = picture.iter().map(|&v| f32::from(v) / 255.0).collect();
        check("vww", &graph, &input, &expected[i * 2..][..2], 1e-4);
    }
}

/// Fills the weights as `onnx-light/random/fill.py` specifies.
fn randomize(model: &mut pb::ModelProto) {
    let graph = model.graph.as_mut().unwrap();
    let mut filled = vec![];
    let nodes = graph.node.iter().filter(|n| n.op_type == "ConstantOfShape");
    for (k, node) in (0u64..).zip(nodes) {
        let shape = graph
            .initializer
            .iter()
            .find(|i| i.name == node.input[0])
            .unwrap();
        let dims: Vec<i64> = if shape.raw_data.is_empty() {
            shape.int64_data.clone()
        } else {
            chunks(&shape.raw_data, i64::from_le_bytes)
        };
        let n: i64 = dims.iter().product();
        let fan_in: i64 = dims.iter().skip(1).product();
        let spread = (3.0 / fan_in as f64).sqrt() as f32;
        let number = |i: u64| {
            let mut z = ((k << 32).wrapping_add(i + 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let u = ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32;
            if dims.len() >= 2 {
                (2.0 * u - 1.0) * spread
            } else {
                0.75 + 0.5 * u
            }
        };
        filled.push(super::build::floats(
            &node.output[0],
            &dims,
            &(0..n as u64).map(number).collect::<Vec<_>>(),
        ));
    }
    graph.node.retain(|n| n.op_type != "ConstantOfShape");
    graph.initializer.extend(filled);
}

#[test]
fn logits_of_random_weights() {
    let Some(folder) = shared() else { return };
    let folder = folder.join("models/onnx-light");
    for name in [
        "bvlc_alexnet",
        "vgg19",
        "inception_v1",
        "inception_v2",
        "resnet50",
        "densenet121",
        "squeezenet",
        "shufflenet",
    ] {
        let file = std::fs::read(folder.join(format!("light_{name}.onnx"))).unwrap();
        let mut proto = decode(&file).unwrap();
        randomize(&mut proto);
        let graph = import(Ok(proto), External::new(None))
            .unwrap_or_else(|e| panic!("{e}"))
            .graph;
        let n = graph.input_shape().len();
        let input: Vec<f32> = (0..n).map(|i| (i as f64 / n as f64) as f32).collect();
        let input = to_hwc(&input, graph.input_shape().c as usize);
        let found = lowered::evaluate(graph, &[input]);
        let expected = npy(&folder.join(format!("random/light_{name}_logits.npy")));
        let error = error(&found[0], &expected);
        eprintln!("light_{name}: logits within {error:.1e} of their standard deviation");
        assert!(error < 1e-4, "{name}: {error}");
    }
}
