//! How many channels leave each space: those whose removal costs the least error for what it saves.

use super::channels::{Channels, Space, mixes};
use super::obs::Order;
use crate::graph::{Graph, NodeId};

/// What each layer of a network costs, and how that changes with its channels. The unit is the caller's: operations,
/// or milliseconds.
pub struct Costs {
    layers: Vec<LayerCost>,
}

struct LayerCost {
    cost: f64,
    /// What its input has: only for layers that mix channels.
    input: Option<Side>,
    output: Side,
}

/// One side of a layer.
struct Side {
    channels: usize,
    /// Channels of each unit of a space: `(space, channels)`.
    spaces: Vec<(usize, f64)>,
}

impl Side {
    /// The share of channels that is there after so many units have left each space.
    fn share(&self, left: &[usize]) -> f64 {
        let gone = self.spaces.iter().map(|&(s, width)| left[s] as f64 * width);
        1.0 - gone.sum::<f64>() / self.channels as f64
    }
}

impl Costs {
    /// `cost` is that of each node of the whole network.
    pub fn new(graph: &Graph, channels: &Channels, spaces: &[Space], cost: &[f64]) -> Self {
        let mut space_of = vec![None; channels.units()];
        for (number, space) in spaces.iter().enumerate() {
            space
                .units
                .iter()
                .for_each(|u| space_of[*u as usize] = Some(number));
        }
        let side = |id: NodeId| {
            let units = channels.of_node(id);
            let mut count = vec![0; spaces.len()];
            units
                .iter()
                .filter_map(|u| space_of[*u as usize])
                .for_each(|s| count[s] += 1);
            let with = count.iter().enumerate().filter(|(_, n)| **n != 0);
            Side {
                channels: units.len(),
                spaces: with
                    .map(|(s, n)| (s, *n as f64 / spaces[s].units.len() as f64))
                    .collect(),
            }
        };
        let layer = |id: NodeId| LayerCost {
            cost: cost[id],
            input: mixes(graph, id).then(|| side(graph.nodes[id].inputs[0])),
            output: side(id),
        };
        let ids = 1..graph.nodes.len();
        Self {
            layers: ids.filter(|&id| cost[id] != 0.0).map(layer).collect(),
        }
    }

    /// The cost of the network after so many units have left each space.
    pub fn total(&self, left: &[usize]) -> f64 {
        let cost = |l: &LayerCost| {
            l.cost * l.output.share(left) * l.input.as_ref().map_or(1.0, |i| i.share(left))
        };
        self.layers.iter().map(cost).sum()
    }
}

/// How many units leave each space so that the cost is at most `goal`, or as little as can be.
pub fn allocate(costs: &Costs, spaces: &[Space], orders: &[Order], goal: f64) -> Vec<usize> {
    let mut left = vec![0; spaces.len()];
    loop {
        let total = costs.total(&left);
        if total <= goal {
            return left;
        }
        let mut best: Option<(f64, usize, usize)> = None;
        for (number, (space, order)) in spaces.iter().zip(orders).enumerate() {
            for next in counts(space, order).filter(|n| *n > left[number]) {
                let mut then = left.clone();
                then[number] = next;
                let saved = total - costs.total(&then);
                let error = order.errors[next] - order.errors[left[number]];
                let price = error / saved;
                if saved > 0.0 && best.is_none_or(|(least, ..)| price < least) {
                    best = Some((price, number, next));
                }
            }
        }
        let Some((_, number, next)) = best else {
            return left;
        };
        // No more than is needed.
        let enough = counts(&spaces[number], &orders[number]).find(|&fewer| {
            let mut then = left.clone();
            then[number] = fewer;
            fewer > left[number] && costs.total(&then) <= goal
        });
        left[number] = enough.map_or(next, |fewer| fewer.min(next));
    }
}

/// The channels of a space stay a multiple of it. Kernels compute sixteen channels in the time of nine, or on a
/// microcontroller four; a narrow layer has not so many to choose from.
pub fn granule(space: &Space) -> usize {
    match space.units.len() * space.width {
        ..32 => 4,
        32..64 => 8,
        64.. => 16,
    }
}

