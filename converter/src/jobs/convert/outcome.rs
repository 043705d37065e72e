//! What comes of a conversion.

use crate::dataset::LoadError;
use crate::graph::{GraphError, Shape};
use crate::jobs::runner::RunError;
use crate::lower::LowerError;
use crate::quantize::QuantizeError;
use edge_runtime::backend::BackendError;
use edge_runtime::model::{AlignedBytes, ModelError, SelfCheck};

/// A finished file and its measures.
pub struct Converted {
    /// The `.edge` file.
    pub bytes: AlignedBytes,
    /// Number of parameters of the network.
    pub parameters: u64,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// What the converter's check of its own work found; `None` for a float model of random weights, for
    /// which nothing can be said.
    pub check: Option<SelfCheck>,
    /// The pictures of that check.
    pub judged_on: JudgedOn,
    /// What float inference costs on this machine, as a measure for the time of the conversion; `None` for a
    /// float model.
    pub float_pass: Option<FloatPass>,
}

/// The pictures of the converter's check of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedOn {
    /// Generated pictures.
    Generated,
    /// Pictures of the calibration folder that were not calibrated on.
    Unseen,
    /// The pictures that were calibrated on; there are no others.
    Calibration,
}

/// One pass of float inference over the calibration pictures, on all threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatPass {
    /// Number of calibration pictures.
    pub images: usize,
    /// Wall time in seconds: the mean of the pictures that were compared on, times `images`.
    pub seconds: f64,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The layers of the graph do not fit each other.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A number of the network does not fit int8.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The network does not fit the format.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// A calibration picture cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The model has no answer to a picture.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The model cannot be calibrated.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The file does not pass the reader's checks.
    #[error(
        "the converter wrote a file that its own reader refuses ({0}); please report this network"
    )]
    Model(#[from] ModelError),
    /// The size of the input rule's pictures is not the graph's.
    #[error("the network takes {graph} but its input rule says {height}x{width}x{channels}")]
    Input {
        /// What the graph takes.
        graph: Shape,
        /// Rows of the rule.
        height: u32,
        /// Columns of the rule.
        width: u32,
        /// Channels of the rule.
        channels: u32,
    },
}
