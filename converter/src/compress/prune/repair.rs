//! Gives the layers behind removed channels the weights with which they come closest to what they computed.

use super::PruneError;
use super::channels::Channels;
use super::gram::{Gram, Moments};
use super::readers::{Reader, chosen, conv};
use super::remove::pick;
use super::walk::{self, Input, Walk};
use crate::graph::{Graph, NodeId, Op};

/// What a repair needs to know.
pub struct Repair<'r> {
    /// The network as it was.
    pub whole: &'r Graph,
    /// Its channels.
    pub channels: &'r Channels,
    /// Per unit: true if it is still there.
    pub kept: &'r [bool],
    /// How many pictures there are.
    pub pictures: usize,
    /// Their inputs.
    pub input: Input<'r>,
}

/// The sum that the result of a layer goes to, and the layer of the other summand.
pub fn sum_of(graph: &Graph, id: NodeId) -> Option<(NodeId, NodeId)> {
    let mut readers =
        (id + 1..graph.nodes.len()).filter(|&at| graph.nodes[at].inputs.contains(&id));
    let (sum, None) = (readers.next()?, readers.next()) else {
        return None;
    };
    let node = &graph.nodes[sum];
    let other = node.inputs.iter().copied().find(|input| *input != id)?;
    (matches!(node.op, Op::Add(_)) && graph.output != id).then_some((sum, other))
}

/// What one convolution has to come close to.
struct Goal {
    /// The convolution.
    conv: NodeId,
    /// The node of the whole network whose result that is: the convolution's own, or the sum's that it goes to.
    result: NodeId,
    /// The node of the smaller network whose result is subtracted: the other summand, so that the layer also makes up
    /// for what that one lacks.
    without: Option<NodeId>,
    /// The channels of the result that are still there.
    stays: Vec<bool>,
}

/// What is taken of one picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// The windows of the reader.
    Windows,
    /// The result of a node of the smaller network, at the chosen places.
    Now(NodeId),
    /// The result of a node of the whole network, at the chosen places.
    Was(NodeId),
}

impl Repair<'_> {
    /// Repairs the convolutions of one reader in `smaller`, the network without the removed units, all of whose layers
    /// before are repaired already.
    ///
    /// # Errors
    /// If the network cannot run.
    pub fn run(&self, smaller: &mut Graph, reader: &Reader) -> Result<(), PruneError> {
        let first = reader.convs[0];
        let goals: Vec<Goal> = reader.convs.iter().map(|&c| self.goal(c, first)).collect();
        let mut now = vec![reader.input];
        now.extend(goals.iter().filter_map(|g| g.without));
        let was: Vec<NodeId> = goals.iter().map(|g| g.result).collect();
        let walks = [Walk::new(smaller, &now)?, Walk::new(self.whole, &was)?];

        let filter = reader.filter(smaller);
        let share = goals
            .iter()
            .map(|g| conv(smaller, g.conv).out_channels)
            .sum::<usize>()
            / reader.groups;
        let new = || Gram::new(filter, share);
        let mut grams: Vec<Gram> = (0..reader.groups).map(|_| new()).collect();
        let take = |walk: usize, picture: usize, id: NodeId, values: &[f32]| {
            let graph = [&*smaller, self.whole][walk];
            let shape = graph.nodes[id].shape;
            // The same places in both.
            let places = chosen(reader, smaller, picture, self.pictures);
            let mut taken: Vec<(What, Vec<f32>)> = vec![];
            if walk == 0 && id == reader.input {
                let rows = reader.windows(smaller, values, places.clone());
                taken.push((What::Windows, rows));
            }
            let what = [What::Now(id), What::Was(id)][walk];
            let wanted = |goal: &Goal| [goal.without.map(What::Now), Some(What::Was(goal.result))];
            if goals.iter().flat_map(wanted).any(|w| w == Some(what)) {
                let pixel = |place| &values[place * shape.c as usize..][..shape.c as usize];
                taken.push((what, places.flat_map(pixel).copied().collect()));
            }
            taken
        };
        let mut fold = |_, taken: Vec<(What, Vec<f32>)>| {
            let of = |what: What| {
                let found = taken.iter().find(|(w, _)| *w == what);
                &found.expect("everything that is wanted was taken").1[..]
            };
            let rows = of(What::Windows);
            let count = rows.len() / (filter + 1) / reader.groups;
            let targets = targets(&goals, reader.groups, share, count, &of);
            let windows = rows.chunks_exact(count * (filter + 1));
            for ((gram, rows), targets) in grams.iter_mut().zip(windows).zip(&targets) {
                gram.add(rows, targets);
            }
        };
        walk::run(&walks, self.pictures, self.input, &take, &mut fold)?;
        for (group, gram) in grams.into_iter().enumerate() {
            let moments = gram.finish().ok_or_else(|| not_finite(smaller, reader))?;
            put(smaller, reader, group, moments);
        }
        Ok(())
    }

    /// The goal of a convolution of the reader whose first one is `first`.
    fn goal(&self, conv: NodeId, first: NodeId) -> Goal {
        // Only a summand that is repaired already can be made up for: one before all convolutions of the reader.
        let sum = sum_of(self.whole, conv).filter(|(_, other)| *other < first && *other != 0);
        let units = self.channels.of_node(conv).iter();
        Goal {
            conv,
            result: sum.map_or(conv, |(sum, _)| sum),
            without: sum.map(|(_, other)| other),
            stays: units.map(|unit| self.kept[*unit as usize]).collect(),
        }
    }
}

