//! Stage `calibrate`: from a float network and pictures to what every tensor of it does.

use super::{ConvertError, Int8Options};
use crate::dataset::preprocess;
use crate::graph::Graph;
use crate::graph::split::split;
use crate::quantize::calibrate::observe;
use crate::quantize::range::Range;
use crate::quantize::ranges::{are_given, default_rule, means, ranges};
use crate::util::progress::Progress;
use edge_runtime::model::{Calibration, Model};

/// What is known of every node's result, and from where.
pub struct Calibrated<'o> {
    /// Real numbers that its int8 values have to cover, per node.
    pub ranges: Vec<Range>,
    /// Mean of each of its channels, per node; empty where nothing was observed.
    pub means: Vec<Vec<f32>>,
    /// The rule by which ranges follow, for the manifest.
    pub method: String,
    /// The calibration set, for the manifest.
    pub set: Calibration<'o>,
}

/// Measures the tensors of `graph`, whose float file is `float`, on `pictures`. A source that says the
/// quantization of all of them is not measured.
pub fn calibrate<'o>(
    graph: &Graph,
    float: &Model<'_>,
    pictures: &[Vec<u8>],
    options: &'o Int8Options,
    progress: &dyn Progress,
) -> Result<Calibrated<'o>, ConvertError> {
    let split = split(graph);
    let complete = are_given(graph, &split);
    let count = if complete { 0 } else { pictures.len() };
    progress.stage("calibrating", count);
    let spec = float.manifest().input;
    let input = |i: usize| preprocess::to_f32(&pictures[i], &spec);
    let data_free = options.calibration.is_data_free();
    let rule = options
        .rule
        .unwrap_or_else(|| default_rule(graph, data_free));
    let observed = observe(float, &split, rule, count, &input, &|| progress.step())?;
    let (method, set) = if complete {
        ("of the source".into(), Calibration::Source)
    } else {
        (rule.to_string(), options.calibration.record())
    };
    Ok(Calibrated {
        ranges: ranges(graph, &split, &observed, rule, data_free),
        means: means(graph, &split, &observed),
        method,
        set,
    })
}

#[cfg(test)]
mod tests {
    use super::super::pictures::generate;
    use super::super::testing::{INPUT, about, network};
    use super::super::{CalibrationSource, simplify::simplify};
    use super::*;
    use crate::graph::Quant;
    use crate::lower;
    use crate::util::progress::Silent;
    use edge_runtime::model::OutputFunction;

    static OPTIONS: Int8Options = Int8Options {
        calibration: CalibrationSource::DataFree { images: 3 },
        rule: None,
    };

    #[test]
    fn a_float_network_is_measured() {
        let graph = simplify(network(3), &INPUT, OutputFunction::Softmax).graph;
        let float = lower::float::write(&graph, &about()).unwrap();
        let pictures = generate(0..3, &INPUT, &Silent).unwrap();
        let model = Model::parse(&float).unwrap();
        let calibrated = calibrate(&graph, &model, &pictures, &OPTIONS, &Silent).unwrap();
        assert_eq!(calibrated.set, Calibration::DataFree { images: 3 });
        assert!(calibrated.method.starts_with("percentile"));
        let [input, conv, pool, dense] = calibrated.ranges[..] else {
            panic!("four nodes")
        };
        assert!(input.max > 0.0 && conv.max > 0.0 && pool.max > 0.0);
        assert!(pool.max <= conv.max, "a mean is at most the largest value");
        assert_eq!(dense, Range::new(0.0, 0.0), "logits stay float");
        let channels: Vec<usize> = calibrated.means.iter().map(Vec::len).collect();
        assert_eq!(channels, [3, 4, 4, 0]);
    }

    #[test]
    fn a_source_that_says_all_is_not_measured() {
        let mut graph = simplify(network(3), &INPUT, OutputFunction::Softmax).graph;
        let float = lower::float::write(&graph, &about()).unwrap();
        for node in &mut graph.nodes {
            node.quant = Some(Quant {
                scale: 0.25,
                zero_point: 0,
            });
        }
        let pictures = generate(0..3, &INPUT, &Silent).unwrap();
        let model = Model::parse(&float).unwrap();
        let calibrated = calibrate(&graph, &model, &pictures, &OPTIONS, &Silent).unwrap();
        assert_eq!(calibrated.set, Calibration::Source);
        assert_eq!(calibrated.method, "of the source");
        assert!(calibrated.means.iter().all(Vec::is_empty));
    }
}
