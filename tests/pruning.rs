//! Removing channels: the structure of every network of the catalog, and what repairs are worth.

use converter::compress::prune::channels::{Channels, mixes};
use converter::compress::prune::remove::remove;
use converter::compress::prune::{PruneError, Pruner, Structure};
use converter::graph::{Activation, ConvWeights, Graph, Node, Op, Shape, Window, reference};
use converter::import::{self, Content};
use converter::lower::{self, About};
use converter::passes;
use converter::util::progress::Silent;
use converter::zoo::{self, Weights, catalog};
use edge_runtime::backend::{BackendKind, Values};
use edge_runtime::model::{
    ChannelOrder, InputSpec, Manifest, Model, OutputFunction, ResizeRule, WeightsOrigin,
};
use edge_runtime::random::Random;
use graft_tests::INPUT;
use std::path::Path;

/// The logits of a graph on the fastest backend.
fn logits(graph: &Graph, input: &[f32]) -> Vec<f32> {
    let bytes = lower::float::write(graph, &about(graph)).unwrap();
    let model = Model::parse(&bytes).unwrap();
    let prepared = BackendKind::Tract.runtime().prepare(&model).unwrap();
    let mut session = prepared.session().unwrap();
    let Values::F32(trunk) = session.run(Values::F32(input)).unwrap() else {
        panic!("a float model has float results")
    };
    match model.head() {
        None => trunk.to_vec(),
        Some(head) => {
            let mut feature = vec![0.0; head.features()];
            head.feature_f32(trunk, &mut feature);
            let mut logits = vec![0.0; head.classes()];
            head.logits_f32(&feature, &mut logits);
            logits
        }
    }
}

/// The graph, with zeros for the weights of all that reads removed channels.
fn masked(graph: &Graph, channels: &Channels, kept: &[bool]) -> Graph {
    let mut masked = graph.clone();
    for id in (0..graph.nodes.len()).filter(|&id| mixes(graph, id)) {
        let units = channels.of_node(graph.nodes[id].inputs[0]);
        let Op::Conv(conv) = &mut masked.nodes[id].op else {
            panic!("only convolutions mix channels")
        };
        let ins = units.len() / conv.groups;
        let filter = conv.weights.len() / conv.out_channels;
        let outs = conv.out_channels / conv.groups;
        for (o, filter) in conv.weights.chunks_exact_mut(filter).enumerate() {
            for tap in filter.chunks_exact_mut(ins) {
                for (c, weight) in tap.iter_mut().enumerate() {
                    if !kept[units[o / outs * ins + c] as usize] {
                        *weight = 0.0;
                    }
                }
            }
        }
    }
    masked
}

/// Removes about a third of the units of every space, and compares with the masked graph.
fn check(name: &str, graph: Graph) {
    let graph = passes::simplify(graph);
    let channels = Channels::of(&graph);
    let spaces = channels.spaces(&graph);
    let mut random = Random::new(11);
    let mut kept = vec![true; channels.units()];
    for space in &spaces {
        // The first unit of every space stays.
        for unit in &space.units[1..] {
            kept[*unit as usize] = !random.bits().is_multiple_of(3);
        }
    }
    let smaller = remove(&graph, &channels, &kept).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(
        smaller.macs() < graph.macs(),
        "{name}: {} spaces",
        spaces.len()
    );
    let input: Vec<f32> = (0..graph.input_shape().len())
        .map(|_| (random.bits() % 256) as f32 / 64.0 - 2.0)
        .collect();
    let wanted = logits(&masked(&graph, &channels, &kept), &input);
    let got = logits(&smaller, &input);
    assert_eq!(got.len(), wanted.len(), "{name}");
    let scale = wanted.iter().map(|v| v.abs()).fold(0.0, f32::max);
    assert!(scale > 0.0, "{name} gives nothing but zeros");
    let far = got.iter().zip(&wanted).map(|(a, b)| (a - b).abs());
    let far = far.fold(0.0, f32::max);
    assert!(far < 1e-4 * scale, "{name}: {far} of {scale}");
}

