//! From a float graph to a retrained int8 model, on every backend.

use converter::dataset::{Dataset, preprocess};
use converter::jobs::convert::{CalibrationSource, Int8Options, JudgedOn, convert};
use converter::jobs::evaluate::{EvaluateError, EvaluateOptions, evaluate};
use converter::jobs::retrain::retrain;
use converter::jobs::runner::Runner;
use converter::jobs::verify::verify_one;
use converter::quantize::range::RangeRule;
use converter::util::progress::Silent;
use edge_runtime::backend::{BackendKind, EngineRuntime, Runtime, TractRuntime, Values};
use edge_runtime::engine::Engine;
use edge_runtime::head::train::TrainOptions;
use edge_runtime::kernels::{Kernels, RequantizeParams, Sums};
use edge_runtime::model::{
    AlignedBytes, Calibration, ConvData, DType, Doubt, Model, Op, Quant, WeightsOrigin,
};
use graft_tests::{INPUT, class_folders, int8, observers, picture, source};

const CLASSES: [&str; 4] = ["east", "north", "south", "west"];

fn int8_model(seed: u64) -> AlignedBytes {
    convert(source(seed), Some(&int8()), &Silent)
        .expect("converts")
        .bytes
}

fn crop(class: usize, seed: u64) -> Vec<u8> {
    preprocess::crop(&picture(class, seed), &INPUT).expect("fits")
}

#[test]
fn the_small_net_has_every_operator() {
    let bytes = int8_model(1);
    let model = Model::parse(&bytes).unwrap();
    let mut names: Vec<&str> = model.layers().map(|l| l.op.name()).collect();
    names.sort_unstable();
    names.dedup();
    let all = [
        "add",
        "avg-pool",
        "concat",
        "conv",
        "depthwise-conv",
        "local-response-norm",
        "map",
        "max-pool",
        "mul",
        "pad",
        "prelu",
        "shuffle",
        "slice",
    ];
    assert_eq!(names, all);
    assert_eq!(model.dtype(), DType::I8);
    assert_eq!(model.head().unwrap().label(3), Some("west"));
    // The plan writes the residual sum over an input.
    let add = model
        .layers()
        .find(|l| matches!(l.op, Op::Add { .. }))
        .unwrap();
    assert_eq!(add.inputs[0].offset, add.output.offset);
}

#[test]
fn int8_follows_float() {
    let float = convert(source(2), None, &Silent).unwrap();
    let converted = convert(source(2), Some(&int8()), &Silent).unwrap();
    assert!(converted.bytes.len() * 2 < float.bytes.len());
    let agreement = converted.check.unwrap().agreement().unwrap();
    assert!(
        agreement.cosine > 0.99 && converted.judged_on == JudgedOn::Generated,
        "{agreement:?}"
    );
    let stated = Model::parse(&converted.bytes)
        .unwrap()
        .manifest()
        .quantization
        .unwrap()
        .agreement;
    assert_eq!(stated, Some(agreement));
}

/// The converter's check of itself: nothing to say of a good model, which takes no bytes; a doubt is in the file.
#[test]
fn what_the_converter_doubts_is_in_the_file() {
    for options in [None, Some(&int8())] {
        let converted = convert(source(2), options, &Silent).unwrap();
        let check = converted.check.unwrap();
        assert!(check.doubts == 0 && check.spread > 0.05, "{check:?}");
        let good = Model::parse(&converted.bytes).unwrap();
        assert_eq!(
            (good.self_check(), good.header().with_output),
            (None, false)
        );

        // Pixels that are 255 times too small, as mean and std on the wrong scale make them.
        let mut wrong = source(2);
        wrong.input.std = wrong.input.std.map(|s| s * 255.0);
        wrong.input.mean = wrong.input.mean.map(|m| m * 255.0);
        let converted = convert(wrong.clone(), options, &Silent).unwrap();
        let check = converted.check.unwrap();
        assert!(check.has(Doubt::Constant), "{check:?}");
        let bytes = &converted.bytes;
        assert_eq!(Model::parse(bytes).unwrap().self_check(), Some(check));

        // Nothing can be said of random weights.
        wrong.weights = WeightsOrigin::Random { seed: 2 };
        let random = convert(wrong, options, &Silent).unwrap();
        assert!(random.check.is_none_or(|c| c.doubts == 0));
    }
}

