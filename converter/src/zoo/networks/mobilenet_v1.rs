//! MobileNetV1: Howard et al., "MobileNets" (2017), table 1, with ReLU6 as in its authors' code. Padding
//! and names are those of timm's `mobilenetv1_100`.

use crate::zoo::layers::{Builder, Built, Conv};

/// Depthwise separable convolutions, stage by stage: how many, stride of the first, channels.
const STAGES: [(usize, u32, usize); 5] = [
    (1, 1, 64),
    (2, 2, 128),
    (2, 2, 256),
    (6, 2, 512),
    (2, 2, 1024),
];
const STEM: usize = 32;
const CLASSES: usize = 1000;
const EPSILON: f32 = 1e-5;

/// MobileNetV1 of width 1.
pub(super) fn mobilenet_v1(net: &mut Builder<'_>) -> Built {
    let x = net.input();
    let x = net.conv("conv_stem", x, Conv::new(STEM, 3).stride(2))?;
    let x = net.batch_norm("bn1", x, EPSILON)?;
    let mut x = net.relu6(x)?;
    for (stage, (blocks, first_stride, channels)) in STAGES.into_iter().enumerate() {
        for number in 0..blocks {
            let stride = if number == 0 { first_stride } else { 1 };
            let name = format!("blocks.{stage}.{number}");
            let inside = net.channels(x);
            let depthwise = Conv::new(inside, 3).stride(stride).groups(inside);
            x = net.conv(&format!("{name}.conv_dw"), x, depthwise)?;
            x = net.batch_norm(&format!("{name}.bn1"), x, EPSILON)?;
            x = net.relu6(x)?;
            x = net.conv(&format!("{name}.conv_pw"), x, Conv::new(channels, 1))?;
            x = net.batch_norm(&format!("{name}.bn2"), x, EPSILON)?;
            x = net.relu6(x)?;
        }
    }
    let x = net.global_avg_pool("global_pool", x)?;
    net.linear("classifier", x, CLASSES)
}
