//! Removes channels from a network, without training it.
//!
//! 1. [`channels`] finds which channels can only leave together, and the [spaces](Space) that they leave from.
//! 2. The network runs on pictures, and the second moments of what every convolution reads are summed up.
//! 3. [`obs`] says for every space in which order its channels leave, and what error each costs after the best
//!    repair.
//! 4. [`mod@allocate`] takes from every space what costs the least error for what it saves: operations, or measured time.
//! 5. [`mod@remove`] takes the channels out, and the layers behind them get, one after another, the weights with which
//!    they come closest to what the whole network computes there.
//!
//! `docs/reference/pruning.md` says what comes of it. Knows nothing of int8, of files and of boards.

pub mod allocate;
pub mod channels;
mod gram;
pub mod obs;
mod orders;
mod readers;
pub mod remove;
mod repair;
mod unfuse;
mod walk;

pub use allocate::granule;
pub use walk::Input;

use crate::graph::{Graph, GraphError, Node, NodeId, Op};
use crate::lower::LowerError;
use crate::passes;
use crate::util::progress::Progress;
use allocate::{Costs, allocate, least};
use channels::{Channels, Space};
use edge_runtime::backend::BackendError;
use edge_runtime::model::ModelError;
use obs::Order;
use orders::Search;
use readers::{Reader, readers};
use remove::remove;
use repair::Repair;
use unfuse::unfuse;

/// Largest filter whose second moments are kept: a square of so many numbers, twice. Spaces with larger readers, in
/// front of the first fully connected layer of AlexNet or VGG, stay whole.
const LARGEST_FILTER: usize = 6000;

/// Why a network cannot be pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The smaller network does not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The network does not fit the format.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The network cannot run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network cannot run.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// There is nothing to choose from.
    #[error(
        "no channel of this network can be removed: input and output stay, and so do channels next to a local response norm, those that are read only where the map is one pixel or by filters of more than {LARGEST_FILTER} numbers, and those of layers that have four or fewer"
    )]
    Nothing,
    /// No weights can be fitted to what a layer reads.
    #[error(
        "layer '{layer}' reads numbers that are not finite, or too large to compute with; check what pixels the network wants (--normalize)"
    )]
    NotFinite {
        /// The layer.
        layer: String,
    },
    /// There are too few pictures to fit weights to.
    #[error(
        "{pictures} pictures are too few to prune this network on: {needed} would do (layer '{layer}' reads more numbers than they show places)"
    )]
    TooFew {
        /// How many there are.
        pictures: usize,
        /// How many would do.
        needed: usize,
        /// The layer that needs most.
        layer: String,
    },
    /// Even with all channels removed that can be, the network costs more.
    #[error("pruning can take at most {:.1} % of the cost of this network", 100.0 * .most)]
    OutOfReach {
        /// The largest share of the cost that can be removed.
        most: f64,
    },
}

/// A smaller network.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// The network.
    pub graph: Graph,
    /// The share of the cost that is gone, as predicted.
    pub share: f64,
    /// Where channels left, in the order of the network.
    pub spaces: Vec<PrunedSpace>,
}

/// What left a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedSpace {
    /// Name of the first layer that writes its channels.
    pub layer: String,
    /// Channels of that layer that are there.
    pub kept: usize,
    /// Channels of the space that there were.
    pub of: usize,
}

/// A network, ready to be made smaller by any share.
pub struct Pruner<'p> {
    whole: Graph,
    channels: Channels,
    spaces: Vec<Space>,
    readers: Vec<Reader>,
    orders: Vec<Order>,
    pictures: usize,
    input: Input<'p>,
}

/// Multiply-accumulate operations of a node.
pub fn macs(node: &Node) -> f64 {
    match &node.op {
        Op::Conv(conv) => (node.shape.len() * (conv.weights.len() / conv.out_channels)) as f64,
        _ => 0.0,
    }
}

impl<'p> Pruner<'p> {
    /// Watches a simplified graph on pictures; `input` makes the inputs of pictures `0..pictures`.
    ///
    /// # Errors
    /// If there are too few pictures, or no channel can leave.
    pub fn new(
        graph: &Graph,
        pictures: usize,
        input: Input<'p>,
        progress: &dyn Progress,
    ) -> Result<Self, PruneError> {
        let whole = unfuse(graph)?;
        let channels = Channels::of(&whole);
        let readers = readers(&whole);
        let spaces = choice(&whole, &channels, &readers, pictures)?;
        let search = Search {
            graph: &whole,
            channels: &channels,
            spaces: &spaces,
            readers: &readers,
            pictures,
            input,
        };
        let orders = search.run(&least, progress)?;
        Ok(Self {
            whole,
            channels,
            spaces,
            readers,
            orders,
            pictures,
            input,
        })
    }

