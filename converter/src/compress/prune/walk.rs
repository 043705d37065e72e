//! Runs a float graph on pictures and shows the results of chosen nodes.

use super::PruneError;
use crate::graph::split::split;
use crate::graph::{Graph, GraphError, NodeId, Op, Shape, Window};
use crate::lower::{self, About};
use edge_runtime::backend::{BackendError, BackendKind, Values};
use edge_runtime::model::{
    AlignedBytes, ChannelOrder, Filter, InputSpec, Manifest, Model, OutputFunction, ResizeRule,
    WeightsOrigin,
};
use rayon::prelude::*;

/// Makes the input of picture `i`: HWC, already normalized.
pub type Input<'i> = &'i (dyn Fn(usize) -> Vec<f32> + Sync);

/// Makes of a node's result what is kept of it: `take(walk, picture, node, values)`.
pub type Take<'t, T> = &'t (dyn Fn(usize, usize, NodeId, &[f32]) -> Vec<T> + Sync);

/// A graph, cut after the last node that is wanted, as a file that a backend can run.
pub struct Walk {
    bytes: AlignedBytes,
    /// Node of the graph that each layer of the file is.
    nodes: Vec<NodeId>,
    /// Nodes from here on are none of the graph.
    end: NodeId,
}

impl Walk {
    /// For the results of the nodes `wanted`, none of which is the input.
    ///
    /// # Errors
    /// If the network does not fit the format.
    pub fn new(graph: &Graph, wanted: &[NodeId]) -> Result<Self, PruneError> {
        let cut = cut(graph, wanted)?;
        Ok(Self {
            bytes: lower::float::write(&cut, &about(graph.input_shape()))?,
            nodes: split(&cut).layers,
            end: wanted.iter().max().map_or(0, |last| last + 1),
        })
    }
}

/// Runs pictures `0..count` through several walks, on all cores. `fold` gets what was taken of one picture after
/// another, in their order.
///
/// # Errors
/// If the backend fails.
pub fn run<T: Send>(
    walks: &[Walk],
    count: usize,
    input: Input<'_>,
    take: Take<'_, T>,
    fold: &mut dyn FnMut(usize, Vec<T>),
) -> Result<(), PruneError> {
    let mut prepared = vec![];
    for walk in walks {
        let model = Model::parse(&walk.bytes)?;
        prepared.push(BackendKind::fastest_for(&model).runtime().prepare(&model)?);
    }
    let one = |picture: usize| {
        let mut taken = vec![];
        let values = input(picture);
        for (number, (walk, prepared)) in walks.iter().zip(&prepared).enumerate() {
            let mut observer = prepared.clone().observer()?;
            observer.run(Values::F32(&values), &mut |layer, values| {
                let id = walk.nodes[layer];
                if let Values::F32(values) = values
                    && id < walk.end
                {
                    taken.extend(take(number, picture, id, values));
                }
            })?;
        }
        Ok(taken)
    };
    // As many pictures are in memory at once as there are threads.
    let threads = rayon::current_num_threads();
    for first in (0..count).step_by(threads) {
        let pictures = first..count.min(first + threads);
        let taken: Vec<Vec<T>> = pictures
            .clone()
            .into_par_iter()
            .map(one)
            .collect::<Result<_, BackendError>>()?;
        pictures
            .zip(taken)
            .for_each(|(picture, taken)| fold(picture, taken));
    }
    Ok(())
}

/// The part of a graph that the wanted nodes need. What is behind them only keeps them alive, and costs nothing.
fn cut(graph: &Graph, wanted: &[NodeId]) -> Result<Graph, GraphError> {
    let last = *wanted.iter().max().expect("at least one node");
    let mut cut = Graph {
        nodes: graph.nodes[..=last].to_vec(),
        output: last,
    };
    let mut all = None;
    for &id in wanted {
        let shape = graph.nodes[id].shape;
        let window = Window {
            kernel: [shape.h, shape.w],
            ..Window::POINT
        };
        let pool = Op::AvgPool {
            window,
            count_padding: false,
        };
        let mean = cut.push(format!("mean of {id}"), pool, &[id])?;
        all = Some(match all {
            None => mean,
            Some(before) => cut.push(format!("means to {id}"), Op::Concat, &[before, mean])?,
        });
    }
    Ok(cut)
}

/// A file that nobody sees needs no story.
fn about(input: Shape) -> About<'static> {
    let order = match input.c {
        1 => ChannelOrder::Gray,
        _ => ChannelOrder::Rgb,
    };
    About {
        manifest: Manifest {
            name: "",
            source: "",
            license: "",
            converter: "",
            weights: WeightsOrigin::Random { seed: 0 },
            input: InputSpec {
                height: input.h,
                width: input.w,
                resize: ResizeRule::Squash,
                filter: Filter::Bilinear,
                order,
                mean: [0.0; 3],
                std: [1.0; 3],
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
