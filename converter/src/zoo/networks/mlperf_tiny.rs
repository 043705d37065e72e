//! The two image networks of MLPerf Tiny: Banbury et al., "MLPerf Tiny benchmark" (2021), as the Keras
//! code of mlcommons/tiny has them: 'same' padding, biases before batch norms too. Names are ours; trained
//! weights come as `.tflite` files, which carry their own graph.

use crate::graph::NodeId;
use crate::zoo::layers::{Builder, Built, Conv};

const EPSILON: f32 = 1e-3;

/// ResNet-8 for CIFAR-10: three stacks of one block. Shortcuts are 1x1 convolutions without batch norm.
pub(super) fn resnet8(net: &mut Builder<'_>) -> Built {
    let x = net.input();
    let x = conv_norm(net, "stem", x, Conv::new(16, 3))?;
    let mut x = net.relu(x)?;
    for (number, (channels, stride)) in [(16, 1), (32, 2), (64, 2)].into_iter().enumerate() {
        let name = format!("stack{}", number + 1);
        let first = Conv::new(channels, 3).stride(stride);
        let y = conv_norm(net, &format!("{name}.0"), x, first)?;
        let y = net.relu(y)?;
        let y = conv_norm(net, &format!("{name}.1"), y, Conv::new(channels, 3))?;
        if stride != 1 {
            let shortcut = Conv::new(channels, 1).stride(stride).same().bias();
            x = net.conv(&format!("{name}.shortcut"), x, shortcut)?;
        }
        let sum = net.add(&format!("{name}.add"), x, y)?;
        x = net.relu(sum)?;
    }
    let x = net.global_avg_pool("pool", x)?;
    net.linear("dense", x, 10)
}

/// Depthwise separable convolutions of the person detector: stride and channels.
const SEPARABLE: [(u32, usize); 13] = [
    (1, 16),
    (2, 32),
    (1, 32),
    (2, 64),
    (1, 64),
    (2, 128),
    (1, 128),
    (1, 128),
    (1, 128),
    (1, 128),
    (1, 128),
    (2, 256),
    (1, 256),
];

/// MobileNetV1 of width 0.25 for visual wake words, with ReLU for ReLU6.
pub(super) fn visual_wake_words(net: &mut Builder<'_>) -> Built {
    let x = net.input();
    let x = conv_norm(net, "stem", x, Conv::new(8, 3).stride(2))?;
    let mut x = net.relu(x)?;
    for ((stride, channels), number) in SEPARABLE.into_iter().zip(1..) {
        let inside = net.channels(x);
        let depthwise = Conv::new(inside, 3).stride(stride).groups(inside);
        x = conv_norm(net, &format!("block{number}.depthwise"), x, depthwise)?;
        x = net.relu(x)?;
        let pointwise = Conv::new(channels, 1);
        x = conv_norm(net, &format!("block{number}.pointwise"), x, pointwise)?;
        x = net.relu(x)?;
    }
    let x = net.global_avg_pool("pool", x)?;
    net.linear("dense", x, 2)
}

/// Keras' defaults.
fn conv_norm(net: &mut Builder<'_>, name: &str, x: NodeId, conv: Conv) -> Built {
    let x = net.conv(&format!("{name}.conv"), x, conv.same().bias())?;
    net.batch_norm(&format!("{name}.bn"), x, EPSILON)
}
