//! The catalog against publications and against other people's code.

use super::*;
use crate::import::{NamedTensor, StateDict};
use sha2::{Digest, Sha256};

/// Parameters and multiply-accumulate operations, as published; the test takes them at the precision
/// that they are printed with.
///
/// - torchvision: `num_params` and `_ops` of its weights' metadata, without auxiliary heads (Inception-v3:
///   27161264 with its head of 3326696).
/// - mobilenet-v1: Howard et al. 2017, table 8.
/// - inception-v4: timm's model card of `inception_v4.tf_in1k`.
/// - resnetN-cifar10: README of akamaster/pytorch_resnet_cifar10.
/// - mlperf-tiny: Keras' summaries say 78666 and 221794, of which 480 and 5472 are moments of batch norms,
///   which are not trained; 12.5 M and 7.5 M operations are what publications on MLPerf Tiny quote.
#[rustfmt::skip]
const PUBLISHED: [(&str, &str, &str); 30] = [
    ("alexnet",             "61100840",  "0.714 G"),
    ("vgg11",               "132863336", "7.609 G"),
    ("vgg11-bn",            "132868840", "7.609 G"),
    ("vgg13",               "133047848", "11.308 G"),
    ("vgg13-bn",            "133053736", "11.308 G"),
    ("vgg16",               "138357544", "15.47 G"),
    ("vgg16-bn",            "138365992", "15.47 G"),
    ("vgg19",               "143667240", "19.632 G"),
    ("vgg19-bn",            "143678248", "19.632 G"),
    ("googlenet",           "6624904",   "1.498 G"),
    ("resnet18",            "11689512",  "1.814 G"),
    ("resnet34",            "21797672",  "3.664 G"),
    ("resnet50",            "25557032",  "4.089 G"),
    ("resnet101",           "44549160",  "7.801 G"),
    ("resnet152",           "60192808",  "11.514 G"),
    ("inception-v3",        "23834568",  "5.713 G"),
    ("inception-v4",        "42.7 M",    "12.3 G"),
    ("squeezenet1.0",       "1248424",   "0.819 G"),
    ("squeezenet1.1",       "1235496",   "0.349 G"),
    ("mobilenet-v1",        "4.2 M",     "569 M"),
    ("mobilenet-v2",        "3504872",   "0.301 G"),
    ("mobilenet-v3-large",  "5483032",   "0.217 G"),
    ("mobilenet-v3-small",  "2542856",   "0.057 G"),
    ("resnet20-cifar10",    "0.27 M",    ""),
    ("resnet32-cifar10",    "0.46 M",    ""),
    ("resnet44-cifar10",    "0.66 M",    ""),
    ("resnet56-cifar10",    "0.85 M",    ""),
    ("resnet110-cifar10",   "1.7 M",     ""),
    ("mlperf-tiny-resnet8", "78186",     "12.5 M"),
    ("mlperf-tiny-vww",     "216322",    "7.5 M"),
];

/// EfficientNet-Lite in the README of tensorflow/tpu: parameters, and millions of MAdds by TensorFlow's
/// count, which has a few percent more than convolutions in it.
const LITE_MADDS: [(&str, &str, f64); 5] = [
    ("efficientnet-lite0", "4.7 M", 407.0),
    ("efficientnet-lite1", "5.4 M", 631.0),
    ("efficientnet-lite2", "6.1 M", 899.0),
    ("efficientnet-lite3", "8.2 M", 1440.0),
    ("efficientnet-lite4", "13.0 M", 2640.0),
];

/// Networks of which no counts are published, only definitions: what `.ci/zoo_reference.py` counts in a
/// PyTorch copy of each.
const COUNTED: [(&str, u64, u64); 3] = [
    ("bn-alexnet", 61_119_528, 714_188_480),
    ("bn-nin", 8_655_336, 1_259_939_840),
    ("enet", 467_156, 311_206_656),
];

fn entry(name: &str) -> &'static CatalogEntry {
    catalog::all().iter().find(|e| e.name == name).unwrap()
}

/// True if `value` is printed as `text` at that precision.
fn rounds_to(value: u64, text: &str) -> bool {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let unit = match unit {
        "" => 1.0,
        "M" => 1e6,
        "G" => 1e9,
        other => panic!("unit {other}"),
    };
    let digits = number.split_once('.').map_or(0, |(_, d)| d.len());
    format!("{:.digits$}", value as f64 / unit) == number
}

/// Every entry can be built, and is what the catalog says.
#[test]
fn catalog_and_architectures_agree() {
    for entry in catalog::all().iter().filter(|e| has_architecture(e)) {
        let graph = build(entry, Weights::Shapes).unwrap();
        let name = &entry.name;
        assert_eq!(graph.parameters(), entry.parameters, "{name}");
        assert_eq!(graph.macs(), entry.macs, "{name}");
        let output = graph.nodes[graph.output].shape;
        assert_eq!(
            output,
            Shape::new(1, 1, entry.labels().len() as u32),
            "{name}"
        );
        let mut names: Vec<&str> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before, "{name}: names repeat");
    }
}

/// What has no architecture has a source, and every source of it carries a graph.
#[test]
fn networks_without_an_architecture_come_with_a_graph() {
    let without = catalog::all().iter().filter(|e| !has_architecture(e));
    let mut names = vec![];
    for e in without {
        let format = |s: &Source| s.format() == Some(catalog::Format::Network);
        assert!(
            !e.sources.is_empty() && e.sources.iter().all(format),
            "{}",
            e.name
        );
        names.push(e.name.as_str());
    }
    assert_eq!(
        names,
        ["bvlc-alexnet", "bvlc-googlenet", "resnet50-thin-nsfw"]
    );
}