/// Larger networks of the same kinds as others.
const ALIKE: [&str; 14] = [
    "vgg11",
    "vgg11-bn",
    "vgg13",
    "vgg13-bn",
    "vgg16",
    "vgg16-bn",
    "vgg19",
    "vgg19-bn",
    "resnet101",
    "resnet152",
    "resnet110-cifar10",
    "bn-alexnet",
    "efficientnet-lite3",
    "efficientnet-lite4",
];

#[test]
fn networks_without_channels_compute_what_masked_ones_do() {
    let networks = catalog::all().iter().filter(|e| zoo::has_architecture(e));
    let mut compared = 0;
    for entry in networks.filter(|e| !ALIKE.contains(&e.name.as_str())) {
        check(
            &entry.name,
            zoo::build(entry, Weights::Random { seed: 5 }).unwrap(),
        );
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

/// Weights that look random.
fn conv(out: usize, ins: usize, kernel: u32, groups: usize, seed: u64) -> Op {
    let mut random = Random::new(seed);
    let mut number = || (random.bits() % 2000) as f32 / 1000.0 - 1.0;
    let count = out * (kernel * kernel) as usize * ins / groups;
    let scale = (out as f32 / count as f32).sqrt();
    Op::Conv(ConvWeights {
        window: Window {
            kernel: [kernel; 2],
            pad_before: [kernel / 2; 2],
            pad_after: [kernel / 2; 2],
            ..Window::POINT
        },
        groups,
        out_channels: out,
        weights: (0..count).map(|_| number() * scale).collect(),
        bias: (0..out).map(|_| number() * 0.1).collect(),
        activation: Activation::None,
        statistics: None,
        weight_scales: None,
    })
}

fn classifier(g: &mut Graph, from: usize, classes: usize) {
    let shape = g.nodes[from].shape;
    let window = Window {
        kernel: [shape.h, shape.w],
        ..Window::POINT
    };
    let pool = Op::AvgPool {
        window,
        count_padding: false,
    };
    let pool = g.push("pool", pool, &[from]).unwrap();
    g.push("dense", conv(classes, shape.c as usize, 1, 1, 99), &[pool])
        .unwrap();
}

/// DenseNet-121, ShuffleNet and Inception as files of ONNX have them, with random weights in the place of their
/// constants. GRAFT_SHARED names the folder of test data.
#[test]
fn networks_from_files_compute_what_masked_ones_do() {
    let Some(shared) = std::env::var_os("GRAFT_SHARED") else {
        eprintln!("skipped: GRAFT_SHARED does not name the folder of test data");
        return;
    };
    let folder = Path::new(&shared).join("data/models/onnx-light");
    for name in ["densenet121", "shufflenet", "inception_v2", "squeezenet"] {
        let file = folder.join(format!("light_{name}.onnx"));
        let Content::Network(imported) = import::read(&file).unwrap() else {
            panic!("{name} is a network")
        };
        let mut graph = passes::simplify(imported.graph);
        let mut random = Random::new(21);
        for node in &mut graph.nodes {
            let Op::Conv(conv) = &mut node.op else {
                continue;
            };
            let inputs = conv.weights.len() / conv.out_channels;
            let scale = (2.0 / inputs as f32).sqrt() * 1.7;
            for weight in &mut conv.weights {
                *weight = ((random.bits() % 2001) as f32 / 1000.0 - 1.0) * scale;
            }
            for bias in &mut conv.bias {
                *bias = ((random.bits() % 2001) as f32 / 1000.0 - 1.0) * 0.1;
            }
        }
        check(name, graph);
    }
}

/// Two units of ShuffleNet: grouped convolutions, shuffles, a depthwise convolution, a sum, a concatenation with a pool.
#[test]
fn shuffled_groups_compute_what_masked_ones_do() {
    let mut g = Graph::new(Shape::new(8, 8, 3));
    let mut push = |name: &str, op: Op, inputs: &[usize]| g.push(name, op, inputs).unwrap();
    let relu = || Op::Activation(Activation::Relu);
    let stem = push("stem", conv(24, 3, 3, 1, 1), &[0]);
    let stem = push("stem.relu", relu(), &[stem]);
    let a = push("a", conv(12, 24, 1, 3, 2), &[stem]);
    let a = push("a.relu", relu(), &[a]);
    let a = push("a.shuffle", Op::Shuffle { groups: 3 }, &[a]);
    let a = push("a.depthwise", conv(12, 12, 3, 12, 3), &[a]);
    let a = push("a.out", conv(24, 12, 1, 3, 4), &[a]);
    let sum = push("sum", Op::Add(Activation::None), &[stem, a]);
    let b = push("b", conv(12, 24, 1, 3, 5), &[sum]);
    let b = push("b.shuffle", Op::Shuffle { groups: 3 }, &[b]);
    let b = push("b.out", conv(36, 12, 1, 3, 6), &[b]);
    let both = push("concat", Op::Concat, &[sum, b]);
    classifier(&mut g, both, 5);
    check("shuffle", g);
}

/// ShuffleNet v2: the channels are split, one half is computed, both are concatenated and shuffled.
#[test]
fn split_channels_compute_what_masked_ones_do() {
    let mut g = Graph::new(Shape::new(8, 8, 3));
    let mut push = |name: &str, op: Op, inputs: &[usize]| g.push(name, op, inputs).unwrap();
    let half = |first: u32| Op::Slice {
        start: [0, 0, first],
        step: [1, 1],
        shape: Shape::new(8, 8, 12),
    };
    let mut x = push("stem", conv(24, 3, 3, 1, 1), &[0]);
    for unit in 0..2 {
        let left = push(&format!("{unit}.left"), half(0), &[x]);
        let right = push(&format!("{unit}.right"), half(12), &[x]);
        let right = push(
            &format!("{unit}.conv"),
            conv(12, 12, 1, 1, 7 + unit),
            &[right],
        );
        let both = push(&format!("{unit}.concat"), Op::Concat, &[left, right]);
        x = push(
            &format!("{unit}.shuffle"),
            Op::Shuffle { groups: 2 },
            &[both],
        );
    }
    classifier(&mut g, x, 5);
    check("split", g);
}

/// DenseNet: every layer reads the concatenation of all before it, through a norm of its own.
#[test]
fn dense_blocks_compute_what_masked_ones_do() {
    let mut g = Graph::new(Shape::new(8, 8, 3));
    let mut x = g.push("stem", conv(16, 3, 3, 1, 1), &[0]).unwrap();
    for layer in 0..3u64 {
        let channels = g.nodes[x].shape.c as usize;
        let norm = conv(channels, channels, 1, channels, 20 + layer);
        let norm = g.push(format!("{layer}.norm"), norm, &[x]).unwrap();
        let relu = Op::Activation(Activation::Relu);
        let relu = g.push(format!("{layer}.relu"), relu, &[norm]).unwrap();
        let narrow = conv(16, channels, 1, 1, 30 + layer);
        let narrow = g.push(format!("{layer}.narrow"), narrow, &[relu]).unwrap();
        let grow = g.push(
            format!("{layer}.grow"),
            conv(8, 16, 3, 1, 40 + layer),
            &[narrow],
        );
        x = g
            .push(format!("{layer}.concat"), Op::Concat, &[x, grow.unwrap()])
            .unwrap();
    }
    classifier(&mut g, x, 5);
    check("dense", g);
}

/// MixNet: an expansion is split, each part has a depthwise kernel of its own, and all are projected together.
#[test]
fn mixed_kernels_compute_what_masked_ones_do() {
    let mut g = Graph::new(Shape::new(8, 8, 3));
    let stem = g.push("stem", conv(8, 3, 3, 1, 1), &[0]).unwrap();
    let wide = g.push("expand", conv(24, 8, 1, 1, 2), &[stem]).unwrap();
    let mut parts = vec![];
    for (first, channels, kernel) in [(0, 4, 3), (4, 8, 5), (12, 12, 7)] {
        let slice = Op::Slice {
            start: [0, 0, first],
            step: [1, 1],
            shape: Shape::new(8, 8, channels),
        };
        let slice = g.push(format!("slice {first}"), slice, &[wide]).unwrap();
        let channels = channels as usize;
        let depthwise = conv(channels, channels, kernel, channels, 60 + u64::from(kernel));
        parts.push(
            g.push(format!("depthwise {first}"), depthwise, &[slice])
                .unwrap(),
        );
    }
    let all = g.push("concat", Op::Concat, &parts).unwrap();
    let out = g.push("project", conv(8, 24, 1, 1, 3), &[all]).unwrap();
    let sum = g
        .push("sum", Op::Add(Activation::Relu), &[stem, out])
        .unwrap();
    classifier(&mut g, sum, 5);
    // Each part is a space of its own, so that none can lose all of its channels.
    let units: Vec<usize> = Channels::of(&g)
        .spaces(&g)
        .iter()
        .map(|s| s.units.len())
        .collect();
    assert_eq!(units, [8, 4, 8, 12]);
    check("mixed", g);
}

/// A block whose first layer and whose shortcut read the same windows, of a stem half of whose channels are twice the
/// other half.
#[test]
fn a_shortcut_is_not_repaired_for_what_comes_after_it() {
    let mut g = Graph::new(Shape::new(12, 12, 3));
    let relu = || Op::Activation(Activation::Relu);
    let mut stem = conv(64, 3, 3, 1, 1);
    if let Op::Conv(conv) = &mut stem {
        let half = conv.weights.len() / 2;
        let (first, second) = conv.weights.split_at_mut(half);
        first.iter().zip(second).for_each(|(a, b)| *b = 2.0 * a);
        let (first, second) = conv.bias.split_at_mut(32);
        first.iter().zip(second).for_each(|(a, b)| *b = 2.0 * a);
    }
    let stem = g.push("stem", stem, &[0]).unwrap();
    let stem = g.push("stem.relu", relu(), &[stem]).unwrap();
    let a = g.push("a", conv(16, 64, 1, 1, 2), &[stem]).unwrap();
    let a = g.push("a.relu", relu(), &[a]).unwrap();
    let b = g.push("b", conv(32, 16, 3, 1, 3), &[a]).unwrap();
    let shortcut = g.push("shortcut", conv(32, 64, 1, 1, 4), &[stem]).unwrap();
    let sum = g
        .push("sum", Op::Add(Activation::Relu), &[b, shortcut])
        .unwrap();
    classifier(&mut g, sum, 5);
    let whole = passes::simplify(g);
    let structure = Structure::of(&whole).unwrap();
    let input = |i: usize| picture(&whole, i);
    let pruner = Pruner::new(&structure, 60, &input, &Silent).unwrap();
    // Only the stem costs anything, so that its channels leave.
    let stem_only = |node: &Node| f64::from(u8::from(node.name == "stem"));
    let pruned = pruner.prune(0.5, &stem_only, &Silent).unwrap();
    let left: Vec<_> = pruned.spaces.iter().filter(|s| s.kept < s.of).collect();
    assert_eq!(
        (left.len(), left[0].layer.as_str(), left[0].kept),
        (1, "stem", 32)
    );
    same_results(&whole, &pruned.graph);
}

/// Checks that two networks give the same to one part in a hundred, on pictures that pruning did not see.
fn same_results(whole: &Graph, pruned: &Graph) {
    for number in 100..105 {
        let input = picture(whole, number);
        let wanted = reference::evaluate(whole, &input);
        let got = reference::evaluate(pruned, &input);
        let scale = wanted.iter().map(|v| v.abs()).fold(0.0, f32::max);
        for (a, b) in got.iter().zip(&wanted) {
            assert!((a - b).abs() < 0.01 * scale, "{got:?} {wanted:?}");
        }
    }
}

/// A block with a residual, half of whose inner channels are twice the other half.
fn redundant() -> Graph {
    let mut g = Graph::new(Shape::new(12, 12, 3));
    let relu = || Op::Activation(Activation::Relu);
    let stem = g.push("stem", conv(32, 3, 3, 1, 1), &[0]).unwrap();
    let stem = g.push("stem.relu", relu(), &[stem]).unwrap();
    let mut inner = conv(64, 32, 3, 1, 2);
    if let Op::Conv(conv) = &mut inner {
        let (first, second) = conv.weights.split_at_mut(32 * 9 * 32);
        first.iter().zip(second).for_each(|(a, b)| *b = 2.0 * a);
        let (first, second) = conv.bias.split_at_mut(32);
        first.iter().zip(second).for_each(|(a, b)| *b = 2.0 * a);
    }
    let inner = g.push("inner", inner, &[stem]).unwrap();
    let inner = g.push("inner.relu", relu(), &[inner]).unwrap();
    let outer = g.push("outer", conv(32, 64, 3, 1, 3), &[inner]).unwrap();
    let sum = g
        .push("sum", Op::Add(Activation::Relu), &[stem, outer])
        .unwrap();
    classifier(&mut g, sum, 5);
    passes::simplify(g)
}

fn picture(graph: &Graph, number: usize) -> Vec<f32> {
    let mut random = Random::new(1000 + number as u64);
    let count = graph.input_shape().len();
    (0..count)
        .map(|_| (random.bits() % 256) as f32 / 128.0 - 1.0)
        .collect()
}

#[test]
fn channels_that_say_nothing_new_leave_without_a_trace() {
    let whole = redundant();
    let structure = Structure::of(&whole).unwrap();
    let input = |i: usize| picture(&whole, i);
    let pruner = Pruner::new(&structure, 60, &input, &Silent).unwrap();
    let share = 0.4;
    let pruned = pruner
        .prune(share, &|node: &Node| node.macs() as f64, &Silent)
        .unwrap();
    assert!(pruned.share >= share);
    let left: Vec<_> = pruned.spaces.iter().filter(|s| s.kept < s.of).collect();
    assert_eq!(left.len(), 1, "{:?}", pruned.spaces);
    assert_eq!((left[0].layer.as_str(), left[0].kept), ("inner", 32));
    // Fused again, as it came.
    assert_eq!(pruned.graph.nodes.len(), whole.nodes.len());
    same_results(&whole, &pruned.graph);
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let whole = redundant();
    let structure = Structure::of(&whole).unwrap();
    let input = |i: usize| picture(&whole, i);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let pruner = Pruner::new(&structure, 60, &input, &Silent).unwrap();
            pruner
                .prune(0.5, &|node: &Node| node.macs() as f64, &Silent)
                .unwrap()
                .graph
                .nodes
        })
    };
    let ops = |nodes: Vec<Node>| -> Vec<Op> { nodes.into_iter().map(|node| node.op).collect() };
    let one = ops(on(1));
    assert!(one == ops(on(2)) && one == ops(on(3)));
}

