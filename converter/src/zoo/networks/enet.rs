//! ENet as a classifier: Paszke et al., "ENet" (2016), table 1 down to stage 3, which is the encoder, then
//! a mean over the map and a fully connected layer.
//!
//! Where the paper leaves a choice, this follows its authors' `encoder.lua` of e-lab/ENet-training. The
//! "ENet for ImageNet" that Canziani et al. (2016) measured was never published as a definition. Names are
//! ours.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

/// The convolution between the two projections of a bottleneck.
#[derive(Clone, Copy)]
enum Middle {
    /// 3x3.
    Regular,
    /// 3x3, taps so far apart.
    Dilated(u32),
    /// 5x1, then 1x5.
    Asymmetric,
}
use Middle::{Asymmetric, Dilated, Regular};

/// The bottlenecks of stage 2 after the first, and of stage 3.
const MIDDLES: [Middle; 8] = [
    Regular,
    Dilated(2),
    Asymmetric,
    Dilated(4),
    Regular,
    Dilated(8),
    Asymmetric,
    Dilated(16),
];
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-3;

/// ENet's encoder with a classifier.
pub(super) fn enet(net: &mut Builder<'_>) -> Built {
    let x = net.input();
    let conv = net.conv("initial.conv", x, Conv::new(13, 3).stride(2).bias())?;
    let pool = net.max_pool("initial.pool", x, 2, 2, 0)?;
    let x = net.concat("initial", &[conv, pool])?;
    let x = net.batch_norm("initial.bn", x, EPSILON)?;
    let x = net.prelu("initial.prelu", x)?;

    let mut x = bottleneck(net, "bottleneck1.0", x, 64, true, Regular)?;
    for number in 1..5 {
        let name = format!("bottleneck1.{number}");
        x = bottleneck(net, &name, x, 64, false, Regular)?;
    }
    x = bottleneck(net, "bottleneck2.0", x, 128, true, Regular)?;
    for (stage, first) in [(2, 1), (3, 0)] {
        for (middle, number) in MIDDLES.into_iter().zip(first..) {
            let name = format!("bottleneck{stage}.{number}");
            x = bottleneck(net, &name, x, 128, false, middle)?;
        }
    }
    let x = net.global_avg_pool("avgpool", x)?;
    net.linear("fc", x, CLASSES)
}

/// Projects to a quarter of the channels, filters and expands, and adds the input. In a block that halves the
/// map, a 2x2 maximum halves the input too; channels that it lacks are zeros after its own.
fn bottleneck(
    net: &mut Builder<'_>,
    name: &str,
    input: NodeId,
    out: usize,
    downsample: bool,
    middle: Middle,
) -> Built {
    let inside = out / 4;
    let of = |part: &str| format!("{name}.{part}");
    let project = if downsample {
        Conv::new(inside, 2).stride(2).valid()
    } else {
        Conv::new(inside, 1)
    };
    let x = net.conv(&of("project"), input, project)?;
    let x = net.batch_norm(&of("project_bn"), x, EPSILON)?;
    let x = net.prelu(&of("project_prelu"), x)?;
    let x = match middle {
        Regular => net.conv(&of("conv"), x, Conv::new(inside, 3).bias())?,
        Dilated(by) => {
            let conv = Conv::new(inside, 3).dilation(by).bias();
            net.conv(&of("conv"), x, conv)?
        }
        Asymmetric => {
            let x = net.conv(&of("conv_5x1"), x, Conv::rect(inside, [5, 1]))?;
            net.conv(&of("conv_1x5"), x, Conv::rect(inside, [1, 5]).bias())?
        }
    };
    let x = net.batch_norm(&of("conv_bn"), x, EPSILON)?;
    let x = net.prelu(&of("conv_prelu"), x)?;
    let x = net.conv(&of("expand"), x, Conv::new(out, 1))?;
    let x = net.batch_norm(&of("expand_bn"), x, EPSILON)?;

    let mut other = input;
    if downsample {
        other = net.max_pool(&of("pool"), other, 2, 2, 0)?;
    }
    let missing = net.shape(x).c.saturating_sub(net.shape(other).c);
    if missing > 0 {
        other = net.pad_channels(&of("pad"), other, 0, missing)?;
    }
    let sum = net.add(&of("add"), x, other)?;
    net.prelu(&of("prelu"), sum)
}