    /// The network without so many channels that it costs `share` less. `cost` is what each node costs in the whole
    /// network; nodes have the names of the graph's.
    ///
    /// # Errors
    /// If not so much can go, or the network cannot run.
    pub fn prune(
        &self,
        share: f64,
        cost: &dyn Fn(&Node) -> f64,
        progress: &dyn Progress,
    ) -> Result<Pruned, PruneError> {
        let costs = costs(&self.whole, &self.channels, &self.spaces, cost);
        let all = costs.total(&vec![0; self.spaces.len()]);
        let left = allocate(&costs, &self.spaces, &self.orders, all * (1.0 - share));
        let gone = gone(&costs, &left);
        if gone < share {
            return Err(PruneError::OutOfReach { most: gone });
        }
        let kept = self.kept(&left);
        let mut smaller = remove(&self.whole, &self.channels, &kept)?;
        self.repair(&mut smaller, &kept, progress)?;
        let space = |(space, left): (&Space, usize)| PrunedSpace {
            layer: self.whole.nodes[space.writers[0]].name.clone(),
            kept: (space.units.len() - left) * space.width,
            of: space.units.len() * space.width,
        };
        Ok(Pruned {
            graph: passes::simplify(smaller),
            share: gone,
            spaces: self.spaces.iter().zip(left).map(space).collect(),
        })
    }

    /// Per unit: true if it stays when so many have left each space.
    fn kept(&self, left: &[usize]) -> Vec<bool> {
        let mut kept = vec![true; self.channels.units()];
        for ((space, order), left) in self.spaces.iter().zip(&self.orders).zip(left) {
            for unit in &order.leaving[..*left] {
                kept[space.units[*unit] as usize] = false;
            }
        }
        kept
    }

    /// Repairs every layer that reads fewer channels than before.
    fn repair(
        &self,
        smaller: &mut Graph,
        kept: &[bool],
        progress: &dyn Progress,
    ) -> Result<(), PruneError> {
        let repair = Repair {
            whole: &self.whole,
            channels: &self.channels,
            kept,
            pictures: self.pictures,
            input: self.input,
        };
        let lacks = |id: NodeId| {
            let mut units = self.channels.of_node(id).iter();
            units.any(|unit| !kept[*unit as usize])
        };
        let broken = self.readers.iter().filter(|reader| lacks(reader.input));
        let broken: Vec<&Reader> = broken.collect();
        progress.stage("repairing layers", broken.len());
        for reader in broken {
            repair.run(smaller, reader)?;
            progress.step();
        }
        Ok(())
    }
}

/// Checks whether a simplified graph can be pruned on so many pictures, before they are read.
///
/// # Errors
/// If there are too few, or no channel can leave.
pub fn check(graph: &Graph, pictures: usize) -> Result<(), PruneError> {
    let whole = unfuse(graph)?;
    choice(&whole, &Channels::of(&whole), &readers(&whole), pictures).map(|_| ())
}

/// Checks whether so large a share of the cost of a simplified graph can go at all, before it runs.
///
/// # Errors
/// [`PruneError::OutOfReach`], and as [`check`].
pub fn check_share(
    graph: &Graph,
    pictures: usize,
    share: f64,
    cost: &dyn Fn(&Node) -> f64,
) -> Result<(), PruneError> {
    let whole = unfuse(graph)?;
    let channels = Channels::of(&whole);
    let spaces = choice(&whole, &channels, &readers(&whole), pictures)?;
    let left: Vec<usize> = spaces.iter().map(|s| s.units.len() - least(s)).collect();
    let most = gone(&costs(&whole, &channels, &spaces, cost), &left);
    match most < share {
        true => Err(PruneError::OutOfReach { most }),
        false => Ok(()),
    }
}

/// What each node costs.
fn costs(
    whole: &Graph,
    channels: &Channels,
    spaces: &[Space],
    cost: &dyn Fn(&Node) -> f64,
) -> Costs {
    let cost: Vec<f64> = whole.nodes.iter().map(cost).collect();
    Costs::new(whole, channels, spaces, &cost)
}

/// The share of the cost that is gone after so many units have left each space; 0 if nothing costs anything.
fn gone(costs: &Costs, left: &[usize]) -> f64 {
    let all = costs.total(&vec![0; left.len()]);
    match all > 0.0 {
        true => 1.0 - costs.total(left) / all,
        false => 0.0,
    }
}

/// The spaces that channels can leave, with so many pictures.
fn choice(
    graph: &Graph,
    channels: &Channels,
    readers: &[Reader],
    pictures: usize,
) -> Result<Vec<Space>, PruneError> {
    let mut chosen = vec![];
    let mut too_few: Option<(usize, NodeId)> = None;
    for space in channels.spaces(graph) {
        let all: Vec<&Reader> = readers.iter().filter(|r| r.reads(&space)).collect();
        if all.iter().any(|r| r.filter(graph) > LARGEST_FILTER)
            || least(&space) >= space.units.len()
        {
            continue;
        }
        // A layer behind a global pool sees one place of a picture: too little to say what its channels are worth.
        let maps = all.iter().filter(|r| r.places(graph) > 1);
        let needed = |r: &&&Reader| r.filter(graph).div_ceil(r.places(graph));
        let Some(best) = maps.min_by_key(needed) else {
            continue;
        };
        let needed = needed(&best);
        if needed > pictures.max(too_few.map_or(0, |(most, _)| most)) {
            too_few = Some((needed, best.convs[0]));
        }
        chosen.push(space);
    }
    if let Some((needed, layer)) = too_few {
        return Err(PruneError::TooFew {
            pictures,
            needed,
            layer: graph.nodes[layer].name.clone(),
        });
    }
    if chosen.is_empty() {
        return Err(PruneError::Nothing);
    }
    Ok(chosen)
}
