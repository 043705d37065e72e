//! Known networks: what they are, how they are built, and where their weights come from.
//!
//! [`catalog`] is the list (data, not code), [`fetch()`] gets weights into the [`cache`], [`build`] makes
//! the [`Graph`] from an architecture written in Rust and a set of named weights.
//!
//! One file an architecture; to add a network, write its layers with [`layers::Builder`], name it in
//! [`build`], and describe it in `catalog.toml`. A network whose sources are files with a graph of their own
//! needs only its entry. Knows nothing of files of weights (that is
//! [`import`](crate::import)'s business), of passes, or of quantization.

pub mod cache;
pub mod catalog;
mod efficientnet;
pub mod fetch;
pub mod layers;
mod source;

pub use catalog::{CatalogEntry, CatalogError, Source};
pub use fetch::{FetchError, Fetched, fetch};
pub use layers::{Mismatch, Weights};

use crate::graph::{Graph, GraphError, Shape};
use layers::Builder;

/// Why a network of the catalog cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    /// Nothing builds this network from weights alone.
    #[error(
        "no architecture is written for '{0}': give a file with a graph of its own (--weights FILE.onnx)"
    )]
    NoArchitecture(String),
    /// The layers do not fit each other.
    #[error("'{model}': {source}")]
    Graph {
        /// The network.
        model: String,
        /// What does not fit.
        source: GraphError,
    },
    /// The weights are not those of this network.
    #[error("the weights do not fit '{model}': {mismatch}")]
    Weights {
        /// The network.
        model: String,
        /// What is missing, extra or of another shape.
        mismatch: Mismatch,
    },
}

/// Builds a network of the catalog. Batch norms stay nodes of their own; the output is the logits.
pub fn build(entry: &CatalogEntry, weights: Weights<'_>) -> Result<Graph, ZooError> {
    let input = Shape::new(
        entry.input.height,
        entry.input.width,
        entry.input.channels(),
    );
    let mut net = Builder::new(input, weights);
    let built = match entry.name.as_str() {
        "efficientnet-lite0" => efficientnet::lite0(&mut net),
        other => return Err(ZooError::NoArchitecture(other.into())),
    };
    built.map_err(|source| ZooError::Graph {
        model: entry.name.clone(),
        source,
    })?;
    net.finish().map_err(|mismatch| ZooError::Weights {
        model: entry.name.clone(),
        mismatch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every entry can be built, and is what the catalog says.
    #[test]
    fn catalog_and_architectures_agree() {
        for entry in catalog::all() {
            let graph = match build(entry, Weights::Random { seed: 1 }) {
                Err(ZooError::NoArchitecture(_)) if !entry.has_architecture() => continue,
                built => built.unwrap(),
            };
            assert_eq!(graph.parameters(), entry.parameters, "{}", entry.name);
            assert_eq!(graph.macs(), entry.macs, "{}", entry.name);
            assert_eq!(
                graph.nodes[graph.output].shape.c as usize,
                entry.labels().len(),
                "{}",
                entry.name
            );
        }
    }
}
