//! ResNet: He et al., "Deep residual learning" (2015), table 1, with the projections of option B.
//!
//! As torchvision has it: a bottleneck's stride is in its 3x3 convolution, not in its first 1x1 ("v1.5").
//! Names are torchvision's.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

/// What the stages are made of.
#[derive(Clone, Copy)]
pub(super) enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3, and 1x1 with four times the channels.
    Bottleneck,
}

/// Blocks of each of the four stages.
pub(super) type Depths = [usize; 4];

const CHANNELS: [usize; 4] = [64, 128, 256, 512];
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-5;

/// ResNet of these blocks.
pub(super) fn resnet(net: &mut Builder<'_>, block: Block, depths: Depths) -> Built {
    let x = net.input();
    let x = conv_norm(net, ["conv1", "bn1"], x, Conv::new(64, 7).stride(2))?;
    let x = net.relu(x)?;
    let mut x = net.max_pool("maxpool", x, 3, 2, 1)?;
    for (stage, (depth, channels)) in depths.into_iter().zip(CHANNELS).enumerate() {
        for number in 0..depth {
            let stride = if stage > 0 && number == 0 { 2 } else { 1 };
            let name = format!("layer{}.{number}", stage + 1);
            x = residual(net, &name, x, block, channels, stride)?;
        }
    }
    let x = net.global_avg_pool("avgpool", x)?;
    net.linear("fc", x, CLASSES)
}

fn residual(
    net: &mut Builder<'_>,
    name: &str,
    x: NodeId,
    block: Block,
    channels: usize,
    stride: u32,
) -> Built {
    let strided = Conv::new(channels, 3).stride(stride);
    let convs = match block {
        Block::Basic => vec![strided, Conv::new(channels, 3)],
        Block::Bottleneck => vec![Conv::new(channels, 1), strided, Conv::new(4 * channels, 1)],
    };
    let mut y = x;
    for (i, conv) in convs.into_iter().enumerate() {
        if i > 0 {
            y = net.relu(y)?;
        }
        let names = [
            format!("{name}.conv{}", i + 1),
            format!("{name}.bn{}", i + 1),
        ];
        y = conv_norm(net, [&names[0], &names[1]], y, conv)?;
    }
    let mut shortcut = x;
    if net.shape(x) != net.shape(y) {
        let names = [
            format!("{name}.downsample.0"),
            format!("{name}.downsample.1"),
        ];
        let projection = Conv::new(net.channels(y), 1).stride(stride);
        shortcut = conv_norm(net, [&names[0], &names[1]], x, projection)?;
    }
    let sum = net.add(&format!("{name}.add"), y, shortcut)?;
    net.relu(sum)
}

fn conv_norm(net: &mut Builder<'_>, names: [&str; 2], x: NodeId, conv: Conv) -> Built {
    let x = net.conv(names[0], x, conv)?;
    net.batch_norm(names[1], x, EPSILON)
}