/// A source that is int8 already keeps its scales, zero points, weights and biases, and needs no
/// calibration; one number that it does not give is measured.
#[test]
fn a_quantized_source_is_kept() {
    let mut source = source(4);
    let steps = |c: usize| 0.001 * (c + 1) as f32;
    for (id, node) in source.graph.nodes.iter_mut().enumerate() {
        node.quant = Some(Quant {
            scale: 0.02 + 0.001 * id as f32,
            zero_point: id as i8 - 20,
        });
        // Whole multiples of a step, as an importer makes them.
        if let converter::graph::Op::Conv(conv) = &mut node.op {
            let per = conv.weights.len() / conv.out_channels;
            for (i, w) in conv.weights.iter_mut().enumerate() {
                *w = (i as i64 * 37 % 255 - 127) as f32 * steps(i / per);
            }
            conv.weight_scales = Some((0..conv.out_channels).map(steps).collect());
        }
    }
    let converted = convert(source.clone(), Some(&int8()), &Silent).unwrap();
    let model = Model::parse(&converted.bytes).unwrap();
    let quantization = model.manifest().quantization.unwrap();
    assert_eq!(quantization.calibration, Calibration::Source);
    assert_eq!(model.input().quant, source.graph.nodes[0].quant.unwrap());
    let of = |name: &str| {
        let node = source.graph.nodes.iter().find(|n| n.name == name).unwrap();
        node.quant.unwrap()
    };
    let layer = |name: &str| model.layers().find(|l| l.name == name).unwrap();
    // The activation that was fused into the layer is what the layer's output is after.
    for (name, last) in [
        ("stem", "stem.relu6"),
        ("expand", "expand"),
        ("residual", "residual"),
        ("gate", "gate"),
        ("maxpool", "residual"), // picks, so it keeps its input's
        ("concat", "concat"),
        ("norm", "norm"),
    ] {
        assert_eq!(layer(name).output.quant, of(last), "{name}");
    }
    let Op::Conv {
        data: ConvData::I8 { weights, bias, .. },
        ..
    } = layer("expand").op
    else {
        panic!()
    };
    let (weights, bias) = (model.i8s(weights), model.i32s(bias));
    let per = weights.len() / bias.len();
    for (i, w) in weights.iter().enumerate() {
        assert_eq!(*w as i64, i as i64 * 37 % 255 - 127, "weight {i}");
    }
    let converter::graph::Op::Conv(conv) = &source.graph.nodes[4].op else {
        panic!()
    };
    let input = of("stem.relu6");
    for (c, b) in bias.iter().enumerate() {
        let sum: i32 = weights[c * per..][..per].iter().map(|w| *w as i32).sum();
        let own = (conv.bias[c] as f64 / (input.scale as f64 * steps(c) as f64)).round() as i32;
        assert_eq!(*b, own - input.zero_point as i32 * sum, "bias {c}");
    }

    let hole = source
        .graph
        .nodes
        .iter()
        .position(|n| n.name == "expand.hswish")
        .unwrap();
    let (concat, swish) = (of("concat"), of("expand.hswish"));
    source.graph.nodes[hole].quant = None;
    let converted = convert(source.clone(), Some(&int8()), &Silent).unwrap();
    let model = Model::parse(&converted.bytes).unwrap();
    let calibration = model.manifest().quantization.unwrap().calibration;
    assert_eq!(calibration, Calibration::DataFree { images: 8 });
    let layer = |name: &str| model.layers().find(|l| l.name == name).unwrap();
    assert_eq!(layer("concat").output.quant, concat);
    assert_ne!(layer("expand.hswish").output.quant, swish);
}

#[test]
fn conversion_is_deterministic() {
    assert_eq!(int8_model(3)[..], int8_model(3)[..]);
}

#[test]
fn backends_agree_bit_by_bit() {
    for seed in 0..4 {
        let bytes = int8_model(seed);
        let model = Model::parse(&bytes).unwrap();
        let mut backends = observers(&model);
        for i in 0..6 {
            let input = preprocess::to_i8(&crop(i, seed), &INPUT, model.input().quant);
            let values = verify_one(&model, &mut backends, i, &input)
                .unwrap()
                .unwrap_or_else(|d| panic!("{d}"));
            assert!(values > 10_000);
        }
    }
}