#[test]
fn published_parameters_and_operations() {
    for (name, parameters, macs) in PUBLISHED {
        let e = entry(name);
        assert!(
            rounds_to(e.parameters, parameters),
            "{name}: {}",
            e.parameters
        );
        assert!(
            macs.is_empty() || rounds_to(e.macs, macs),
            "{name}: {}",
            e.macs
        );
    }
    for (name, parameters, madds) in LITE_MADDS {
        let e = entry(name);
        let share = e.macs as f64 / 1e6 / madds;
        assert!(
            rounds_to(e.parameters, parameters),
            "{name}: {}",
            e.parameters
        );
        assert!((0.94..1.0).contains(&share), "{name}: {share}");
    }
    for (name, parameters, macs) in COUNTED {
        let e = entry(name);
        assert_eq!((e.parameters, e.macs), (parameters, macs), "{name}");
    }
    let known = |name: &str| {
        PUBLISHED.iter().any(|p| p.0 == name)
            || LITE_MADDS.iter().any(|p| p.0 == name)
            || COUNTED.iter().any(|p| p.0 == name)
    };
    for e in catalog::all().iter().filter(|e| has_architecture(e)) {
        assert!(known(&e.name), "{} is in no table", e.name);
    }
}

/// Names and shapes of all parameters are those of torchvision, timm, akamaster's ResNets, and of the
/// PyTorch copies in `.ci/zoo_reference.py`, which wrote `state_dicts.txt`: per network the number of
/// tensors, and the first 16 digits of the SHA-256 of the sorted lines `NAME DIMENSION DIMENSION ...`.
#[test]
fn parameters_are_named_as_elsewhere() {
    let mut checked = 0;
    for line in include_str!("test_data/state_dicts.txt").lines() {
        let [name, count, digest] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let net = assemble(entry(name), Weights::Shapes).unwrap();
        let line = |(name, shape): (&String, &Vec<usize>)| {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("{name} {}\n", sizes.join(" "))
        };
        let mut lines: Vec<String> = net.parameters().iter().map(line).collect();
        lines.sort_unstable();
        let ours = hex::encode(Sha256::digest(lines.concat()));
        assert_eq!(lines.len().to_string(), count, "{name}: {lines:?}");
        assert_eq!(&ours[..16], digest, "{name}: {lines:?}");
        checked += 1;
    }
    assert_eq!(checked, 38);
}

/// A checkpoint of this network with the numbers 0, 1, 2, ... in every tensor.
fn checkpoint(name: &str) -> StateDict {
    let net = assemble(entry(name), Weights::Shapes).unwrap();
    let tensor = |(name, shape): (&String, &Vec<usize>)| {
        let data = (0..shape.iter().product())
            .map(|v: usize| v as f32)
            .collect();
        let shape = shape.clone();
        (name.clone(), NamedTensor { shape, data })
    };
    net.parameters().iter().map(tensor).collect()
}

#[test]
fn auxiliary_heads_are_passed_over() {
    let one = NamedTensor {
        shape: vec![1],
        data: vec![1.0],
    };
    for (network, extra) in [
        ("googlenet", "aux1.conv.conv.weight"),
        ("googlenet", "aux2.fc1.bias"),
        ("inception-v3", "AuxLogits.conv0.bn.running_var"),
    ] {
        let mut dict = checkpoint(network);
        dict.insert(extra.into(), one.clone());
        build(entry(network), Weights::StateDict(&dict)).unwrap();
        dict.insert("else".into(), one.clone());
        let error = build(entry(network), Weights::StateDict(&dict)).unwrap_err();
        assert!(error.to_string().contains("1 extra (else)"), "{error}");
    }
}

/// What the layers of a network on random weights do to normal numbers, measured, is what its batch norms
/// were told: activations neither die nor explode.
#[test]
fn random_weights_keep_activations_in_range() {
    use crate::graph::{Op, reference};
    for name in ["mlperf-tiny-resnet8", "mlperf-tiny-vww", "resnet20-cifar10"] {
        let e = entry(name);
        let graph = build(e, Weights::Random { seed: 5 }).unwrap();
        let pixels = graph.input_shape().len();
        let spread = Spread::of_pictures(&e.input);
        let mut random = edge_runtime::random::Random::new(9);
        let input: Vec<f32> = (0..pixels)
            .map(|_| spread.mean + spread.variance.sqrt() * random.normal())
            .collect();
        for id in 0..graph.nodes.len() {
            if !matches!(graph.nodes[id].op, Op::BatchNorm(_)) {
                continue;
            }
            let mut upto = graph.clone();
            upto.output = id;
            upto.nodes.truncate(id + 1);
            let values = reference::evaluate(&upto, &input);
            let power = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
            let node = &graph.nodes[id].name;
            assert!((0.1..10.0).contains(&power), "{name}, {node}: {power}");
        }
        let logits = reference::evaluate(&graph, &input);
        let mean = logits.iter().sum::<f32>() / logits.len() as f32;
        let variance = logits.iter().map(|l| (l - mean).powi(2)).sum::<f32>() / logits.len() as f32;
        assert!((1e-3..1e3).contains(&variance), "{name}: {logits:?}");
    }
}
