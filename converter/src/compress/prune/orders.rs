//! Runs the whole network on pictures, and finds for every space in which order its units leave.

use super::PruneError;
use super::allocate::least;
use super::channels::{Channels, Space};
use super::gram::{Gram, Moments};
use super::obs::{Order, Part, order};
use super::readers::{Reader, chosen, conv};
use super::repair::{not_finite, sum_of};
use super::walk::{self, Input, Walk};
use crate::graph::{Graph, NodeId};
use crate::util::progress::Progress;
use std::collections::BTreeMap;

/// What the search for orders needs to know.
pub struct Search<'s> {
    /// The network.
    pub graph: &'s Graph,
    /// Its channels.
    pub channels: &'s Channels,
    /// The spaces to order.
    pub spaces: &'s [Space],
    /// All readers of the network.
    pub readers: &'s [Reader],
    /// How many pictures there are.
    pub pictures: usize,
    /// Their inputs.
    pub input: Input<'s>,
}

/// Sums and sums of squares of every channel of a node's result, and of how many values each is.
#[derive(Clone, Debug, Default)]
struct Sums {
    channels: Vec<[f64; 2]>,
    count: usize,
}

impl Sums {
    fn of(values: &[f32], channels: usize) -> Self {
        let mut sums = vec![[0f64; 2]; channels];
        for pixel in values.chunks_exact(channels) {
            for (sum, v) in sums.iter_mut().zip(pixel) {
                let v = f64::from(*v);
                *sum = [sum[0] + v, sum[1] + v * v];
            }
        }
        Self {
            channels: sums,
            count: values.len() / channels,
        }
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.channels.resize(other.channels.len(), [0.0; 2]);
        for (a, b) in self.channels.iter_mut().zip(&other.channels) {
            *a = [a[0] + b[0], a[1] + b[1]];
        }
    }

    /// The variance of all channels together.
    fn variance(&self) -> f64 {
        let n = self.count.max(1) as f64;
        let of_channel = |[sum, squares]: &[f64; 2]| squares / n - (sum / n).powi(2);
        self.channels
            .iter()
            .map(of_channel)
            .sum::<f64>()
            .max(f64::MIN_POSITIVE)
    }
}

/// What is taken of one picture.
enum Taken {
    /// Windows of a reader, by its number.
    Windows(usize, Vec<f32>),
    /// Sums of a node's result.
    Sums(NodeId, Sums),
}

