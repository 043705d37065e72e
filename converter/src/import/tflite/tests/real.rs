//! The shared models; skipped aloud unless the environment variable GRAFT_SHARED names their folder.

use super::super::schema::{self, BuiltinOperator as Code, TensorType};
use super::super::{Imported, read};
use crate::graph::reference::evaluate;
use crate::graph::{Activation, ConvWeights, Graph, Node, Op, Quant, Shape};
use crate::import::shared_data::{npy, npy_bytes, shared};
use crate::import::{PixelRule, onnx};
use crate::passes::simplify;
use std::path::Path;

fn load(folder: &Path, name: &str) -> Imported {
    read(&folder.join("models").join(name)).unwrap_or_else(|e| panic!("{e}"))
}

/// CIFAR-10 pictures, HWC, 0 to 255.
fn cifar(folder: &Path, count: usize) -> Vec<Vec<f32>> {
    let records = std::fs::read(folder.join("reference/cifar10_test.bin")).unwrap();
    let picture = |record: &[u8]| {
        let pixel = |k: usize| f32::from(record[1 + k % 3 * 1024 + k / 3]);
        (0..3072).map(pixel).collect()
    };
    records
        .chunks_exact(3073)
        .take(count)
        .map(picture)
        .collect()
}

/// 96x96 pictures, HWC, 0 to 255.
fn vww(folder: &Path) -> Vec<Vec<f32>> {
    let pixels = npy_bytes(&folder.join("reference/vww_inputs.npy"), "|u1");
    let float = |p: &[u8]| p.iter().map(|&v| v.into()).collect();
    pixels.chunks_exact(96 * 96 * 3).map(float).collect()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let e: Vec<f32> = logits.iter().map(|v| (v - top).exp()).collect();
    e.iter().map(|v| v / e.iter().sum::<f32>()).collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

#[test]
fn resnet8_is_the_onnx_file() {
    let Some(folder) = shared() else { return };
    let tflite = load(&folder, "mlperf-tiny/pretrainedResnet.tflite");
    let onnx = onnx::read(&folder.join("models/mlperf-tiny/resnet8.onnx")).unwrap();
    assert_eq!(tflite.graph.macs(), onnx.graph.macs());
    assert_eq!(tflite.graph.parameters(), onnx.graph.parameters());
    assert!(tflite.ends_in_softmax() && tflite.warnings.is_empty() && tflite.pixels.is_none());
    let probabilities = npy(&folder.join("reference/resnet8_float_probs.npy"));
    for (i, x) in cifar(&folder, 20).iter().enumerate() {
        let (a, b) = (evaluate(&tflite.graph, x), evaluate(&onnx.graph, x));
        assert!(worst(&a, &b) < 1e-4, "record {i}: {a:?}, not {b:?}");
        let expected = &probabilities[i * 10..][..10];
        assert!(worst(&softmax(&a), expected) < 1e-4, "record {i}");
    }
}

#[test]
fn probabilities_of_the_float_wake_word() {
    let Some(folder) = shared() else { return };
    let model = load(&folder, "mlperf-tiny/vww_96_float.tflite");
    assert_eq!(model.graph.input_shape(), Shape::new(96, 96, 3));
    assert!(model.ends_in_softmax() && model.warnings.is_empty());
    let expected = npy(&folder.join("reference/vww_float_probs.npy"));
    for (i, x) in vww(&folder).iter().enumerate() {
        let x: Vec<f32> = x.iter().map(|v| v / 255.0).collect();
        let found = softmax(&evaluate(&model.graph, &x));
        assert!(worst(&found, &expected[i * 2..][..2]) < 1e-4, "picture {i}");
    }
}

/// What a convolution of the file stores, in the order of the graph's weights.
struct FileWeights {
    integers: Vec<i32>,
    scales: Vec<f32>,
}

/// The convolutions of a file, read through the schema alone.
fn weights(bytes: &[u8]) -> Vec<FileWeights> {
    let model = schema::root_as_model(bytes).unwrap();
    let graph = model.subgraphs().unwrap().get(0);
    let mut found = vec![];
    for op in graph.operators().unwrap() {
        let code = model
            .operator_codes()
            .unwrap()
            .get(op.opcode_index() as usize);
        let code = Code(code.deprecated_builtin_code().into());
        if ![
            Code::CONV_2D,
            Code::DEPTHWISE_CONV_2D,
            Code::FULLY_CONNECTED,
        ]
        .contains(&code)
        {
            continue;
        }
        let tensor = graph
            .tensors()
            .unwrap()
            .get(op.inputs().unwrap().get(1) as usize);
        let data = model
            .buffers()
            .unwrap()
            .get(tensor.buffer() as usize)
            .data()
            .unwrap();
        let q = tensor.quantization().unwrap();
        let scales: Vec<f32> = q.scale().unwrap().iter().collect();
        let zero = q.zero_point().unwrap().get(0) as i32;
        let integer = |b: u8| match tensor.type_() {
            TensorType::INT8 => i32::from(b as i8) - zero,
            _ => i32::from(b) - zero,
        };
        let mut integers: Vec<i32> = data.iter().map(integer).collect();
        let shape: Vec<usize> = tensor.shape().unwrap().iter().map(|d| d as usize).collect();
        let mut outputs = shape[0];
        if code == Code::DEPTHWISE_CONV_2D {
            outputs = shape[3];
            let taps = shape[1] * shape[2];
            integers = (0..integers.len())
                .map(|i| integers[i % taps * outputs + i / taps])
                .collect();
        }
        let scales = if scales.len() == 1 {
            vec![scales[0]; outputs]
        } else {
            scales
        };
        found.push(FileWeights { integers, scales });
    }
    found
}

fn convs(graph: &Graph) -> Vec<&ConvWeights> {
    let conv = |n: &'_ Node| matches!(n.op, Op::Conv(_));
    let nodes = graph.nodes.iter().filter(|n| conv(n));
    nodes
        .map(|n| match &n.op {
            Op::Conv(c) => c,
            _ => unreachable!(),
        })
        .collect()
}

#[test]
fn quantized_files_keep_their_weights_and_scales() {
    let Some(folder) = shared() else { return };
    // Name, convolutions and fully connected layers.
    for (name, count) in [
        ("mlperf-tiny/pretrainedResnet_quant.tflite", 10),
        ("mlperf-tiny/vww_96_int8.tflite", 28),
        ("mobilenet_v2_1.0_224_quant.tflite", 53),
    ] {
        let model = load(&folder, name);
        assert!(
            model.graph.nodes.iter().all(|n| n.quant.is_some()),
            "{name}"
        );
        let bytes = std::fs::read(folder.join("models").join(name)).unwrap();
        let (file, graph) = (weights(&bytes), convs(&model.graph));
        assert_eq!((file.len(), graph.len()), (count, count), "{name}");
        let (mut channels, mut wide) = (0, 0);
        for (file, graph) in file.iter().zip(graph) {
            let scales = graph.weight_scales.as_ref().unwrap();
            let size = file.integers.len() / scales.len();
            for (o, integers) in file.integers.chunks_exact(size).enumerate() {
                let real = |&q: &i32| q as f32 * file.scales[o];
                let expected: Vec<f32> = integers.iter().map(real).collect();
                assert_eq!(graph.weights[o * size..][..size], expected, "{name}");
                channels += 1;
                let largest = integers.iter().map(|q| q.abs()).max().unwrap();
                if largest <= 127 {
                    assert_eq!(scales[o], file.scales[o], "{name}");
                } else {
                    wide += 1;
                    assert_eq!(
                        scales[o],
                        file.scales[o] * (largest as f32 / 127.0),
                        "{name}"
                    );
                }
            }
        }
        if wide == 0 {
            assert!(model.warnings.is_empty(), "{name}: {:?}", model.warnings);
        } else {
            let start = format!("{wide} of {channels} output channels");
            assert!(
                model.warnings[0].starts_with(&start),
                "{:?}",
                model.warnings
            );
        }
    }
}

#[test]
fn what_quantized_files_say_of_pictures() {
    let Some(folder) = shared() else { return };
    for (name, mean, std) in [
        ("mlperf-tiny/pretrainedResnet_quant.tflite", 0.0, 1.0),
        ("mlperf-tiny/vww_96_int8.tflite", 0.0, 255.0),
        ("mobilenet_v2_1.0_224_quant.tflite", 128.0, 128.0),
    ] {
        let PixelRule { mean: m, std: s } = load(&folder, name).pixels.unwrap();
        assert!(m == mean && (s - std).abs() < 1e-3, "{name}: {m}, {s}");
    }
}

#[test]
fn mobilenet_clamps_where_only_the_range_says_so() {
    let Some(folder) = shared() else { return };
    let graph = load(&folder, "mobilenet_v2_1.0_224_quant.tflite").graph;
    let count = |op: Op| graph.nodes.iter().filter(|n| n.op == op).count();
    // The stem, two in each of 17 blocks but the first, which has one, and the last convolution.
    assert_eq!(count(Op::Activation(Activation::Relu6)), 1 + 1 + 2 * 16 + 1);
    assert_eq!(count(Op::Activation(Activation::Relu)), 0);
    assert_eq!(count(Op::Add(Activation::None)), 10);
    assert!(
        (graph.macs() as f64 / 1e6 - 301.0).abs() < 1.0,
        "{}",
        graph.macs()
    );
}

#[test]
fn passes_keep_the_quantization() {
    let Some(folder) = shared() else { return };
    for name in [
        "mlperf-tiny/pretrainedResnet_quant.tflite",
        "mlperf-tiny/vww_96_int8.tflite",
        "mobilenet_v2_1.0_224_quant.tflite",
    ] {
        let before = load(&folder, name).graph;
        let after = simplify(before.clone());
        let clamp = |n: &&Node| matches!(n.op, Op::Activation(_));
        assert!(before.nodes.iter().any(|n| clamp(&n)), "{name}");
        assert!(!after.nodes.iter().any(|n| clamp(&n)), "{name}");
        assert!(after.nodes.iter().all(|n| n.quant.is_some()), "{name}");
        let scales = |g: &Graph| -> Vec<Option<Vec<f32>>> {
            convs(g)
                .into_iter()
                .map(|c| c.weight_scales.clone())
                .collect()
        };
        assert_eq!(scales(&before), scales(&after), "{name}");
    }
}

/// Evaluates node by node, each result rounded to its steps: int8 inference, but for the rounding rules.
fn evaluate_rounded(graph: &Graph, input: &[f32]) -> Vec<f32> {
    let round = |quant: Option<Quant>, values: Vec<f32>| -> Vec<f32> {
        let Quant { scale, zero_point } = quant.unwrap();
        let zero = f32::from(zero_point);
        let step = |v: f32| ((v / scale).round() + zero).clamp(-128.0, 127.0) - zero;
        values.into_iter().map(|v| step(v) * scale).collect()
    };
    let mut values = vec![round(graph.nodes[0].quant, input.to_vec())];
    for node in &graph.nodes[1..] {
        let (x, from) = (&values[node.inputs[0]], graph.nodes[node.inputs[0]].shape);
        let result = match node.op {
            Op::Add(_) => x
                .iter()
                .zip(&values[node.inputs[1]])
                .map(|(a, b)| a + b)
                .collect(),
            _ => {
                let mut one = Graph::new(from);
                one.push("node", node.op.clone(), &[0]).unwrap();
                evaluate(&one, x)
            }
        };
        values.push(round(node.quant, result));
    }
    values.swap_remove(graph.output)
}

/// Pictures whose first class is not the reference's, and the mean difference in steps, of the softmax in
/// steps of 1/256. `outputs` are the reference's, as unsigned numbers.
fn compare(graph: &Graph, pictures: &[Vec<f32>], outputs: &[u8]) -> (usize, f32) {
    let classes = outputs.len() / pictures.len();
    let (mut differ, mut distance) = (0, 0.0);
    for (picture, expected) in pictures.iter().zip(outputs.chunks_exact(classes)) {
        let logits = evaluate_rounded(graph, picture);
        differ += usize::from(argmax(&logits) != argmax(expected));
        for (found, &expected) in softmax(&logits).iter().zip(expected) {
            let steps = (found * 256.0).round().min(255.0);
            distance += (steps - f32::from(expected)).abs() / outputs.len() as f32;
        }
    }
    (differ, distance)
}

#[test]
fn quantized_networks_agree_with_the_reference_kernels() {
    let Some(folder) = shared() else { return };
    let unsigned = |name: &str| -> Vec<u8> {
        let bytes = npy_bytes(&folder.join("reference").join(name), "|i1");
        bytes.into_iter().map(|b| b ^ 0x80).collect()
    };
    let graph = load(&folder, "mlperf-tiny/pretrainedResnet_quant.tflite").graph;
    let outputs = unsigned("resnet8_int8_out.npy");
    let (differ, distance) = compare(&graph, &cifar(&folder, 200), &outputs[..2000]);
    // LiteRT's XNNPACK, which rounds once as this does, differs from its reference kernels on 7 of these
    // 200 by 1.68 steps in the mean, and on 1 of the 20 below by 1.2: layer by layer a thousandth of the
    // numbers is rounded the other way, and a step of a logit is up to 11 of the softmax.
    assert!(
        differ <= 8 && distance < 2.0,
        "ResNet-8: {differ} of 200, {distance} steps"
    );
    let graph = load(&folder, "mlperf-tiny/vww_96_int8.tflite").graph;
    let pictures: Vec<Vec<f32>> = vww(&folder)
        .iter()
        .map(|p| p.iter().map(|v| v / 255.0).collect())
        .collect();
    let (differ, distance) = compare(&graph, &pictures, &unsigned("vww_int8_out.npy"));
    assert!(
        differ <= 1 && distance < 1.5,
        "VWW: {differ} of 20, {distance} steps"
    );
}

#[test]
fn first_classes_of_the_quantized_mobilenet() {
    let Some(folder) = shared() else { return };
    let graph = load(&folder, "mobilenet_v2_1.0_224_quant.tflite").graph;
    let outputs = npy_bytes(&folder.join("reference/mobilenet_v2_quant_out.npy"), "|u1");
    let mut crops: Vec<_> = std::fs::read_dir(folder.join("reference/imagenet_crops"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    crops.sort();
    assert_eq!(crops.len(), 20);
    // Five: this evaluator takes its time for 300 M MACs.
    for (i, path) in crops.iter().enumerate().step_by(4) {
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels.len(), 224 * 224 * 3);
        let input: Vec<f32> = pixels
            .iter()
            .map(|&p| (f32::from(p) - 128.0) / 128.0)
            .collect();
        let logits = evaluate_rounded(&graph, &input);
        let expected = &outputs[i * 25 * 1001..][..1001];
        let (found, top) = (argmax(&logits), argmax(expected));
        let sure = softmax(&logits)[found];
        // The reference is not sure either where it and this differ.
        assert!(
            found == top || (sure < 0.5 && expected[top] < 128),
            "{path:?}: {found}, not {top}"
        );
        let off = (sure * 256.0 - f32::from(expected[found])).abs();
        assert!(
            off < 40.0,
            "{path:?}: {sure}, not {} of 256",
            expected[found]
        );
    }
}
