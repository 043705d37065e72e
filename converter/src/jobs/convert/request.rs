//! What is converted, and how.

use crate::dataset::Dataset;
use crate::graph::Graph;
use crate::quantize::range::RangeRule;
use edge_runtime::model::{Calibration, InputSpec, OutputFunction, Pruning, WeightsOrigin};

/// A network to convert.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The network as imported.
    pub graph: Graph,
    /// Where the weights came from, for people.
    pub origin: String,
    /// License of the weights, or empty.
    pub license: String,
    /// What the weights are.
    pub weights: WeightsOrigin,
    /// How a picture becomes the network's input.
    pub input: InputSpec,
    /// Names of the classes, one a line, or empty.
    pub labels: String,
    /// What turns the output into probabilities.
    pub output: OutputFunction,
    /// The network that it was pruned from, if it was.
    pub pruned: Option<PrunedFrom>,
}

/// What a pruned network was before.
#[derive(Clone, Debug)]
pub struct PrunedFrom {
    /// Its parameters.
    pub parameters: u64,
    /// Its multiply-accumulate operations.
    pub macs: u64,
    /// The pictures that it was pruned on.
    pub set: CalibrationSource,
}

impl PrunedFrom {
    /// What the file says of it.
    pub(super) fn record(&self) -> Pruning<'_> {
        Pruning {
            parameters: self.parameters,
            macs: self.macs,
            pictures: self.set.record(),
        }
    }
}

/// How to make an int8 model.
#[derive(Clone, Debug)]
pub struct Int8Options {
    /// The pictures that ranges are measured on.
    pub calibration: CalibrationSource,
    /// How ranges follow from what the pictures do; `None` chooses, see `docs/reference/quantization.md`.
    pub rule: Option<RangeRule>,
}

/// The calibration set of an int8 model.
#[derive(Clone, Debug)]
pub enum CalibrationSource {
    /// No pictures of the user: ranges come from generated ones, and from what batch norms remember.
    DataFree {
        /// How many pictures to generate.
        images: usize,
    },
    /// A folder of pictures.
    Pictures {
        /// Name of the folder, for the manifest.
        folder: String,
        /// What is in it.
        dataset: Dataset,
        /// How many pictures to calibrate on, spread over the classes.
        images: usize,
    },
}

impl CalibrationSource {
    /// How many pictures these are.
    pub fn count(&self) -> usize {
        match self {
            Self::DataFree { images } => *images,
            Self::Pictures {
                dataset, images, ..
            } => dataset.items.len().min(*images),
        }
    }

    /// True if there are only generated pictures.
    pub(in crate::jobs) fn is_data_free(&self) -> bool {
        matches!(self, Self::DataFree { .. })
    }

    /// What the manifest says of it.
    pub(super) fn record(&self) -> Calibration<'_> {
        match self {
            CalibrationSource::DataFree { images } => Calibration::DataFree {
                images: *images as u32,
            },
            CalibrationSource::Pictures { folder, .. } => Calibration::Pictures {
                folder,
                images: self.count() as u32,
            },
        }
    }
}
