//! Runs an imported graph the fast way: simplified, written as a float model, and on tract.

use crate::graph::Graph;
use crate::{lower, passes};
use edge_runtime::backend::{Backend, TractBackend, Values};
use edge_runtime::model::{
    ChannelOrder, Filter, InputSpec, Manifest, Model, ResizeRule, WeightsOrigin,
};

/// The graph's outputs for `inputs` (HWC), its head included.
pub fn evaluate(graph: Graph, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
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
    let graph = passes::simplify(graph);
    let bytes = lower::float::write(&graph, &manifest, "").unwrap_or_else(|e| panic!("{e}"));
    drop(graph);
    let model = Model::parse(&bytes).unwrap_or_else(|e| panic!("{e}"));
    let mut backend = TractBackend::new(&model).unwrap_or_else(|e| panic!("{e}"));
    let mut run = |input: &Vec<f32>| {
        let Values::F32(map) = backend.run(Values::F32(input)).unwrap() else {
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

/// NCHW elements in the order of the graph.
pub fn to_hwc(x: &[f32], channels: usize) -> Vec<f32> {
    let area = x.len() / channels;
    (0..x.len())
        .map(|k| x[k % channels * area + k / channels])
        .collect()
}

/// Largest difference, in standard deviations of what is expected.
pub fn error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let n = expected.len() as f32;
    let mean = expected.iter().sum::<f32>() / n;
    let std = (expected.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt();
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    assert!(found.iter().all(|v| v.is_finite()));
    differences.fold(0.0, f32::max) / std
}
