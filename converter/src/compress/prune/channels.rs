//! Which channels of a network can only be removed together, and which not at all.
//!
//! A channel of a layer is read and passed on by others: a sum needs the same channel of both inputs, a
//! depthwise filter belongs to one channel, a concatenation puts channels behind each other. [`Channels`] joins
//! all that must go together to a **unit**. Only dense and grouped convolutions end units: they mix their input's
//! channels, so that an input channel can leave with its column of weights, and an output channel with its row.
//!
//! A **space** is what a choice is made in: all units that are in the same nodes, e.g. the inner
//! channels of a block, or the channels that a stage of a ResNet adds to.

use crate::graph::{Graph, NodeId, Op};
use std::collections::BTreeMap;

/// The units of a network.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Unit of each channel of each node's result.
    of: Vec<Vec<u32>>,
    /// Per unit: true if it has to stay.
    fixed: Vec<bool>,
}

/// Units that are in the same nodes, so that they are written and read by the same convolutions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The convolutions whose output has these units.
    pub writers: Vec<NodeId>,
    /// The convolutions that mix these units into others.
    pub readers: Vec<NodeId>,
    /// The units, in the order of the channels.
    pub units: Vec<u32>,
    /// How many channels of a layer one unit is: more than one in grouped convolutions.
    pub width: usize,
}

/// True if a convolution mixes channels: it is not depthwise.
pub fn mixes(graph: &Graph, id: NodeId) -> bool {
    match &graph.nodes[id].op {
        Op::Conv(conv) => {
            let channels = graph.nodes[graph.nodes[id].inputs[0]].shape.c as usize;
            channels > conv.groups || conv.groups == 1
        }
        _ => false,
    }
}

impl Channels {
    /// Finds the units of a simplified graph.
    pub fn of(graph: &Graph) -> Self {
        let mut first = vec![0];
        for node in &graph.nodes {
            first.push(first.last().unwrap() + node.shape.c as usize);
        }
        let mut union = Union::new(*first.last().unwrap());
        let mut fixed: Vec<usize> = vec![];
        for (id, node) in graph.nodes.iter().enumerate() {
            let count = node.shape.c as usize;
            let at = |input: usize, c: usize| first[node.inputs[input]] + c;
            let own = |c: usize| first[id] + c;
            let channels = |input: usize| graph.nodes[node.inputs[input]].shape.c as usize;
            match &node.op {
                Op::Input => fixed.extend((0..count).map(own)),
                Op::Conv(conv) if mixes(graph, id) => {
                    // All groups keep the same number of channels: the same place of each leaves.
                    let (ins, outs) = (channels(0) / conv.groups, count / conv.groups);
                    (0..channels(0)).for_each(|c| union.join(at(0, c % ins), at(0, c)));
                    (0..count).for_each(|c| union.join(own(c % outs), own(c)));
                }
                Op::Conv(conv) => {
                    let outs = count / conv.groups;
                    (0..count).for_each(|c| union.join(at(0, c / outs), own(c)));
                }
                Op::BatchNorm(_)
                | Op::Activation(_)
                | Op::MaxPool(_)
                | Op::AvgPool { .. }
                | Op::PRelu(_)
                | Op::Add(_)
                | Op::Mul => {
                    for input in 0..node.inputs.len() {
                        (0..count).for_each(|c| union.join(at(input, c), own(c)));
                    }
                }
                Op::LocalResponseNorm(_) => {
                    // A channel's result depends on its neighbours.
                    (0..count).for_each(|c| union.join(at(0, c), own(c)));
                    fixed.extend((0..count).map(own));
                }
                Op::Concat => {
                    let mut done = 0;
                    for input in 0..node.inputs.len() {
                        let part = channels(input);
                        (0..part).for_each(|c| union.join(at(input, c), own(done + c)));
                        done += part;
                    }
                }
                Op::Slice { start, .. } => {
                    (0..count).for_each(|c| union.join(at(0, start[2] as usize + c), own(c)));
                }
                Op::Pad { before, .. } => {
                    (0..channels(0))
                        .for_each(|c| union.join(at(0, c), own(before[2] as usize + c)));
                }
                Op::Shuffle { groups } => {
                    // The matrix of channels loses whole columns.
                    let columns = count / *groups as usize;
                    for c in 0..count {
                        let from = c % *groups as usize * columns + c / *groups as usize;
                        union.join(at(0, from), own(c));
                        union.join(at(0, from % columns), at(0, from));
                    }
                }
            }
        }
        fixed.extend(first[graph.output]..first[graph.output + 1]);
        let mut numbers = BTreeMap::new();
        let mut number = |root: usize| {
            let next = numbers.len() as u32;
            *numbers.entry(root).or_insert(next)
        };
        let flat: Vec<u32> = (0..*first.last().unwrap())
            .map(|i| number(union.root(i)))
            .collect();
        let mut is_fixed = vec![false; numbers.len()];
        fixed
            .into_iter()
            .for_each(|i| is_fixed[flat[i] as usize] = true);
        Self {
            of: first
                .windows(2)
                .map(|w| flat[w[0]..w[1]].to_vec())
                .collect(),
            fixed: is_fixed,
        }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        self.fixed.len()
    }