/// Half away from zero instead of half up, and one bit early: gemmlowp's habit of rounding twice.
#[derive(Debug)]
struct RoundsTwice;

impl Kernels for RoundsTwice {
    fn name(&self) -> &'static str {
        "rounds-twice"
    }

    fn requantize(&self, p: &RequantizeParams<'_>, sums: Sums<'_>, output: &mut [i8]) {
        for (i, q) in output.iter_mut().enumerate() {
            let c = i % p.bias.len();
            let sum = match sums {
                Sums::I32(sums) => sums[i],
                Sums::F32(sums) => sums[i] as i32,
            };
            let acc = (sum + p.bias[c]) as i64;
            let high = (acc * p.multiplier[c] as i64 + (1 << 30)) >> 31;
            let scaled = match p.shift[c].saturating_sub(31) {
                0 => high,
                n => (high + (1 << (n - 1))) >> n,
            };
            let [low, high] = p.clamp.map(i64::from);
            *q = (scaled + p.zero_point as i64).clamp(low, high) as i8;
        }
    }
}

#[test]
fn a_wrong_rounding_is_found_and_its_layer_named() {
    let bytes = int8_model(5);
    let model = Model::parse(&bytes).unwrap();
    let runtimes: [&dyn Runtime; 2] = [
        &EngineRuntime::new(),
        &TractRuntime::with_kernels(&RoundsTwice),
    ];
    let mut backends = runtimes.map(|runtime| runtime.prepare(&model).unwrap().observer().unwrap());
    let found = (0..20).find_map(|i| {
        let input = preprocess::to_i8(&crop(i, i as u64), &INPUT, model.input().quant);
        verify_one(&model, &mut backends, i, &input).unwrap().err()
    });
    let difference = found.expect("double rounding differs somewhere");
    assert!(difference.op.contains("conv"), "{difference}");
    assert_eq!(difference.backends, ["engine", "tract"]);
    assert!(
        difference
            .to_string()
            .contains(&format!("'{}'", difference.name))
    );
    assert!(
        difference.count < difference.elements / 2,
        "only halves differ: {difference}"
    );
}

#[test]
fn an_arena_that_is_too_small_is_refused() {
    let bytes = int8_model(6);
    let model = Model::parse(&bytes).unwrap();
    let mut arena = vec![0; model.arena_bytes() - 1];
    assert!(Engine::new(&model, &mut arena).is_err());
}

#[test]
fn a_retrained_head_learns_and_is_the_same_on_every_backend() {
    let dir = tempfile::tempdir().unwrap();
    let (train, val) = (dir.path().join("train"), dir.path().join("val"));
    class_folders(&train, &["red", "green", "blue"], 24, 100);
    class_folders(&val, &["red", "green", "blue"], 8, 900);
    let bytes = int8_model(7);
    let model = Model::parse(&bytes).unwrap();
    let (train, val) = (Dataset::open(&train).unwrap(), Dataset::open(&val).unwrap());
    let options = TrainOptions {
        seed: 5,
        ..Default::default()
    };
    let new = |kind, options: &TrainOptions| {
        retrain(&model, &bytes, kind, &train, options, &Silent).unwrap()
    };
    let engine = new(BackendKind::Engine, &options);
    assert_eq!(
        engine.bytes[..],
        new(BackendKind::Tract, &options).bytes[..]
    );
    assert_ne!(
        engine.bytes[..],
        new(BackendKind::Engine, &TrainOptions { seed: 6, ..options }).bytes[..]
    );
    assert_eq!((engine.trained_on, engine.held_out), (63, 9));

    let retrained = Model::parse(&engine.bytes).unwrap();
    assert_eq!(
        retrained.trunk_sha256(),
        model.trunk_sha256(),
        "the trunk is frozen"
    );
    let labels: Vec<&str> = retrained.head().unwrap().record().labels.lines().collect();
    assert_eq!(labels, ["blue", "green", "red"]);
    let accuracy =
        |kind| evaluate(&retrained, kind, &val, EvaluateOptions::default(), &Silent).unwrap();
    let measured = accuracy(BackendKind::Engine);
    assert!(measured.images == 24 && measured.top1 > 0.9, "{measured:?}");
    assert_eq!(measured, accuracy(BackendKind::Tract));
    // Off by one class, hardly a picture is right; off by all, none has a class.
    let moved = |n| {
        let options = EvaluateOptions {
            class_offset: Some(n),
            ..EvaluateOptions::default()
        };
        let mut two = val.clone();
        two.items.retain(|i| i.class != Some(2));
        evaluate(&retrained, BackendKind::Engine, &two, options, &Silent)
    };
    let off = moved(1).unwrap();
    assert!(off.top1 < 0.2 && off.class_offset == 1, "{off:?}");
    assert!(matches!(moved(3), Err(EvaluateError::Dataset(_))));
}