#[test]
fn what_cannot_be_pruned_is_said() {
    let whole = redundant();
    let structure = Structure::of(&whole).unwrap();
    let input = |i: usize| picture(&whole, i);
    // The outer layer's windows have 576 numbers, and a picture shows 144 of them.
    let error = Pruner::new(&structure, 3, &input, &Silent).err().unwrap();
    assert!(
        matches!(&error, PruneError::TooFew { pictures: 3, needed: 4, layer } if layer == "outer"),
        "{error}"
    );
    let pruner = Pruner::new(&structure, 60, &input, &Silent).unwrap();
    let error = pruner
        .prune(0.99, &|node: &Node| node.macs() as f64, &Silent)
        .unwrap_err();
    assert!(
        matches!(error, PruneError::OutOfReach { most } if most > 0.8 && most < 0.99),
        "{error}"
    );

    let mut only = Graph::new(Shape::new(4, 4, 3));
    classifier(&mut only, 0, 5);
    let error = Structure::of(&only).unwrap().check(60).unwrap_err();
    assert!(matches!(error, PruneError::Nothing), "{error}");
}

fn about(graph: &Graph) -> About<'static> {
    let shape = graph.input_shape();
    About {
        manifest: Manifest {
            name: "pruned",
            source: "test",
            license: "",
            converter: "test",
            weights: WeightsOrigin::Random { seed: 5 },
            input: InputSpec {
                height: shape.h,
                width: shape.w,
                resize: ResizeRule::Squash,
                order: match shape.c {
                    1 => ChannelOrder::Gray,
                    _ => ChannelOrder::Rgb,
                },
                ..INPUT
            },
            quantization: None,
            parameters: 0,
            macs: 0,
        },
        labels: "",
        function: OutputFunction::None,
        check: None,
        pruning: None,
    }
}