/// How many units leave a space together.
fn step(space: &Space) -> usize {
    (granule(space) / space.width).max(1)
}

/// How many units may leave a space: such that the rest is a multiple of the granule.
fn counts<'o>(space: &'o Space, order: &'o Order) -> impl Iterator<Item = usize> + 'o {
    let (units, step) = (space.units.len(), step(space));
    (1..=order.leaving.len()).filter(move |left| (units - left).is_multiple_of(step))
}

/// The fewest units that a space keeps: an eighth, and a granule.
pub fn least(space: &Space) -> usize {
    let step = step(space);
    (space.units.len() / 8).max(1).next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(units: usize) -> Space {
        Space {
            writers: vec![1],
            readers: vec![2],
            units: (0..units as u32).collect(),
            width: 1,
        }
    }

    /// An order whose unit `i` costs `first * growth^i`.
    fn curve(units: usize, first: f64, growth: f64) -> Order {
        let mut errors = vec![0.0];
        for i in 0..units {
            errors.push(errors[i] + first * growth.powi(i as i32));
        }
        Order {
            leaving: (0..units).collect(),
            errors,
        }
    }

    /// Two layers, each of which mixes the channels of its own space.
    fn costs(each: [f64; 2], units: usize) -> Costs {
        let side = |spaces| Side {
            channels: units,
            spaces,
        };
        let layer = |(space, cost)| LayerCost {
            cost,
            input: Some(side(vec![(space, 1.0)])),
            output: side(vec![]),
        };
        Costs {
            layers: each.into_iter().enumerate().map(layer).collect(),
        }
    }

    #[test]
    fn what_costs_least_for_what_it_saves_leaves() {
        let spaces = [space(32), space(32)];
        let orders = [curve(28, 1.0, 1.1), curve(28, 1.0, 1.1)];
        // The first layer's channels save three times as much.
        let left = allocate(&costs([3.0, 1.0], 32), &spaces, &orders, 3.0);
        assert!(left[0] > left[1], "{left:?}");
        let total = costs([3.0, 1.0], 32).total(&left);
        // A granule of the first layer is 0.75.
        assert!(total <= 3.0 && total > 2.25, "{total}");
        // Errors that are ten times as large weigh more than that.
        let orders = [curve(28, 10.0, 1.1), curve(28, 1.0, 1.1)];
        let left = allocate(&costs([3.0, 1.0], 32), &spaces, &orders, 3.5);
        assert!(left[0] < left[1], "{left:?}");
    }

    #[test]
    fn a_jump_that_pays_is_not_made_further_than_needed() {
        // The first granule is dear, the others are free.
        let jump = Order {
            leaving: (0..48).collect(),
            errors: (0..=48).map(|i| f64::from(u8::from(i > 0))).collect(),
        };
        let left = allocate(
            &costs([1.0, 0.0], 64),
            &[space(64), space(64)],
            &[jump, curve(48, 1.0, 1.0)],
            0.7,
        );
        assert_eq!(left, [32, 0]);
    }

    #[test]
    fn what_is_out_of_reach_leaves_as_little_as_can_be() {
        let orders = [curve(48, 1.0, 1.0), curve(48, 1.0, 1.0)];
        // What saves nothing stays.
        let left = allocate(
            &costs([1.0, 0.0], 64),
            &[space(64), space(64)],
            &orders,
            0.0,
        );
        assert_eq!(left, [48, 0]);
    }

    #[test]
    fn channels_stay_multiples_of_the_granule() {
        for (units, wanted) in [(16, 4), (24, 4), (32, 8), (64, 16), (100, 16), (1280, 16)] {
            let space = space(units);
            assert_eq!(granule(&space), wanted);
            let order = curve(units - least(&space), 1.0, 1.01);
            for left in counts(&space, &order) {
                assert!((units - left).is_multiple_of(wanted));
                assert!(units - left >= least(&space));
            }
            assert!(least(&space) >= units / 8, "{units}");
        }
        // A unit of two channels.
        let pairs = Space {
            width: 2,
            ..space(32)
        };
        assert_eq!((granule(&pairs), step(&pairs)), (16, 8));
    }
}
