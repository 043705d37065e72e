//! For tests: simplifies an imported graph, writes it as a model and runs that on tract.

use crate::graph::Graph;
use crate::lower::About;
use crate::quantize::assign::assign;
use crate::quantize::quantize;
use crate::quantize::range::Range;
use crate::{lower, passes};
use edge_runtime::backend::{BackendKind, Session, Values};
use edge_runtime::model::{
    ChannelOrder, Filter, InputSpec, Manifest, Model, OutputFunction, ResizeRule, WeightsOrigin,
};

/// The metadata of a test model.
pub fn about(graph: &Graph) -> About<'static> {
    let shape = graph.input_shape();
    let manifest = Manifest {
        name: "test",
        source: "test",
        license: "",
        converter: "test",
        weights: WeightsOrigin::Random { seed: 0 },
        input: InputSpec {
            height: shape.h,
            width: shape.w,
            resize: ResizeRule::Squash,
            filter: Filter::Bicubic,
            order: ChannelOrder::Rgb,
            mean: [0.0; 3],
            std: [1.0; 3],
        },
        quantization: None,
        parameters: graph.parameters(),
        macs: graph.macs(),
    };
    About {
        manifest,
        labels: "",
        function: OutputFunction::Softmax,
        check: None,
        pruning: None,
    }
}

/// A session of the default backend.
fn session<'m>(model: &Model<'m>) -> Box<dyn Session + 'm> {
    let prepared = BackendKind::fastest_for(model).runtime().prepare(model);
    let session = prepared.and_then(|p| p.session());
    session.unwrap_or_else(|e| panic!("{e}"))
}

/// The outputs of the graph, its head included, for `inputs` in HWC.
pub fn evaluate(graph: Graph, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let about = about(&graph);
    let graph = passes::simplify(graph);
    let bytes = lower::float::write(&graph, &about).unwrap_or_else(|e| panic!("{e}"));
    drop(graph);
    let model = Model::parse(&bytes).unwrap_or_else(|e| panic!("{e}"));
    let mut session = session(&model);
    let mut run = |input: &Vec<f32>| {
        let Values::F32(map) = session.run(Values::F32(input)).unwrap() else {
            panic!("a float model gives floats")
        };
        let Some(head) = model.head() else {
            return map.to_vec();
        };
        let mut feature = vec![0.0; head.features()];
        head.feature_f32(map, &mut feature);
        let mut logits = vec![0.0; head.classes()];
        head.logits_f32(&feature, &mut logits);
        logits
    };
    inputs.iter().map(&mut run).collect()
}

/// The outputs in int8, for a graph from a quantized file; values without a quantization get the range -3 to
/// 3. Also returns the operators of the written layers.
pub fn evaluate_int8(graph: Graph, inputs: &[Vec<f32>]) -> (Vec<Vec<f32>>, Vec<&'static str>) {
    let about = about(&graph);
    let graph = passes::simplify(graph);
    let unknown = vec![Range::new(-3.0, 3.0); graph.nodes.len()];
    let means = vec![vec![]; graph.nodes.len()];
    let quants = assign(&graph, &about.manifest.input, &unknown);
    let network = quantize(graph, quants, &means).unwrap_or_else(|e| panic!("{e}"));
    let bytes = lower::int8::write(&network, &about).unwrap_or_else(|e| panic!("{e}"));
    let model = Model::parse(&bytes).unwrap_or_else(|e| panic!("{e}"));
    let mut session = session(&model);
    let (from, to) = (model.input().quant, model.output().quant);
    let code = |x: &f32| (x / from.scale + f32::from(from.zero_point)).round() as i8;
    let mut run = |input: &Vec<f32>| {
        let codes: Vec<i8> = input.iter().map(code).collect();
        let Values::I8(map) = session.run(Values::I8(&codes)).unwrap() else {
            panic!("an int8 model gives codes")
        };
        let Some(head) = model.head() else {
            let real = |q: &i8| to.scale * f32::from(i16::from(*q) - i16::from(to.zero_point));
            return map.iter().map(real).collect();
        };
        let mut feature = vec![0; head.features()];
        head.feature(map, &mut feature);
        let mut logits = vec![0.0; head.classes()];
        head.logits(&feature, &mut logits);
        logits
    };
    let outputs = inputs.iter().map(&mut run).collect();
    (outputs, model.layers().map(|l| l.op.name()).collect())
}

/// Reorders CHW elements to the graph's HWC.
pub fn to_hwc(x: &[f32], channels: usize) -> Vec<f32> {
    let area = x.len() / channels;
    (0..x.len())
        .map(|k| x[k % channels * area + k / channels])
        .collect()
}

/// Largest difference, in standard deviations of the expected values.
pub fn error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let n = expected.len() as f32;
    let mean = expected.iter().sum::<f32>() / n;
    let std = (expected.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt();
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    assert!(found.iter().all(|v| v.is_finite()));
    differences.fold(0.0, f32::max) / std
}
