//! What is converted, and how.

use crate::dataset::Dataset;
use crate::graph::Graph;
use crate::quantize::range::RangeRule;
use edge_runtime::model::{Calibration, InputSpec, OutputFunction, WeightsOrigin};

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
    /// True if there are only generated pictures.
    pub(super) fn is_data_free(&self) -> bool {
        matches!(self, Self::DataFree { .. })
    }

    /// What the manifest says of it.
    pub(super) fn record(&self) -> Calibration<'_> {
        match self {
            CalibrationSource::DataFree { images } => Calibration::DataFree {
                images: *images as u32,
            },
            CalibrationSource::Pictures {
                folder,
                dataset,
                images,
            } => Calibration::Pictures {
                folder,
                images: dataset.items.len().min(*images) as u32,
            },
        }
    }
}
