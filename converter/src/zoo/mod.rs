//! Known networks: what they are, how they are built, and where their weights come from.
//!
//! [`catalog`] is the list (data, not code), [`fetch()`] gets weights into the [`cache`], [`build`] makes
//! the [`Graph`] from an architecture written in Rust and a set of named weights.
//!
//! To add a network, write its layers in `networks` and describe it in `catalog.toml`. A network whose
//! sources are files with a graph of their own needs only its entry. Knows nothing of files of weights (that
//! is [`import`](crate::import)'s business), of passes, or of quantization.

pub mod cache;
pub mod catalog;
mod compare;
pub mod fetch;
pub mod layers;
mod networks;
mod source;
#[cfg(test)]
mod tests;

pub use catalog::{CatalogEntry, CatalogError, Source};
pub use compare::difference;
pub use fetch::{FetchError, Fetched, fetch};
pub use layers::{Mismatch, Weights};

use crate::graph::{Graph, GraphError, Shape};
use layers::{Builder, Spread};
use networks::architecture;

/// Why a network of the catalog cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    /// No architecture of this network is written in Rust.
    #[error(
        "no architecture is written for '{0}': give a file with a graph of its own (--weights FILE.onnx)"
    )]
    NoArchitecture(String),
    /// The shapes of two layers do not fit.
    #[error("'{model}': {source}")]
    Graph {
        /// The network.
        model: String,
        /// What does not fit.
        source: GraphError,
    },
    /// The parameters in the weights are not those of this network.
    #[error("the weights do not fit '{model}': {mismatch}")]
    Weights {
        /// The network.
        model: String,
        /// What is missing, extra or of another shape.
        mismatch: Mismatch,
    },
}

/// Builds a network of the catalog. The batch norms are nodes of their own; the output is the logits.
///
/// # Errors
/// If there is no architecture for it, or the weights do not fit.
pub fn build(entry: &CatalogEntry, weights: Weights<'_>) -> Result<Graph, ZooError> {
    let net = assemble(entry, weights)?;
    net.finish().map_err(|mismatch| ZooError::Weights {
        model: entry.name.clone(),
        mismatch,
    })
}

/// True if the network can be built from weights alone; false if it only comes as a file with a graph of its
/// own.
pub fn has_architecture(entry: &CatalogEntry) -> bool {
    architecture(&entry.name).is_some()
}

/// All layers of a network.
fn assemble<'a>(entry: &CatalogEntry, weights: Weights<'a>) -> Result<Builder<'a>, ZooError> {
    let input = &entry.input;
    let shape = Shape::new(input.height, input.width, input.channels());
    let mut net = Builder::new(shape, Spread::of_pictures(input), weights);
    let layers =
        architecture(&entry.name).ok_or_else(|| ZooError::NoArchitecture(entry.name.clone()))?;
    layers(&mut net).map_err(|source| ZooError::Graph {
        model: entry.name.clone(),
        source,
    })?;
    Ok(net)
}