impl Search<'_> {
    /// The orders of all spaces, each down to the fewest units that it keeps. There is at least one space.
    ///
    /// # Errors
    /// If the network cannot run.
    pub fn run(&self, progress: &dyn Progress) -> Result<Vec<Order>, PruneError> {
        let reads = |reader: &&Reader| self.spaces.iter().any(|space| reader.reads(space));
        let readers: Vec<&Reader> = self.readers.iter().filter(reads).collect();
        progress.stage("watching channels", self.pictures);
        let (grams, sums) = self.watch(&readers, progress)?;
        progress.stage("ordering channels", readers.len() + self.spaces.len());
        let mut parts: Vec<Vec<Part>> = self.spaces.iter().map(|_| vec![]).collect();
        for (reader, grams) in readers.iter().zip(grams) {
            for (group, gram) in grams.into_iter().enumerate() {
                let moments = gram.finish();
                let moments = moments.ok_or_else(|| not_finite(self.graph, reader))?;
                self.parts(reader, group, &moments, &sums, &mut parts);
            }
            progress.step();
        }
        let orders = self.spaces.iter().zip(parts).map(|(space, parts)| {
            let order = order(parts, space.units.len(), least(space));
            progress.step();
            order
        });
        Ok(orders.collect())
    }

    /// The node whose variance the errors of a convolution are shares of: the sum that its result goes to, or itself.
    fn goal(&self, conv: NodeId) -> NodeId {
        sum_of(self.graph, conv).map_or(conv, |(sum, _)| sum)
    }

    /// Sums up the windows of readers, per group, and the results that errors are shares of.
    #[expect(clippy::type_complexity, reason = "two results, each plain")]
    fn watch(
        &self,
        readers: &[&Reader],
        progress: &dyn Progress,
    ) -> Result<(Vec<Vec<Gram>>, BTreeMap<NodeId, Sums>), PruneError> {
        let graph = self.graph;
        let convs = readers.iter().flat_map(|r| &r.convs);
        let goals: Vec<NodeId> = convs.map(|&conv| self.goal(conv)).collect();
        let mut wanted: Vec<NodeId> = readers
            .iter()
            .map(|r| r.input)
            .chain(goals.iter().copied())
            .collect();
        wanted.sort();
        wanted.dedup();
        let walk = [Walk::new(graph, &wanted)?];
        let take = |_, picture: usize, id: NodeId, values: &[f32]| {
            let shape = graph.nodes[id].shape;
            let mut all = vec![];
            for (number, reader) in readers.iter().enumerate().filter(|(_, r)| r.input == id) {
                let places = chosen(reader, graph, picture, self.pictures);
                let rows = reader.windows(graph, values, places);
                all.push(Taken::Windows(number, rows));
            }
            if goals.contains(&id) {
                all.push(Taken::Sums(id, Sums::of(values, shape.c as usize)));
            }
            all
        };
        let new = |r: &&Reader| {
            (0..r.groups)
                .map(|_| Gram::new(r.filter(graph), 0))
                .collect()
        };
        let mut grams: Vec<Vec<Gram>> = readers.iter().map(new).collect();
        let mut sums: BTreeMap<NodeId, Sums> = BTreeMap::new();
        let mut fold = |_, taken: Vec<Taken>| {
            for one in taken {
                match one {
                    Taken::Windows(number, rows) => {
                        let length = rows.len() / readers[number].groups;
                        let groups = grams[number].iter_mut().zip(rows.chunks_exact(length));
                        groups.for_each(|(gram, rows)| gram.add(rows, &[]));
                    }
                    Taken::Sums(id, more) => sums.entry(id).or_default().add(&more),
                }
            }
            progress.step();
        };
        walk::run(&walk, self.pictures, self.input, &take, &mut fold)?;
        Ok((grams, sums))
    }

    /// Gives every space that a reader reads its part of the reader's weights in one group.
    fn parts(
        &self,
        reader: &Reader,
        group: usize,
        moments: &Moments,
        sums: &BTreeMap<NodeId, Sums>,
        parts: &mut [Vec<Part>],
    ) {
        // What never holds anything costs nothing.
        let Some(inverse) = moments.inverse() else {
            return;
        };
        let filter = reader.filter(self.graph);
        // The filters of the group, and what makes errors of their outputs shares of a variance.
        let mut filters: Vec<(&[f32], f64)> = vec![];
        for &id in &reader.convs {
            let conv = conv(self.graph, id);
            let scale = sums[&self.goal(id)].variance().sqrt().recip();
            let share = conv.out_channels / reader.groups * filter;
            let of_group = conv.weights[group * share..][..share].chunks_exact(filter);
            filters.extend(of_group.map(|f| (f, scale)));
        }
        let ins = self.graph.nodes[reader.input].shape.c as usize / reader.groups;
        let units = &self.channels.of_node(reader.input)[group * ins..][..ins];
        for (space, parts) in self.spaces.iter().zip(parts) {
            if !reader.reads(space) {
                continue;
            }
            let rows_of = |unit: &u32| -> Vec<usize> {
                let channels = (0..ins).filter(|c| units[*c] == *unit);
                channels
                    .flat_map(|c| (0..filter / ins).map(move |tap| tap * ins + c))
                    .collect()
            };
            let rows: Vec<Vec<usize>> = space.units.iter().map(rows_of).collect();
            let weight = |i: usize, o: usize| f64::from(filters[o].0[i]) * filters[o].1;
            parts.push(Part::new(
                &rows,
                filters.len(),
                |i, j| inverse[(i, j)],
                weight,
            ));
        }
    }
}