#[test]
fn a_head_does_not_fit_another_trunk() {
    let (a, b) = (int8_model(8), int8_model(9));
    let head = Model::parse(&a).unwrap().head().unwrap().bytes();
    let mixed = edge_runtime::model::write::with_head(&b, head).unwrap();
    let error = Model::parse(&mixed).unwrap_err();
    assert_eq!(error, edge_runtime::model::ModelError::ForeignHead);
}

#[test]
fn folders_need_names_or_as_many_classes() {
    let mut nameless = source(7);
    nameless.labels.clear();
    let bytes = convert(nameless, Some(&int8()), &Silent).unwrap().bytes;
    let model = Model::parse(&bytes).unwrap();
    let result = |classes: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        class_folders(dir.path(), classes, 1, 0);
        let dataset = Dataset::open(dir.path()).unwrap();
        let options = EvaluateOptions::default();
        evaluate(&model, BackendKind::Engine, &dataset, options, &Silent)
    };
    assert_eq!(result(&["a", "b", "c", "d"]).unwrap().images, 4);
    let error = result(&["a", "b", "c"]).unwrap_err();
    assert!(matches!(
        error,
        EvaluateError::UnnamedClasses {
            folders: 3,
            classes: 4
        }
    ));
}

#[test]
fn random_weights_have_no_accuracy() {
    let dir = tempfile::tempdir().unwrap();
    class_folders(dir.path(), &CLASSES, 1, 0);
    let mut source = source(10);
    source.weights = WeightsOrigin::Random { seed: 4 };
    let bytes = convert(source.clone(), Some(&int8()), &Silent)
        .unwrap()
        .bytes;
    let model = Model::parse(&bytes).unwrap();
    let dataset = Dataset::open(dir.path()).unwrap();
    let refused = evaluate(
        &model,
        BackendKind::Engine,
        &dataset,
        EvaluateOptions::default(),
        &Silent,
    );
    assert!(matches!(
        refused,
        Err(EvaluateError::RandomWeights { seed: 4 })
    ));
}

#[test]
fn folders_are_matched_to_labels_by_name() {
    let dir = tempfile::tempdir().unwrap();
    class_folders(dir.path(), &["west", "nowhere"], 1, 0);
    let bytes = int8_model(11);
    let model = Model::parse(&bytes).unwrap();
    let dataset = Dataset::open(dir.path()).unwrap();
    let error = evaluate(
        &model,
        BackendKind::Engine,
        &dataset,
        EvaluateOptions::default(),
        &Silent,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("nowhere") && error.lines().count() == 1,
        "{error}"
    );
}

