//! Prunes a network before it is converted.

use super::convert::pictures::Pictures;
use super::convert::simplify::check_input;
use super::convert::{CalibrationSource, ConvertError, PrunedFrom, Source};
use crate::compress::prune::{PruneError, Pruned, PrunedSpace, Pruner, Structure};
use crate::dataset::preprocess;
use crate::graph::Node;
use crate::passes;
use crate::util::progress::Progress;

/// How much smaller a network becomes.
pub enum Goal<'g> {
    /// So large a share of its multiply-accumulate operations goes.
    Macs(f64),
    /// So large a share of its time goes: `milliseconds` of the layers by name.
    Time {
        /// The share.
        share: f64,
        /// What each layer takes.
        milliseconds: &'g dyn Fn(&str) -> f64,
    },
}

impl Goal<'_> {
    /// The share, and what each node costs.
    fn cost(&self) -> (f64, impl Fn(&Node) -> f64) {
        let (share, milliseconds) = match self {
            Self::Macs(share) => (*share, None),
            Self::Time {
                share,
                milliseconds,
            } => (*share, Some(milliseconds)),
        };
        let cost = move |node: &Node| match milliseconds {
            None => node.macs() as f64,
            Some(milliseconds) => milliseconds(&node.name),
        };
        (share, cost)
    }
}

/// Why there is no smaller network.
#[derive(Debug, thiserror::Error)]
pub enum PruneJobError {
    /// The pictures cannot be read, or do not fit the network.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The network cannot be pruned.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// The network is quantized.
    #[error(
        "the source is quantized already, and pruning gives its weights new values: prune the float network that it was made from"
    )]
    Quantized,
}

/// A network and the pictures that it is pruned on.
pub struct PruneJob {
    source: Source,
    structure: Structure,
    pictures: Vec<Vec<u8>>,
    set: CalibrationSource,
}

impl PruneJob {
    /// Reads the pictures.
    ///
    /// # Errors
    /// If they cannot be read, or the source is not a float network for such pictures.
    pub fn new(
        source: Source,
        set: CalibrationSource,
        progress: &dyn Progress,
    ) -> Result<Self, PruneJobError> {
        check_input(&source.graph, &source.input)?;
        if source.graph.is_quantized() {
            return Err(PruneJobError::Quantized);
        }
        let structure = Structure::of(&passes::simplify(source.graph.clone()))?;
        let set = enough(&structure, set)?;
        let pictures = Pictures::load(&set, &source.input, progress)?.calibration;
        Ok(Self {
            structure,
            source,
            pictures,
            set,
        })
    }

    /// The pictures.
    pub fn set(&self) -> &CalibrationSource {
        &self.set
    }

    /// Checks whether a goal can be reached at all.
    ///
    /// # Errors
    /// [`PruneError::OutOfReach`] if not.
    pub fn check(&self, goal: &Goal<'_>) -> Result<(), PruneError> {
        let (share, cost) = goal.cost();
        let pictures = self.pictures.len();
        self.structure.check_share(pictures, share, &cost)
    }

    /// Watches the network on the pictures, and hands it, ready to be pruned, to `work`.
    ///
    /// # Errors
    /// If there are too few pictures or no channel can leave, and what `work` gives.
    pub fn run<T, E: From<PruneError>>(
        &self,
        progress: &dyn Progress,
        work: impl FnOnce(&Ready<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let input = |i: usize| preprocess::to_f32(&self.pictures[i], &self.source.input);
        let pruner = Pruner::new(&self.structure, self.pictures.len(), &input, progress)?;
        work(&Ready { job: self, pruner })
    }
}

/// Checks that there are enough pictures, and takes or generates more than asked for if the network needs them.
fn enough(
    structure: &Structure,
    mut set: CalibrationSource,
) -> Result<CalibrationSource, PruneError> {
    let (needed, layer) = match structure.check(set.count()) {
        Err(PruneError::TooFew { needed, layer, .. }) => (needed, layer),
        checked => return checked.map(|()| set),
    };
    match &mut set {
        CalibrationSource::DataFree { images } => *images = needed,
        CalibrationSource::Pictures {
            dataset, images, ..
        } => {
            let pictures = dataset.items.len();
            if pictures < needed {
                return Err(PruneError::TooFew {
                    pictures,
                    needed,
                    layer,
                });
            }
            *images = needed;
        }
    }
    Ok(set)
}

/// A network that was watched.
pub struct Ready<'r> {
    job: &'r PruneJob,
    pruner: Pruner<'r>,
}

/// A smaller network, to be converted as any other.
pub struct Smaller {
    /// The network; its manifest says what was done to it.
    pub source: Source,
    /// Where channels left.
    pub spaces: Vec<PrunedSpace>,
}

impl Ready<'_> {
    /// The network without so much that the goal is reached.
    ///
    /// # Errors
    /// If the goal cannot be reached, or the network cannot run.
    pub fn prune(&self, goal: &Goal<'_>, progress: &dyn Progress) -> Result<Smaller, PruneError> {
        let (share, cost) = goal.cost();
        let Pruned { graph, spaces, .. } = self.pruner.prune(share, &cost, progress)?;
        let job = self.job;
        Ok(Smaller {
            source: Source {
                graph,
                pruned: Some(PrunedFrom {
                    parameters: job.source.graph.parameters(),
                    macs: job.source.graph.macs(),
                    set: job.set.clone(),
                }),
                ..job.source.clone()
            },
            spaces,
        })
    }
}
