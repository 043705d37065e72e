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

pub use walk::Input;

use crate::graph::{Graph, GraphError, Node, NodeId};
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

/// The parts of a network that pruning works on.
pub struct Structure {
    whole: Graph,
    channels: Channels,
    readers: Vec<Reader>,
}

/// A network that was watched on pictures, ready to be made smaller by any share.
pub struct Pruner<'p> {
    of: &'p Structure,
    spaces: Vec<Space>,
    orders: Vec<Order>,
    pictures: usize,
    input: Input<'p>,
}

impl Structure {
    /// Of a simplified graph.
    ///
    /// # Errors
    /// If the graph is wrong.
    pub fn of(graph: &Graph) -> Result<Self, PruneError> {
        let whole = unfuse(graph)?;
        Ok(Self {
            channels: Channels::of(&whole),
            readers: readers(&whole),
            whole,
        })
    }

    /// Checks whether the network can be pruned on so many pictures, before they are read.
    ///
    /// # Errors
    /// If there are too few, or no channel can leave.
    pub fn check(&self, pictures: usize) -> Result<(), PruneError> {
        self.choice(pictures).map(|_| ())
    }

    /// Checks whether so large a share of the cost can go at all, before the network runs.
    ///
    /// # Errors
    /// [`PruneError::OutOfReach`], and as [`Self::check`].
    pub fn check_share(
        &self,
        pictures: usize,
        share: f64,
        cost: &dyn Fn(&Node) -> f64,
    ) -> Result<(), PruneError> {
        let spaces = self.choice(pictures)?;
        let left: Vec<usize> = spaces.iter().map(|s| s.units.len() - least(s)).collect();
        let most = gone(&self.costs(&spaces, cost), &left);
        match most < share {
            true => Err(PruneError::OutOfReach { most }),
            false => Ok(()),
        }
    }

    fn costs(&self, spaces: &[Space], cost: &dyn Fn(&Node) -> f64) -> Costs {
        let cost: Vec<f64> = self.whole.nodes.iter().map(cost).collect();
        Costs::new(&self.whole, &self.channels, spaces, &cost)
    }

    /// The spaces that channels can leave, with so many pictures: at least one.
    fn choice(&self, pictures: usize) -> Result<Vec<Space>, PruneError> {
        let (graph, readers) = (&self.whole, &self.readers);
        let mut chosen = vec![];
        let mut too_few: Option<(usize, NodeId)> = None;
        for space in self.channels.spaces(graph) {
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
}

impl<'p> Pruner<'p> {
    /// Watches a network on pictures; `input` makes the inputs of pictures `0..pictures`.
    ///
    /// # Errors
    /// If there are too few pictures, or no channel can leave.
    pub fn new(
        structure: &'p Structure,
        pictures: usize,
        input: Input<'p>,
        progress: &dyn Progress,
    ) -> Result<Self, PruneError> {
        let spaces = structure.choice(pictures)?;
        let search = Search {
            graph: &structure.whole,
            channels: &structure.channels,
            spaces: &spaces,
            readers: &structure.readers,
            pictures,
            input,
        };
        let orders = search.run(progress)?;
        Ok(Self {
            of: structure,
            spaces,
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
        let costs = self.of.costs(&self.spaces, cost);
        let all = costs.total(&vec![0; self.spaces.len()]);
        let left = allocate(&costs, &self.spaces, &self.orders, all * (1.0 - share));
        let gone = gone(&costs, &left);
        if gone < share {
            return Err(PruneError::OutOfReach { most: gone });
        }
        let kept = self.kept(&left);
        let mut smaller = remove(&self.of.whole, &self.of.channels, &kept)?;
        self.repair(&mut smaller, &kept, progress)?;
        let space = |(space, left): (&Space, usize)| PrunedSpace {
            layer: self.of.whole.nodes[space.writers[0]].name.clone(),
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
        let mut kept = vec![true; self.of.channels.units()];
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
            whole: &self.of.whole,
            channels: &self.of.channels,
            kept,
            pictures: self.pictures,
            input: self.input,
        };
        let lacks = |id: NodeId| {
            let mut units = self.of.channels.of_node(id).iter();
            units.any(|unit| !kept[*unit as usize])
        };
        let broken = self.of.readers.iter().filter(|reader| lacks(reader.input));
        let broken: Vec<&Reader> = broken.collect();
        progress.stage("repairing layers", broken.len());
        for reader in broken {
            repair.run(smaller, reader)?;
            progress.step();
        }
        Ok(())
    }
}

/// The share of the cost that is gone after so many units have left each space; 0 if nothing costs anything.
fn gone(costs: &Costs, left: &[usize]) -> f64 {
    let all = costs.total(&vec![0; left.len()]);
    match all > 0.0 {
        true => 1.0 - costs.total(left) / all,
        false => 0.0,
    }
}
