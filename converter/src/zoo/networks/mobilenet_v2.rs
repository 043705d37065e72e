//! MobileNetV2: Sandler et al., "MobileNetV2" (2018), table 2. Names are torchvision's.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

/// The table's columns t, c, n, s: how many times wider a block is inside, channels, blocks, stride of
/// the first.
const STAGES: [(usize, usize, usize, u32); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
const STEM: usize = 32;
const LAST: usize = 1280;
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-5;

/// MobileNetV2 of width 1.
pub(super) fn mobilenet_v2(net: &mut Builder<'_>) -> Built {
    let x = net.input();
    let mut x = conv_relu6(net, "features.0", x, Conv::new(STEM, 3).stride(2))?;
    let mut number = 1;
    for (expand, channels, blocks, first_stride) in STAGES {
        for repeat in 0..blocks {
            let stride = if repeat == 0 { first_stride } else { 1 };
            x = block(net, number, x, expand, channels, stride)?;
            number += 1;
        }
    }
    let x = conv_relu6(net, &format!("features.{number}"), x, Conv::new(LAST, 1))?;
    let x = net.global_avg_pool("avgpool", x)?;
    net.linear("classifier.1", x, CLASSES)
}

/// Expands, filters each channel and projects; adds the input if it has the shape of the result.
fn block(
    net: &mut Builder<'_>,
    number: usize,
    input: NodeId,
    expand: usize,
    channels: usize,
    stride: u32,
) -> Built {
    let name = format!("features.{number}.conv");
    let inside = net.channels(input) * expand;
    let (mut x, mut at) = (input, 0);
    if expand != 1 {
        x = conv_relu6(net, &format!("{name}.{at}"), x, Conv::new(inside, 1))?;
        at += 1;
    }
    let depthwise = Conv::new(inside, 3).stride(stride).groups(inside);
    x = conv_relu6(net, &format!("{name}.{at}"), x, depthwise)?;
    x = net.conv(&format!("{name}.{}", at + 1), x, Conv::new(channels, 1))?;
    x = net.batch_norm(&format!("{name}.{}", at + 2), x, EPSILON)?;
    if net.shape(x) == net.shape(input) {
        x = net.add(&format!("features.{number}.add"), x, input)?;
    }
    Ok(x)
}

fn conv_relu6(net: &mut Builder<'_>, name: &str, x: NodeId, conv: Conv) -> Built {
    let x = net.conv(&format!("{name}.0"), x, conv)?;
    let x = net.batch_norm(&format!("{name}.1"), x, EPSILON)?;
    net.relu6(x)
}
