//! Known networks: what they are, how they are built, and where their weights come from.
//!
//! [`catalog`] is the list (data, not code), [`fetch()`] gets weights into the [`cache`], [`build`] makes
//! the [`Graph`] from an architecture written in Rust and a set of named weights.
//!
//! One file a family; to add a network, write its layers with [`layers::Builder`], name it in
//! `architecture`, and describe it in `catalog.toml`. A network whose sources are files with a graph of
//! their own needs only its entry. Knows nothing of files of weights (that is
//! [`import`](crate::import)'s business), of passes, or of quantization.

mod alexnet;
pub mod cache;
pub mod catalog;
mod cifar_resnet;
mod compare;
mod efficientnet;
mod enet;
pub mod fetch;
mod googlenet;
mod inception_v3;
mod inception_v4;
pub mod layers;
mod mlperf_tiny;
mod mobilenet_v1;
mod mobilenet_v2;
mod mobilenet_v3;
mod nin;
mod resnet;
mod source;
mod squeezenet;
#[cfg(test)]
mod tests;
mod vgg;

pub use catalog::{CatalogEntry, CatalogError, Source};
pub use compare::difference;
pub use fetch::{FetchError, Fetched, fetch};
pub use layers::{Mismatch, Weights};

use crate::graph::{Graph, GraphError, Shape};
use layers::{Builder, Built, Spread};

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
    let net = assemble(entry, weights)?;
    net.finish().map_err(|mismatch| ZooError::Weights {
        model: entry.name.clone(),
        mismatch,
    })
}

/// True if an architecture of ours makes this network from weights alone; false if it comes only as a file
/// with a graph of its own.
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

/// Adds the layers of one network.
type Architecture = fn(&mut Builder<'_>) -> Built;

/// The architecture of this name, if there is one.
fn architecture(name: &str) -> Option<Architecture> {
    use resnet::Block::{Basic, Bottleneck};
    let architecture: Architecture = match name {
        "alexnet" => |net| alexnet::alexnet(net, false),
        "bn-alexnet" => |net| alexnet::alexnet(net, true),
        "vgg11" => |net| vgg::vgg(net, vgg::A, false),
        "vgg11-bn" => |net| vgg::vgg(net, vgg::A, true),
        "vgg13" => |net| vgg::vgg(net, vgg::B, false),
        "vgg13-bn" => |net| vgg::vgg(net, vgg::B, true),
        "vgg16" => |net| vgg::vgg(net, vgg::D, false),
        "vgg16-bn" => |net| vgg::vgg(net, vgg::D, true),
        "vgg19" => |net| vgg::vgg(net, vgg::E, false),
        "vgg19-bn" => |net| vgg::vgg(net, vgg::E, true),
        "googlenet" => |net| googlenet::googlenet(net),
        "resnet18" => |net| resnet::resnet(net, Basic, [2, 2, 2, 2]),
        "resnet34" => |net| resnet::resnet(net, Basic, [3, 4, 6, 3]),
        "resnet50" => |net| resnet::resnet(net, Bottleneck, [3, 4, 6, 3]),
        "resnet101" => |net| resnet::resnet(net, Bottleneck, [3, 4, 23, 3]),
        "resnet152" => |net| resnet::resnet(net, Bottleneck, [3, 8, 36, 3]),
        "inception-v3" => |net| inception_v3::inception_v3(net),
        "inception-v4" => |net| inception_v4::inception_v4(net),
        "bn-nin" => |net| nin::bn_nin(net),
        "enet" => |net| enet::enet(net),
        "squeezenet1.0" => |net| squeezenet::squeezenet(net, &squeezenet::V1_0),
        "squeezenet1.1" => |net| squeezenet::squeezenet(net, &squeezenet::V1_1),
        "mobilenet-v1" => |net| mobilenet_v1::mobilenet_v1(net),
        "mobilenet-v2" => |net| mobilenet_v2::mobilenet_v2(net),
        "mobilenet-v3-large" => |net| mobilenet_v3::large(net),
        "mobilenet-v3-small" => |net| mobilenet_v3::small(net),
        "efficientnet-lite0" => |net| efficientnet::lite(net, efficientnet::LITE0),
        "efficientnet-lite1" => |net| efficientnet::lite(net, efficientnet::LITE1),
        "efficientnet-lite2" => |net| efficientnet::lite(net, efficientnet::LITE2),
        "efficientnet-lite3" => |net| efficientnet::lite(net, efficientnet::LITE3),
        "efficientnet-lite4" => |net| efficientnet::lite(net, efficientnet::LITE4),
        "resnet20-cifar10" => |net| cifar_resnet::cifar_resnet(net, 3),
        "resnet32-cifar10" => |net| cifar_resnet::cifar_resnet(net, 5),
        "resnet44-cifar10" => |net| cifar_resnet::cifar_resnet(net, 7),
        "resnet56-cifar10" => |net| cifar_resnet::cifar_resnet(net, 9),
        "resnet110-cifar10" => |net| cifar_resnet::cifar_resnet(net, 18),
        "mlperf-tiny-resnet8" => |net| mlperf_tiny::resnet8(net),
        "mlperf-tiny-vww" => |net| mlperf_tiny::visual_wake_words(net),
        _ => return None,
    };
    Some(architecture)
}