/// A batch norm behind a quantized convolution may switch a channel off: its step becomes zero with its
/// weights, and its bias has to be represented all the same.
#[test]
fn a_channel_that_a_norm_switches_off() {
    let mut source = source(6);
    let node = |g: &converter::graph::Graph, name: &str| {
        g.nodes.iter().position(|n| n.name == name).unwrap()
    };
    let (stem, norm) = (node(&source.graph, "stem"), node(&source.graph, "stem.bn"));
    let converter::graph::Op::Conv(conv) = &mut source.graph.nodes[stem].op else {
        panic!()
    };
    conv.weights
        .iter_mut()
        .for_each(|w| *w = (*w * 100.0).round() * 0.01);
    conv.weight_scales = Some(vec![0.01; conv.out_channels]);
    let converter::graph::Op::BatchNorm(norm) = &mut source.graph.nodes[norm].op else {
        panic!()
    };
    (norm.gamma[0], norm.gamma[1]) = (0.0, 1e-25);
    (norm.beta[0], norm.beta[1]) = (0.7, 0.4);
    let bytes = convert(source, Some(&int8()), &Silent).unwrap().bytes;
    let model = Model::parse(&bytes).unwrap();
    let prepared = EngineRuntime::new().prepare(&model).unwrap();
    let mut engine = prepared.observer().unwrap();
    let input = preprocess::to_i8(&crop(0, 1), &INPUT, model.input().quant);
    let quant = model.layers().next().unwrap().output.quant;
    let mut seen = vec![];
    engine
        .run(Values::I8(&input), &mut |layer, values| {
            if let (0, Values::I8(v)) = (layer, values) {
                seen = v[..2].to_vec();
            }
        })
        .unwrap();
    let real = |q: i8| quant.scale * (q as i32 - quant.zero_point as i32) as f32;
    assert!((real(seen[0]) - 0.7).abs() <= quant.scale, "{seen:?}");
    assert!((real(seen[1]) - 0.4).abs() <= quant.scale, "{seen:?}");
}

/// Generated pictures alone tell the ranges of a network without batch norms: a few values are left out.
#[test]
fn the_rule_that_nobody_named() {
    let method = |source: converter::jobs::convert::Source, calibration| {
        let options = Int8Options {
            calibration,
            rule: None,
        };
        let bytes = convert(source, Some(&options), &Silent).unwrap().bytes;
        let model = Model::parse(&bytes).unwrap();
        model.manifest().quantization.unwrap().method.to_string()
    };
    let generated = || CalibrationSource::DataFree { images: 8 };
    assert_eq!(method(source(3), generated()), "min-max");
    let mut bare = source(3);
    for node in &mut bare.graph.nodes {
        if let converter::graph::Op::BatchNorm(norm) = &mut node.op {
            norm.epsilon = 0.0; // a plain factor, as an export with folded norms has it
        }
    }
    assert_eq!(method(bare.clone(), generated()), "percentile 99.998");
    let dir = tempfile::tempdir().unwrap();
    class_folders(dir.path(), &CLASSES, 2, 0);
    let pictures = CalibrationSource::Pictures {
        folder: "pictures".into(),
        dataset: Dataset::open(dir.path()).unwrap(),
        images: 4,
    };
    assert_eq!(method(bare, pictures), "min-max");
}

#[test]
fn percentile_ranges_cut_outliers() {
    let dir = tempfile::tempdir().unwrap();
    class_folders(dir.path(), &CLASSES, 4, 0);
    let with = |rule| {
        let dataset = Dataset::open(dir.path()).unwrap();
        let calibration = CalibrationSource::Pictures {
            folder: "pictures".into(),
            dataset,
            images: 12,
        };
        let converted = convert(
            source(12),
            Some(&Int8Options { calibration, rule }),
            &Silent,
        )
        .unwrap();
        let scale = Model::parse(&converted.bytes).unwrap().output().quant.scale;
        (
            scale,
            converted.check.unwrap().agreement().unwrap(),
            converted.judged_on == JudgedOn::Unseen,
        )
    };
    let (wide, a, unseen) = with(Some(RangeRule::MinMax));
    let (narrow, b, _) = with(Some(RangeRule::Percentile(99.0)));
    assert!(narrow < wide && unseen);
    assert_eq!((a.images, b.images), (4, 4));
}

#[test]
fn the_engine_needs_no_backend_trait() {
    // As a microcontroller does it: model, arena, engine, head, nothing else.
    let bytes = int8_model(13);
    let model = Model::parse(&bytes).unwrap();
    let head = model.head().unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::new(&model, &mut arena).unwrap();
    let crop = crop(2, 3);
    engine
        .input_mut()
        .copy_from_slice(&preprocess::to_i8(&crop, &INPUT, model.input().quant));
    let (mut feature, mut logits) = (vec![0; head.features()], vec![0.0; head.classes()]);
    head.feature(engine.run(), &mut feature);
    head.logits(&feature, &mut logits);
    let mut runner = Runner::new(&model, BackendKind::Tract).unwrap();
    assert_eq!(runner.logits(&crop).unwrap(), logits);
}
