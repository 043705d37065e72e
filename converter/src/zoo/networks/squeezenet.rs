//! SqueezeNet: Iandola et al., "SqueezeNet" (2016), table 1, and version 1.1 of its authors' repository.
//! Names are torchvision's. The logits are the mean of the last map: there is no fully connected layer.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

/// One entry of torchvision's list after the first convolution and its ReLU.
#[derive(Clone, Copy)]
pub(super) enum Layer {
    /// 3x3 maximum with stride 2.
    Max,
    /// Fire module: channels of `squeeze1x1`, and of `expand1x1` and of `expand3x3` each.
    Fire(usize, usize),
}
use Layer::{Fire, Max};

/// Channels and kernel of the first convolution, and what follows it.
pub(super) struct Version(usize, u32, [Layer; 11]);

/// Version 1.0, the paper's.
pub(super) const V1_0: Version = Version(
    96,
    7,
    [
        Max,
        Fire(16, 64),
        Fire(16, 64),
        Fire(32, 128),
        Max,
        Fire(32, 128),
        Fire(48, 192),
        Fire(48, 192),
        Fire(64, 256),
        Max,
        Fire(64, 256),
    ],
);

/// Version 1.1: maxima earlier, 2.4 times fewer operations.
pub(super) const V1_1: Version = Version(
    64,
    3,
    [
        Max,
        Fire(16, 64),
        Fire(16, 64),
        Max,
        Fire(32, 128),
        Fire(32, 128),
        Max,
        Fire(48, 192),
        Fire(48, 192),
        Fire(64, 256),
        Fire(64, 256),
    ],
);

const CLASSES: usize = 1000;

/// SqueezeNet.
pub(super) fn squeezenet(net: &mut Builder<'_>, version: &Version) -> Built {
    let Version(channels, kernel, layers) = version;
    let stem = Conv::new(*channels, *kernel).stride(2).valid().bias();
    let x = net.conv("features.0", net.input(), stem)?;
    let mut x = net.relu(x)?;
    for (layer, number) in layers.iter().zip(2..) {
        let name = format!("features.{number}");
        x = match *layer {
            Max => net.max_pool_ceil(&name, x, 3, 2, 0)?,
            Fire(squeeze, expand) => fire(net, &name, x, squeeze, expand)?,
        };
    }
    let x = net.conv("classifier.1", x, Conv::new(CLASSES, 1).bias())?;
    let x = net.relu(x)?;
    net.global_avg_pool("classifier.3", x)
}

fn fire(net: &mut Builder<'_>, name: &str, x: NodeId, squeeze: usize, expand: usize) -> Built {
    let mut conv_relu = |part: &str, x, conv: Conv| {
        let x = net.conv(&format!("{name}.{part}"), x, conv.bias())?;
        net.relu(x)
    };
    let x = conv_relu("squeeze", x, Conv::new(squeeze, 1))?;
    let one = conv_relu("expand1x1", x, Conv::new(expand, 1))?;
    let three = conv_relu("expand3x3", x, Conv::new(expand, 3))?;
    net.concat(name, &[one, three])
}