    /// The unit of each channel of a node's result.
    pub fn of_node(&self, id: NodeId) -> &[u32] {
        &self.of[id]
    }

    /// The spaces that channels can be removed from, in the order of their first writers.
    pub fn spaces(&self, graph: &Graph) -> Vec<Space> {
        let mut writers = vec![vec![]; self.units()];
        let mut readers = vec![vec![]; self.units()];
        let mut width = vec![0; self.units()];
        let mut nodes: Vec<Vec<NodeId>> = vec![vec![]; self.units()];
        for id in (0..graph.nodes.len()).filter(|&id| mixes(graph, id)) {
            let input = graph.nodes[id].inputs[0];
            for (list, node) in [(&mut writers, id), (&mut readers, input)] {
                for &unit in &self.of[node] {
                    let of_unit: &mut Vec<NodeId> = &mut list[unit as usize];
                    if of_unit.last() != Some(&id) {
                        of_unit.push(id);
                    }
                }
            }
        }
        for (id, channels) in self.of.iter().enumerate() {
            let mut here: BTreeMap<u32, usize> = BTreeMap::new();
            channels
                .iter()
                .for_each(|unit| *here.entry(*unit).or_default() += 1);
            for (unit, count) in here {
                width[unit as usize] = count.max(width[unit as usize]);
                nodes[unit as usize].push(id);
            }
        }
        // Units that are in the same nodes: a space leaves no part of a slice or a concatenation without channels.
        let mut spaces: BTreeMap<&[NodeId], Space> = BTreeMap::new();
        for unit in 0..self.units() {
            // Zeros of a padding have no writer, and what nothing reads is the output.
            if self.fixed[unit] || writers[unit].is_empty() || readers[unit].is_empty() {
                continue;
            }
            let space = spaces.entry(&nodes[unit]).or_insert_with(|| Space {
                writers: writers[unit].clone(),
                readers: readers[unit].clone(),
                units: vec![],
                width: width[unit],
            });
            space.units.push(unit as u32);
        }
        let mut spaces: Vec<Space> = spaces.into_values().collect();
        spaces.sort_by(|a, b| (&a.writers, &a.units).cmp(&(&b.writers, &b.units)));
        spaces
    }
}

/// Disjoint sets.
struct Union(Vec<usize>);

impl Union {
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    /// Joins two sets. The smaller root stays, so that units are numbered in the order of the channels.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.0[high] = low;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Activation, ConvWeights, Shape, Window};

    fn conv(out: usize, ins: usize, groups: usize) -> Op {
        Op::Conv(ConvWeights {
            window: Window::POINT,
            groups,
            out_channels: out,
            weights: vec![1.0; out * ins / groups],
            bias: vec![0.0; out],
            activation: Activation::None,
            statistics: None,
            weight_scales: None,
        })
    }

    /// Builds a graph of named nodes.
    fn graph(channels: u32, nodes: &[(&str, Op, &[usize])]) -> Graph {
        let mut g = Graph::new(Shape::new(4, 4, channels));
        for (name, op, inputs) in nodes {
            g.push(*name, op.clone(), inputs).unwrap();
        }
        g
    }

    /// Writers, readers, number of units and width of every space.
    fn spaces(g: &Graph) -> Vec<(Vec<NodeId>, Vec<NodeId>, usize, usize)> {
        let spaces = Channels::of(g).spaces(g).into_iter();
        spaces
            .map(|s| (s.writers, s.readers, s.units.len(), s.width))
            .collect()
    }

    #[test]
    fn a_chain_has_a_space_between_any_two_layers() {
        let g = graph(
            3,
            &[
                ("a", conv(8, 3, 1), &[0]),
                ("depthwise", conv(8, 8, 8), &[1]),
                ("b", conv(4, 8, 1), &[2]),
                ("relu", Op::Activation(Activation::Relu), &[3]),
                ("dense", conv(2, 4, 1), &[4]),
            ],
        );
        // The depthwise layer only passes channels on; input and output stay.
        assert_eq!(
            spaces(&g),
            [(vec![1], vec![3], 8, 1), (vec![3], vec![5], 4, 1)]
        );
    }

