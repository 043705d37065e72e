//! ResNet for CIFAR-10: He et al., "Deep residual learning" (2015), section 4.2: 6n + 2 layers, three
//! stages of n blocks, shortcuts without parameters (option A).
//!
//! As in akamaster/pytorch_resnet_cifar10, whose names these are: the zero channels of a shortcut lie on
//! both sides.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

const CHANNELS: [usize; 3] = [16, 32, 64];
const CLASSES: usize = 10;
const EPSILON: f32 = 1e-5;

/// ResNet of 6n + 2 layers.
pub(super) fn cifar_resnet(net: &mut Builder<'_>, n: usize) -> Built {
    let x = net.input();
    let x = net.conv("conv1", x, Conv::new(CHANNELS[0], 3))?;
    let x = net.batch_norm("bn1", x, EPSILON)?;
    let mut x = net.relu(x)?;
    for (stage, channels) in CHANNELS.into_iter().enumerate() {
        for number in 0..n {
            let stride = if stage > 0 && number == 0 { 2 } else { 1 };
            let name = format!("layer{}.{number}", stage + 1);
            x = block(net, &name, x, channels, stride)?;
        }
    }
    let x = net.global_avg_pool("avg_pool", x)?;
    net.linear("linear", x, CLASSES)
}

fn block(net: &mut Builder<'_>, name: &str, x: NodeId, channels: usize, stride: u32) -> Built {
    let y = net.conv(
        &format!("{name}.conv1"),
        x,
        Conv::new(channels, 3).stride(stride),
    )?;
    let y = net.batch_norm(&format!("{name}.bn1"), y, EPSILON)?;
    let y = net.relu(y)?;
    let y = net.conv(&format!("{name}.conv2"), y, Conv::new(channels, 3))?;
    let y = net.batch_norm(&format!("{name}.bn2"), y, EPSILON)?;
    let mut shortcut = x;
    if stride != 1 {
        let zeros = net.shape(y).c / 4;
        shortcut = net.subsample(&format!("{name}.shortcut.subsample"), x, stride)?;
        shortcut = net.pad_channels(&format!("{name}.shortcut.pad"), shortcut, zeros, zeros)?;
    }
    let sum = net.add(&format!("{name}.add"), y, shortcut)?;
    net.relu(sum)
}