/// The error of windows that no weights can be fitted to.
pub fn not_finite(graph: &Graph, reader: &Reader) -> PruneError {
    PruneError::NotFinite {
        layer: graph.nodes[reader.convs[0]].name.clone(),
    }
}

/// What the convolutions of a reader should compute at `count` places: per group `[place][output]`, the outputs of one
/// convolution after the other. `of` gives results at these places.
fn targets<'t>(
    goals: &[Goal],
    groups: usize,
    share: usize,
    count: usize,
    of: &dyn Fn(What) -> &'t [f32],
) -> Vec<Vec<f32>> {
    let mut targets = vec![vec![0f32; count * share]; groups];
    let mut column = 0;
    for goal in goals {
        let (result, channels) = (of(What::Was(goal.result)), goal.stays.len());
        let without = goal.without.map(|id| of(What::Now(id)));
        let kept = goal.stays.iter().filter(|stays| **stays).count();
        let outputs = kept / groups;
        for place in 0..count {
            let values = pick(&result[place * channels..][..channels], &goal.stays);
            for (c, value) in values.into_iter().enumerate() {
                let less = without.map_or(0.0, |w| w[place * kept + c]);
                targets[c / outputs][place * share + column + c % outputs] = value - less;
            }
        }
        column += outputs;
    }
    targets
}

/// Puts the best weights of one group into the convolutions.
fn put(smaller: &mut Graph, reader: &Reader, group: usize, moments: Moments) {
    let filter = reader.filter(smaller);
    // The first weight of each output of the group.
    let mut outputs: Vec<(NodeId, usize)> = vec![];
    for &id in &reader.convs {
        let share = conv(smaller, id).out_channels / reader.groups;
        outputs.extend((group * share..(group + 1) * share).map(|c| (id, c)));
    }
    let old = |i: usize, o: usize| {
        let (id, c) = outputs[o];
        conv(smaller, id).weights[c * filter + i]
    };
    // Where all windows are empty, no weights are better than others.
    let Some(best) = moments.fit(old) else {
        return;
    };
    for (o, &(id, c)) in outputs.iter().enumerate() {
        if let Op::Conv(conv) = &mut smaller.nodes[id].op {
            let weights = conv.weights[c * filter..][..filter].iter_mut();
            weights
                .enumerate()
                .for_each(|(i, w)| *w = best[(i, o)] as f32);
            conv.bias[c] = best[(filter, o)] as f32;
            conv.weight_scales = None;
        }
    }
}