    #[test]
    fn what_is_added_leaves_together() {
        let g = graph(
            3,
            &[
                ("stem", conv(8, 3, 1), &[0]),
                ("inner", conv(4, 8, 1), &[1]),
                ("outer", conv(8, 4, 1), &[2]),
                ("sum", Op::Add(Activation::Relu), &[1, 3]),
                ("dense", conv(2, 8, 1), &[4]),
            ],
        );
        let wanted = [(vec![1, 3], vec![2, 5], 8, 1), (vec![2], vec![3], 4, 1)];
        assert_eq!(spaces(&g), wanted);
    }

    #[test]
    fn a_concatenation_has_the_spaces_of_its_parts() {
        let g = graph(
            3,
            &[
                ("a", conv(4, 3, 1), &[0]),
                ("b", conv(6, 3, 1), &[0]),
                ("concat", Op::Concat, &[1, 2]),
                ("norm", conv(10, 10, 10), &[3]),
                ("c", conv(5, 10, 1), &[4]),
                ("both", Op::Concat, &[3, 5]),
                ("dense", conv(2, 15, 1), &[6]),
            ],
        );
        let wanted = [
            (vec![1], vec![5, 7], 4, 1),
            (vec![2], vec![5, 7], 6, 1),
            (vec![5], vec![7], 5, 1),
        ];
        assert_eq!(spaces(&g), wanted);
    }

    #[test]
    fn a_gate_leaves_with_its_map() {
        let pool = Op::AvgPool {
            window: Window {
                kernel: [4; 2],
                ..Window::POINT
            },
            count_padding: false,
        };
        let g = graph(
            3,
            &[
                ("a", conv(8, 3, 1), &[0]),
                ("pool", pool, &[1]),
                ("squeeze", conv(2, 8, 1), &[2]),
                ("excite", conv(8, 2, 1), &[3]),
                ("gate", Op::Mul, &[1, 4]),
                ("dense", conv(2, 8, 1), &[5]),
            ],
        );
        let wanted = [(vec![1, 4], vec![3, 6], 8, 1), (vec![3], vec![4], 2, 1)];
        assert_eq!(spaces(&g), wanted);
    }

    #[test]
    fn groups_and_shuffles_lose_the_same_place_of_each_group() {
        let g = graph(
            3,
            &[
                ("a", conv(12, 3, 1), &[0]),
                ("grouped", conv(6, 12, 3), &[1]),
                ("shuffle", Op::Shuffle { groups: 3 }, &[2]),
                ("depthwise", conv(6, 6, 6), &[3]),
                ("dense", conv(2, 6, 1), &[4]),
            ],
        );
        // Four places of three channels, and two.
        assert_eq!(
            spaces(&g),
            [(vec![1], vec![2], 4, 3), (vec![2], vec![5], 2, 3)]
        );
        let channels = Channels::of(&g);
        let [a, b] = channels.of_node(2)[..2] else {
            panic!("six channels")
        };
        assert_eq!(channels.of_node(2), [a, b, a, b, a, b]);
        assert_eq!(channels.of_node(3), [a, a, a, b, b, b]);
    }

    #[test]
    fn slices_and_paddings_know_their_channels() {
        let slice = |first: u32, channels: u32| Op::Slice {
            start: [0, 0, first],
            step: [1, 1],
            shape: Shape::new(4, 4, channels),
        };
        let pad = Op::Pad {
            before: [0, 0, 1],
            after: [0, 0, 3],
        };
        let g = graph(
            3,
            &[
                ("a", conv(6, 3, 1), &[0]),
                ("first", slice(0, 2), &[1]),
                ("second", slice(2, 4), &[1]),
                ("wide", pad, &[2]),
                ("b", conv(6, 4, 1), &[3]),
                ("sum", Op::Add(Activation::None), &[4, 5]),
                ("dense", conv(2, 6, 1), &[6]),
            ],
        );
        let wanted = [
            // Channels 0 and 1 of a are channels 1 and 2 of the sum.
            (vec![1, 5], vec![7], 2, 1),
            (vec![1], vec![5], 4, 1),
            // The others of the sum are zeros on one side.
            (vec![5], vec![7], 4, 1),
        ];
        let mut got = spaces(&g);
        got.sort();
        let mut wanted = wanted.to_vec();
        wanted.sort();
        assert_eq!(got, wanted);
    }

    #[test]
    fn neighbours_of_a_norm_stay() {
        let norm = crate::graph::LocalResponseNorm {
            size: 3,
            alpha: 1.0,
            beta: 0.75,
            bias: 1.0,
        };
        let g = graph(
            3,
            &[
                ("a", conv(8, 3, 1), &[0]),
                ("norm", Op::LocalResponseNorm(norm), &[1]),
                ("dense", conv(2, 8, 1), &[2]),
            ],
        );
        assert!(spaces(&g).is_empty());
    }
}
