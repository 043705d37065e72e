//! The range and the channel means of every node's result, from what calibration observed and what batch
//! norms remember.

use super::assign::given;
use super::calibrate::Observed;
use super::observer::Observer;
use super::range::{Range, RangeRule, predicted};
use crate::graph::split::Split;
use crate::graph::{Graph, NodeId, Op};

/// Percentage of the values that a range covers where nothing but generated pictures tells of them.
const GENERATED_PERCENTILE: f64 = 99.998;

/// Standard deviations around a channel's mean that a data-free range covers.
const DEVIATIONS: f32 = 4.0;

/// The rule if the user names none: everything that pictures make, min-max. The edges of generated pictures
/// (`data_free`) are harder than any picture's; batch norms make up for that, without them a few values are
/// left out.
pub fn default_rule(graph: &Graph, data_free: bool) -> RangeRule {
    let remembers = |op: &Op| matches!(op, Op::Conv(c) if c.statistics.is_some());
    if data_free && !graph.nodes.iter().any(|n| remembers(&n.op)) {
        RangeRule::Percentile(GENERATED_PERCENTILE)
    } else {
        RangeRule::MinMax
    }
}

/// True if the source network says the quantization of every tensor that the file holds, so that there is
/// nothing to calibrate.
pub fn are_given(graph: &Graph, split: &Split) -> bool {
    let given = given(graph);
    let pool = split.head.and_then(|h| h.pool);
    let needed = split.layers.iter().copied().chain(pool).chain([0]);
    needed.into_iter().all(|id| given[id].is_some())
}

/// The range of every node's result; nothing but zero for nodes that were not observed. `data_free`: the
/// pictures were generated, and a range also covers what batch norms remember.
pub fn ranges(
    graph: &Graph,
    split: &Split,
    observed: &Observed,
    rule: RangeRule,
    data_free: bool,
) -> Vec<Range> {
    let range = |id: NodeId| {
        let observer = observer(split, observed, id);
        let range = observer.map_or(Range::new(0.0, 0.0), |o| Range::of(o, rule));
        match &graph.nodes[id].op {
            Op::Conv(conv) if data_free => match predicted(conv, DEVIATIONS) {
                Some(p) => Range::new(range.min.min(p.min), range.max.max(p.max)),
                None => range,
            },
            _ => range,
        }
    };
    (0..graph.nodes.len()).map(range).collect()
}

/// Mean of every channel of every node's result; empty for nodes that were not observed.
pub fn means(graph: &Graph, split: &Split, observed: &Observed) -> Vec<Vec<f32>> {
    let mean = |id: NodeId| match place(split, id) {
        Some(Place::Features) => observed.feature_means.clone(),
        Some(Place::Tensor(tensor)) => observed.means.get(tensor).cloned().unwrap_or_default(),
        None => vec![],
    };
    (0..graph.nodes.len()).map(mean).collect()
}

/// What was seen of a node's result.
fn observer<'o>(split: &Split, observed: &'o Observed, id: NodeId) -> Option<&'o Observer> {
    Some(match place(split, id)? {
        Place::Features => &observed.features,
        Place::Tensor(tensor) => &observed.tensors[tensor],
    })
}

/// Where calibration meets a node's result.
enum Place {
    /// In a tensor of the trunk.
    Tensor(usize),
    /// In the head's feature vector.
    Features,
}

fn place(split: &Split, id: NodeId) -> Option<Place> {
    if Some(id) == split.head.and_then(|h| h.pool) {
        return Some(Place::Features);
    }
    let in_trunk = id == 0 || split.layers.binary_search(&id).is_ok();
    in_trunk.then(|| Place::Tensor(split.tensor_of(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::split::split;
    use crate::graph::{Activation, ChannelStatistics, ConvWeights, Quant, Shape, Window};

    fn conv(inputs: usize, outputs: usize, statistics: Option<ChannelStatistics>) -> Op {
        Op::Conv(ConvWeights {
            window: Window::POINT,
            groups: 1,
            out_channels: outputs,
            weights: vec![1.0; inputs * outputs],
            bias: vec![0.0; outputs],
            activation: Activation::None,
            statistics: statistics.map(|s| vec![s; outputs]),
            weight_scales: None,
        })
    }

    /// A convolution of one channel on a map of 2x2, a global pool and a classifier of three classes.
    fn network(statistics: Option<ChannelStatistics>) -> Graph {
        let mut g = Graph::new(Shape::new(2, 2, 1));
        let trunk = g.push("conv", conv(1, 1, statistics), &[0]).unwrap();
        let window = Window {
            kernel: [2; 2],
            ..Window::POINT
        };
        let pool = Op::AvgPool {
            window,
            count_padding: false,
        };
        let pool = g.push("pool", pool, &[trunk]).unwrap();
        g.push("dense", conv(1, 3, None), &[pool]).unwrap();
        g
    }

    fn seen(values: [f32; 2]) -> Observer {
        let mut observer = Observer::default();
        observer.see(&values);
        observer
    }

    fn observed() -> Observed {
        Observed {
            tensors: vec![seen([-1.0, 1.0]), seen([-3.0, 2.0])],
            features: seen([0.5, 0.75]),
            means: vec![vec![0.25], vec![-0.5]],
            feature_means: vec![0.625],
        }
    }

    #[test]
    fn every_node_has_what_was_seen_of_it() {
        let graph = network(None);
        let split = split(&graph);
        let ranges = ranges(&graph, &split, &observed(), RangeRule::MinMax, true);
        let wanted = [(-1.0, 1.0), (-3.0, 2.0), (0.0, 0.75), (0.0, 0.0)];
        assert_eq!(ranges, wanted.map(|(min, max)| Range::new(min, max)));
        let means = means(&graph, &split, &observed());
        assert_eq!(means, [vec![0.25], vec![-0.5], vec![0.625], vec![]]);
    }

    #[test]
    fn batch_norms_widen_ranges_of_generated_pictures_only() {
        let graph = network(Some(ChannelStatistics {
            mean: 1.0,
            std: 0.5,
        }));
        let split = split(&graph);
        let of_conv =
            |data_free| ranges(&graph, &split, &observed(), RangeRule::MinMax, data_free)[1];
        assert_eq!(of_conv(true), Range::new(-3.0, 3.0));
        assert_eq!(of_conv(false), Range::new(-3.0, 2.0));
    }

    #[test]
    fn percentiles_only_where_nothing_remembers() {
        let statistics = ChannelStatistics {
            mean: 0.0,
            std: 1.0,
        };
        let with = network(Some(statistics));
        let percentile = RangeRule::Percentile(GENERATED_PERCENTILE);
        assert_eq!(default_rule(&network(None), true), percentile);
        assert_eq!(default_rule(&network(None), false), RangeRule::MinMax);
        assert_eq!(default_rule(&with, true), RangeRule::MinMax);
    }

    #[test]
    fn a_source_that_says_all() {
        let mut graph = network(None);
        let split = split(&graph);
        let quant = Quant {
            scale: 1.0,
            zero_point: 0,
        };
        for id in 0..3 {
            assert!(!are_given(&graph, &split));
            graph.nodes[id].quant = Some(quant);
        }
        // What the classifier gives is float.
        assert!(are_given(&graph, &split));
    }
}
