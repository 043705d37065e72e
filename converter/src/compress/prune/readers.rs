//! Convolutions that read the same windows of the same tensor, and what those windows hold.

use super::channels::{Space, mixes};
use crate::graph::{ConvWeights, Graph, NodeId, Op, Shape, Window};

/// Convolutions with one input, one window and one number of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The node that they read.
    pub input: NodeId,
    /// Their window.
    pub window: Window,
    /// Their groups.
    pub groups: usize,
    /// The convolutions.
    pub convs: Vec<NodeId>,
}

/// The convolution of a node that is one.
pub fn conv(graph: &Graph, id: NodeId) -> &ConvWeights {
    match &graph.nodes[id].op {
        Op::Conv(conv) => conv,
        other => unreachable!("{} is no convolution", other.name()),
    }
}

/// All readers of a graph that mix channels, in the order of their first convolutions.
pub fn readers(graph: &Graph) -> Vec<Reader> {
    let mut all: Vec<Reader> = vec![];
    for id in (0..graph.nodes.len()).filter(|&id| mixes(graph, id)) {
        let (input, conv) = (graph.nodes[id].inputs[0], conv(graph, id));
        let same =
            |r: &&mut Reader| (r.input, r.window, r.groups) == (input, conv.window, conv.groups);
        match all.iter_mut().find(same) {
            Some(reader) => reader.convs.push(id),
            None => all.push(Reader {
                input,
                window: conv.window,
                groups: conv.groups,
                convs: vec![id],
            }),
        }
    }
    all
}

impl Reader {
    /// Numbers in one window of one group: those of a filter.
    pub fn filter(&self, graph: &Graph) -> usize {
        let area = (self.window.kernel[0] * self.window.kernel[1]) as usize;
        area * graph.nodes[self.input].shape.c as usize / self.groups
    }

    /// True if it reads one of these spaces.
    pub fn reads(&self, space: &Space) -> bool {
        self.convs.iter().any(|conv| space.readers.contains(conv))
    }

    /// The windows at some places of the output: group after group, as [`unfold`] writes them. `values` are those of the
    /// reader's input in `graph`.
    pub fn windows(
        &self,
        graph: &Graph,
        values: &[f32],
        places: impl Iterator<Item = usize> + Clone,
    ) -> Vec<f32> {
        let from = graph.nodes[self.input].shape;
        let to = graph.nodes[self.convs[0]].shape;
        let mut rows = vec![];
        for group in 0..self.groups {
            unfold(values, from, to, self, group, places.clone(), &mut rows);
        }
        rows
    }

    /// How many windows there are in a picture.
    pub fn places(&self, graph: &Graph) -> usize {
        let shape = graph.nodes[self.convs[0]].shape;
        (shape.h * shape.w) as usize
    }
}

/// Windows that are looked at in all pictures together, per number of a filter.
const WINDOWS: usize = 64;

/// The places of the output whose windows are looked at in picture number `picture` of `pictures`: evenly spread, others
/// in every picture.
pub fn chosen(
    reader: &Reader,
    graph: &Graph,
    picture: usize,
    pictures: usize,
) -> impl Iterator<Item = usize> + Clone {
    let places = reader.places(graph);
    let count = (reader.filter(graph) * WINDOWS)
        .div_ceil(pictures)
        .clamp(1, places);
    // The golden ratio spreads the first places of all pictures evenly.
    let shift = (picture as f64 * 0.618_033_988_749_895).fract();
    (0..count).map(move |i| (((i as f64 + shift) / count as f64) * places as f64) as usize % places)
}

/// Appends to `rows`, for each place of the output, the window of one group: `[tap][channel of the group]`, and a
/// one for the bias.
fn unfold(
    values: &[f32],
    from: Shape,
    to: Shape,
    reader: &Reader,
    group: usize,
    places: impl Iterator<Item = usize>,
    rows: &mut Vec<f32>,
) {
    let window = &reader.window;
    let channels = from.c as usize;
    let share = channels / reader.groups;
    for place in places {
        let out = [place as u32 / to.w, place as u32 % to.w];
        for tap in 0..window.kernel[0] * window.kernel[1] {
            let k = [tap / window.kernel[1], tap % window.kernel[1]];
            let at = |axis: usize, size: u32| {
                (out[axis] * window.stride[axis] + k[axis] * window.dilation[axis])
                    .checked_sub(window.pad_before[axis])
                    .filter(|&i| i < size)
            };
            match (at(0, from.h), at(1, from.w)) {
                (Some(y), Some(x)) => {
                    let first = (y * from.w + x) as usize * channels + group * share;
                    rows.extend_from_slice(&values[first..][..share]);
                }
                _ => rows.resize(rows.len() + share, 0.0),
            }
        }
        rows.push(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(kernel: u32, pad: u32, groups: usize) -> Reader {
        Reader {
            input: 0,
            window: Window {
                kernel: [kernel; 2],
                pad_before: [pad; 2],
                pad_after: [pad; 2],
                ..Window::POINT
            },
            groups,
            convs: vec![1],
        }
    }

    #[test]
    fn windows_are_in_the_order_of_the_weights() {
        // Two rows and columns of two channels; the second group has the second channel.
        let values = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0];
        let shape = Shape::new(2, 2, 2);
        let mut rows = vec![];
        unfold(
            &values,
            shape,
            shape,
            &reader(3, 1, 2),
            1,
            [0, 3].into_iter(),
            &mut rows,
        );
        #[rustfmt::skip]
        let wanted = [
            0.0, 0.0, 0.0, 0.0, 10.0, 20.0, 0.0, 30.0, 40.0, 1.0,
            10.0, 20.0, 0.0, 30.0, 40.0, 0.0, 0.0, 0.0, 0.0, 1.0,
        ];
        assert_eq!(rows, wanted);
        rows.clear();
        unfold(
            &values,
            shape,
            shape,
            &reader(1, 0, 1),
            0,
            [2].into_iter(),
            &mut rows,
        );
        assert_eq!(rows, [3.0, 30.0, 1.0]);
    }

    #[test]
    fn pictures_show_different_places() {
        let conv = ConvWeights {
            window: Window::POINT,
            groups: 1,
            out_channels: 1,
            weights: vec![1.0; 2],
            bias: vec![0.0],
            activation: crate::graph::Activation::None,
            statistics: None,
            weight_scales: None,
        };
        let mut graph = Graph::new(Shape::new(10, 10, 2));
        graph.push("conv", Op::Conv(conv), &[0]).unwrap();
        let reader = reader(1, 0, 1);
        let places = |picture, pictures| -> Vec<usize> {
            chosen(&reader, &graph, picture, pictures).collect()
        };
        // 128 windows in all.
        assert_eq!(places(0, 8).len(), 16);
        assert_ne!(places(0, 8), places(1, 8));
        assert!(places(5, 8).is_sorted() && places(5, 8).iter().all(|p| *p < 100));
        assert_eq!(places(0, 100).len(), 2);
        let mut all: Vec<usize> = (0..100).flat_map(|p| places(p, 100)).collect();
        all.sort();
        all.dedup();
        assert!(all.len() > 80, "{}", all.len());
    }
}
